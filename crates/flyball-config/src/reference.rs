//! The reference of all keys, as Markdown. It prints every key of every section, so that the
//! documentation cannot fall behind what is read.

use std::fmt::Write;

use crate::reader::{ByLabel, Fallback, Form, Key, Keys, Only, Section};
use crate::root::RootKeys;
use crate::service::ServiceKeys;

const HEAD: &str = "# flyball.toml

A duration is a whole number and a unit: `\"250ms\"`, `\"30s\"`, `\"5m\"`, `\"1h\"`, `\"14d\"`.
So is an amount of memory: `\"512KiB\"`, `\"256MiB\"`, `\"1GiB\"`.
A share is a number and a percent sign: `\"30%\"`. Paths are relative to the directory of the file.
";

const SYSTEM_HEAD: &str = "| key | type | default | meaning |\n|---|---|---|---|\n";
const SERVICE_HEAD: &str = "| key | type | default | by label | meaning |\n|---|---|---|---|---|\n";

const LABELS: &str = "
## Labels

The keys of a service are also read from the labels of its containers, without a file or with a file
that has a `[docker]` table:

```yaml
services:
  web:
    image: registry.example/web:1.4
    labels:
      flyball.service: web
      flyball.port: 8080
      flyball.min: 2
      flyball.max: 20
      flyball.balancer: haproxy
      flyball.haproxy.backend: web
      flyball.policy: step
      flyball.policy.step.out-at: 30%
      flyball.ready.http: /healthz
```

`flyball.service` names the service. In a Compose file, `flyball.enable: true` in its place names it
PROJECT-SERVICE, which no other project can claim; with `flyball.enable: false`, flyball leaves the
container alone. Every other label is `flyball.` and a key, with a dot for each
table, and with dashes or underscores; values are written without quotes. You can leave
`flyball.engine` out: it follows from what carries the labels. A command is split at spaces and a
list of lines at line ends; you can also write both as a list:
`[\"sh\", \"-c\", \"exec ./server --port $PORT\"]`.

Labels are set by the authors of containers, not by the operator of flyball. The column \"by label\"
above and the table below show which keys labels may set. \"With permission\" means that `labels_may`
in `[docker]`, `[swarm]` or `[marathon]` names the key, written as below without `flyball.`, with
dashes or underscores. \"Up to the container's own\" means that the container's own limit or network
is permission enough. Labels that come from the image are ignored. For all of this, see
[who may do what](../guide/trust.md).

A service takes its settings from the newest of its containers that flyball did not start; running
containers come first. That container must belong to the same service of the same Compose project as
the first one that was seen, or have the same label `flyball.owner`. Once there has been no such
container for 10 s, flyball drains and removes its copies. Where the file describes a service, the
file applies: labels of that service are ignored, and flyball reports that. A service whose labels
are wrong is left out; flyball reports the label and what to write. The other services run.

Some labels are not settings but mark one container: `flyball.protect` (`true`: flyball never
removes it; `false`: flyball may remove it although it did not start it), `flyball.owner`, and
`flyball.replica`, `flyball.managed`, `flyball.copy`, `flyball.generation` and `flyball.signature`,
which flyball sets on what it starts.

| label | key | allowed |
|---|---|---|
";

/// All sections and keys of the file: type, default and meaning of each; and what labels there are.
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    let of_services = ServiceKeys::SECTION.with_all_below();
    for section in RootKeys::SECTION.with_all_below().into_iter().skip(1) {
        let of_service = of_services.iter().any(|it| it.path == section.path);
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## `[{}]`\n\n{}\n\n", section.path, section.meaning.trim());
        page.push_str(if of_service { SERVICE_HEAD } else { SYSTEM_HEAD });
        page.extend(section.keys().into_iter().map(|key| row(key, of_service)));
    }
    page.push_str(LABELS);
    for section in of_services {
        page.extend(
            section
                .keys()
                .into_iter()
                .filter(|key| is_label(key))
                .map(|key| label_row(section, key)),
        );
    }
    page
}

/// Whether labels can give the key, and it is more than a table.
fn is_label(key: &Key) -> bool {
    let of_labels = |word: &&str| ["docker", "swarm", "marathon"].contains(word);
    let of_containers = |only: &Only| only.0 != "engine" || only.1.iter().any(of_labels);
    !matches!(key.by_label, Some(ByLabel::Never) | None)
        && !matches!(key.form, Form::Table(_))
        && key.only.iter().all(of_containers)
}

fn label_row(section: &Section, key: &Key) -> String {
    let table = section.path.strip_prefix(ServiceKeys::SECTION.path).unwrap_or_default();
    let label = format!("flyball{table}.{}", key.name).replace('_', "-");
    let rest = if matches!(key.form, Form::Variables) { ".NAME" } else { "" };
    let (name, path, may) = (key.name, section.path, label_of(key));
    format!("| `{label}{rest}` | `{name}` in `[{path}]` | {may} |\n")
}

fn row(key: &Key, of_service: bool) -> String {
    let fallback = match key.fallback {
        Fallback::Required(_) => "required".to_owned(),
        Fallback::Is(value) => format!("`{value}`"),
        Fallback::Otherwise(words) => words.to_owned(),
    };
    let (form, meaning, only) = (key.form.words(), key.meaning.trim(), only(key.only));
    let label = if of_service { format!(" {} |", label_of(key)) } else { String::new() };
    format!("| `{}` | {form} | {fallback} |{label} {meaning}{only} |\n", key.name)
}

/// Whether a label may give the key.
fn label_of(key: &Key) -> &'static str {
    match key.by_label {
        Some(ByLabel::Always) => "yes",
        Some(ByLabel::Within) => "up to the container's own, or with permission",
        Some(ByLabel::Allowed) => "with permission",
        Some(ByLabel::Never) | None => "no",
    }
}

/// Beside what a key means anything, as one more sentence.
fn only(conditions: &[Only]) -> String {
    let all: Vec<_> = conditions.iter().map(Only::words).collect();
    if all.is_empty() { String::new() } else { format!(" Only with {}.", all.join(" and ")) }
}
