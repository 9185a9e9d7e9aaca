//! The reference of all keys, as Markdown. It prints every key of every section, so that the
//! documentation cannot fall behind what is read.

use std::fmt::Write;

use crate::bytes::show_bytes;
use crate::duration::show_duration;
use crate::keys::{
    ByLabel, EXTERNAL_TABLE, Fallback, Key, Kind, Only, POLICY_KEY, READY, SECTIONS, SERVICE_PATH,
    Section,
};
use crate::share::show_share;

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

`flyball.service` names the service. Every other label is `flyball.` and a key, with a dot for each
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
`flyball.replica`, `flyball.managed`, `flyball.copy` and `flyball.signature`, which flyball sets on
what it starts.

| label | key | allowed |
|---|---|---|
";

/// All sections and keys of the file: type, default and meaning of each; and what labels there are.
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    for section in SECTIONS {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## `[{}]`\n\n{}\n\n", section.path, section.meaning);
        let of_service = section.path.starts_with(SERVICE_PATH);
        page.push_str(if of_service { SERVICE_HEAD } else { SYSTEM_HEAD });
        for key in section.keys {
            page.push_str(&row(key, of_service));
        }
    }
    page.push_str(LABELS);
    for (section, key) in labelled() {
        let table = section.path.strip_prefix("services.NAME").unwrap_or_default();
        let label = format!("flyball{table}.{}", key.name).replace('_', "-");
        let rest = if matches!(key.kind, Kind::Variables) { ".NAME" } else { "" };
        let (path, may) = (section.path, label_of(key));
        let _ = writeln!(page, "| `{label}{rest}` | `{}` in `[{path}]` | {may} |", key.name);
    }
    page
}

/// The keys that labels can give, without those that are nothing but tables.
fn labelled() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    let of_services = SECTIONS.iter().filter(|section| section.path.starts_with("services."));
    of_services.flat_map(|section| section.keys.iter().map(|key| (*section, *key))).filter(
        |(_, key)| {
            let of_containers = |only: &Only| {
                only.0 != "engine"
                    || only.1.iter().any(|word| ["docker", "swarm", "marathon"].contains(word))
            };
            let is_word =
                [&READY, &POLICY_KEY, &EXTERNAL_TABLE].iter().any(|word| std::ptr::eq(*word, *key));
            let has_value = is_word || !matches!(key.kind, Kind::Table(_));
            let may = !matches!(key.by_label, Some(ByLabel::Never) | None);
            may && has_value && key.only.iter().all(of_containers)
        },
    )
}

fn row(key: &Key, of_service: bool) -> String {
    let fallback = match key.fallback {
        Fallback::Required => "required".to_owned(),
        Fallback::Is(value) => format!("`{value}`"),
        Fallback::Otherwise(words) => words.to_owned(),
    };
    let (kind, meaning, only) = (kind(&key.kind), key.meaning, only(key.only));
    let label = if of_service { format!(" {} |", label_of(key)) } else { String::new() };
    format!("| `{}` | {kind} | {fallback} |{label} {meaning}{only} |\n", key.name)
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
    let condition = |Only(key, words): &Only| format!("`{key} = {}`", either(words));
    let all: Vec<_> = conditions.iter().map(condition).collect();
    if all.is_empty() { String::new() } else { format!(" Only with {}.", all.join(" and ")) }
}

fn either(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join("` or `")
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Address => "IP address and port".to_owned(),
        Kind::Ip => "IP address".to_owned(),
        Kind::Peer => "host and port".to_owned(),
        Kind::Url => "`http://` or `https://` address".to_owned(),
        Kind::Port => "whole number, 1 to 65535".to_owned(),
        Kind::DockerHost => "`unix://` or `tcp://` address".to_owned(),
        Kind::MesosMaster => "`http://`, `https://` or `zk://` address".to_owned(),
        Kind::Marathon => "`http://` or `https://` addresses, or `zk://` address".to_owned(),
        Kind::Zookeeper => "`zk://` address".to_owned(),
        Kind::Socket => "path or `tcp://` address".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::HttpPath => "path that starts with `/`".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::HaproxyName => "text of `A-Z`, `a-z`, `0-9`, `.`, `_`, `-` and `:`".to_owned(),
        Kind::HaproxyNames => "list of HAProxy names".to_owned(),
        Kind::LabelKeys => "list of keys".to_owned(),
        Kind::Options => "words of a `server` line".to_owned(),
        Kind::Words | Kind::Lines => "list of texts".to_owned(),
        Kind::Networks => "list of IP addresses and networks".to_owned(),
        Kind::Variables => "table of texts".to_owned(),
        Kind::Cores => "number above 0".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Count { from, to } => format!("whole number, {from} to {to}"),
        Kind::Bytes { from, to } => {
            format!("amount of memory, {} to {}", show_bytes(*from), show_bytes(*to))
        }
        Kind::Duration { from_ms, to_ms } => {
            format!("duration, {} to {}", show_duration(*from_ms), show_duration(*to_ms))
        }
        Kind::Share { above_zero, to } => {
            let from = if *above_zero { "above 0%" } else { "0%" };
            format!("share, {from} to {}", show_share(*to))
        }
        Kind::Choice(words) => {
            format!("`{}`", either(words))
        }
        Kind::Table(path) => format!("see `[{path}]`"),
    }
}
