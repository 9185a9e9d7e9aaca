//! Every label, on a container and on its image, without and with a permission: what the program
//! makes of it. Docker is scripted here; attacks on a real one are in `containers`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Place, flyball, run};
use flyball_testkit::labels::{Allowed, Label, beside, every_label};

/// One container: the service that it names, its labels, and those of its image.
struct Container {
    service: String,
    labels: BTreeMap<String, String>,
    image: BTreeMap<String, String>,
}

impl Container {
    /// A label of the container alone.
    fn labelled(number: usize, label: &Label) -> Self {
        Self::of(format!("c{number}"), beside(&label.name, label.value), BTreeMap::new())
    }

    /// The same label, which the image brings along; what the service needs is the container's.
    fn of_image(number: usize, label: &Label) -> Self {
        // What only one service can have is another one's here.
        let value = match label.name.as_str() {
            "flyball.listen" => "127.0.0.1:8089",
            "flyball.activator" => "127.0.0.1:8091",
            "flyball.haproxy.backend" | "flyball.host" => "y",
            _ => label.value,
        };
        let image = BTreeMap::from([(label.name.clone(), value.to_owned())]);
        Self::of(format!("i{number}"), beside(&label.name, value), image)
    }

    fn of(service: String, labels: Vec<(String, String)>, image: BTreeMap<String, String>) -> Self {
        let mut labels: BTreeMap<String, String> = labels.into_iter().collect();
        labels.insert("flyball.service".to_owned(), service.clone());
        Self { service, labels, image }
    }

    fn summary(&self) -> Value {
        let (id, name) = (&self.service, format!("/of-{}", self.service));
        json!({
            "Id": id, "Names": [name], "Labels": self.labels, "State": "running", "Status": "Up",
            "Created": 1, "NetworkSettings": { "Networks": { "blue": {} } },
        })
    }

    /// Half a core and 64 MiB in the network `blue`.
    fn inspection(&self) -> Value {
        json!({
            "Id": self.service, "Name": format!("/of-{}", self.service), "Image": self.service,
            "Config": { "Image": "shop:1", "Labels": self.labels },
            "State": { "Status": "running", "Pid": 0 },
            "HostConfig": {
                "NetworkMode": "blue", "NanoCpus": 500_000_000, "Memory": 64 << 20,
            },
            "NetworkSettings": { "Networks": { "blue": { "IPAddress": "10.0.0.2" } } },
        })
    }
}

/// A Docker with these containers, for as long as the test lasts.
fn docker(socket: &Path, containers: Vec<Container>) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let containers = std::sync::Arc::new(containers);
        for stream in listener.incoming().flatten() {
            let containers = std::sync::Arc::clone(&containers);
            std::thread::spawn(move || serve(stream, &containers));
        }
    });
}

/// One request after another until the caller hangs up.
fn serve(stream: UnixStream, containers: &[Container]) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut first = String::new();
        reader.read_line(&mut first).ok().filter(|length| *length > 0)?;
        let mut line = String::new();
        while reader.read_line(&mut line).ok()? > 2 {
            line.clear();
        }
        let path = first.split(' ').nth(1)?;
        let (status, body) = answer(path, containers);
        let text = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        stream.write_all((head + &text).as_bytes()).ok()?;
    }
}

fn answer(path: &str, containers: &[Container]) -> (u16, Value) {
    let path = path.split('?').next().unwrap();
    // Without the version in front of it.
    let path = path.strip_prefix("/v1.").map_or(path, |rest| &rest[rest.find('/').unwrap()..]);
    let named = |id: &str| containers.iter().find(|container| container.service == id);
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts[..] {
        ["version"] => (200, json!({ "ApiVersion": "1.41", "Version": "20.10" })),
        ["info"] => (200, json!({ "NCPU": 2 })),
        ["containers", "json"] => {
            (200, containers.iter().map(Container::summary).collect::<Value>())
        }
        ["containers", id, "json"] if named(id).is_some() => (200, named(id).unwrap().inspection()),
        ["images", id, "json"] if named(id).is_some() => {
            (200, json!({ "Id": id, "Config": { "Labels": named(id).unwrap().image } }))
        }
        _ => (404, json!({ "message": "not found" })),
    }
}

/// What `flyball check` reports about the labels of each service: why they are refused, and what is
/// passed over.
struct Checked {
    refused: BTreeMap<String, String>,
    remarks: BTreeMap<String, String>,
}

fn check(docker_table: &str) -> Checked {
    let place = Place::new();
    let socket = place.path().join("docker.sock");
    let rows = every_label();
    let both = |(n, label)| [Container::labelled(n, label), Container::of_image(n, label)];
    docker(&socket, rows.iter().enumerate().flat_map(both).collect());
    let (host, none) = (format!("unix://{}", socket.display()), place.path().join("none.sock"));
    place.configure(&format!(
        "[docker]\nhost = {host:?}\n{docker_table}\n[haproxy]\nsocket = {none:?}\n"
    ));
    let output = run(&mut flyball(["check", "--json", "-c", place.config().to_str().unwrap()]));
    let mut checked = Checked { refused: BTreeMap::new(), remarks: BTreeMap::new() };
    for line in output.stdout.lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        let (key, text) = (finding["key"].as_str().unwrap(), finding["text"].as_str().unwrap());
        if let Some(service) = key.strip_prefix("labels of service ") {
            checked.refused.entry(service.to_owned()).or_default().push_str(text);
        } else if let Some(service) = key.strip_prefix("services.") {
            checked.remarks.entry(service.to_owned()).or_default().push_str(text);
        }
    }
    assert!(
        output.stdout.contains("docker.host") && checked.remarks.len() > rows.len(),
        "{output:?}"
    );
    checked
}

fn permissions() -> String {
    let may: Vec<String> = every_label()
        .iter()
        .filter(|label| label.allowed == Allowed::WithPermission)
        .map(|label| format!("{:?}", label.permission()))
        .collect();
    format!("labels_may = [{}]", may.join(", "))
}

/// Whether the one label that differs was obeyed, refused, or passed over.
fn outcome(checked: &Checked, service: &str, label: &str) -> &'static str {
    let passed = checked.remarks.get(service).is_some_and(|text| {
        text.contains("labels of its image are ignored") && text.contains(label)
    });
    match (checked.refused.contains_key(service), passed) {
        // What the image alone sets is missing then.
        (_, true) => "passed over",
        (true, false) => "refused",
        (false, false) => "obeyed",
    }
}

#[test]
fn every_label_of_image_and_container_by_default_and_allowed() {
    let (default, permitted) = (check(""), check(&permissions()));
    let from_images = check(&format!("{}\nlabels_from_images = true", permissions()));
    for (number, label) in every_label().iter().enumerate() {
        let (container, image) = (format!("c{number}"), format!("i{number}"));
        let name = &label.name;
        let outcomes = [
            outcome(&default, &container, name),
            outcome(&permitted, &container, name),
            outcome(&default, &image, name),
            outcome(&permitted, &image, name),
            outcome(&from_images, &image, name),
        ];
        // What it needs beside it, `listen`, is for labels with permission only.
        let needs_listen = name == "flyball.sleep.ignore";
        let allowed = if needs_listen { Allowed::WithPermission } else { label.allowed };
        let wanted = match allowed {
            Allowed::Always => ["obeyed", "obeyed", "passed over", "passed over", "obeyed"],
            Allowed::WithPermission => {
                ["refused", "obeyed", "passed over", "passed over", "obeyed"]
            }
            Allowed::Never => ["refused", "refused", "passed over", "passed over", "refused"],
        };
        let errors = [&default, &permitted].map(|checked| checked.refused.get(&container));
        assert_eq!(outcomes, wanted, "{name}: {errors:?}");
    }
}
