//! The image: the program, the certificates of authorities, and nothing else. In the form that
//! `docker load` and `podman load` read, made without a daemon.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::stage::Stage;
use super::{ARCHITECTURE, sha256};

/// A user without rights, whom no host has.
const USER: u64 = 65_532;
/// Where this machine keeps the authorities that TLS trusts; the package is `ca-certificates`.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Nothing in the image changes with the time it was made.
const CREATED: &str = "1970-01-01T00:00:00Z";
const SECOND_NS: u64 = 1_000_000_000;

/// Makes it in `folder`; gives its path.
pub(super) fn make(stage: &Stage, folder: &Path) -> Result<PathBuf> {
    let layer = layer(stage)?;
    let config = serde_json::to_vec(&config(&stage.version, &sha256(&layer)))?;
    let name = format!("{}.json", sha256(&config));
    let tags = [format!("flyball:{}", stage.version), "flyball:latest".to_owned()];
    let manifest = json!([{ "Config": name, "RepoTags": tags, "Layers": ["layer.tar"] }]);
    let path = folder.join(format!("flyball-{}-image.tar.gz", stage.version));
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut tar = Builder::new(GzEncoder::new(file, Compression::best()));
    add(&mut tar, "manifest.json", &serde_json::to_vec(&manifest)?, 0o644)?;
    add(&mut tar, &name, &config, 0o644)?;
    add(&mut tar, "layer.tar", &layer, 0o644)?;
    tar.into_inner()?.finish()?.sync_all()?;
    Ok(path)
}

/// How a container of the image runs. It is healthy while `flyball status` gets an answer.
fn config(version: &str, layer_sha256: &str) -> Value {
    let health = json!({
        "Test": ["CMD", "/usr/bin/flyball", "status"],
        "Interval": 30 * SECOND_NS,
        "Timeout": 5 * SECOND_NS,
        "StartPeriod": 20 * SECOND_NS,
        "Retries": 3,
    });
    json!({
        "architecture": ARCHITECTURE,
        "os": "linux",
        "created": CREATED,
        "config": {
            "User": format!("{USER}:{USER}"),
            "Env": ["PATH=/usr/bin", "XDG_STATE_HOME=/var/lib"],
            "Entrypoint": ["/usr/bin/flyball"],
            "Cmd": ["run"],
            "WorkingDir": "/etc/flyball",
            "Volumes": { "/var/lib/flyball": {} },
            "StopSignal": "SIGTERM",
            "Healthcheck": health,
            "Labels": {
                "org.opencontainers.image.title": "flyball",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_sha256}")] },
        "history": [{ "created": CREATED, "created_by": "cargo xtask dist image" }],
    })
}

/// The files of the image. `/etc/flyball` is where its user mounts a `flyball.toml`.
fn layer(stage: &Stage) -> Result<Vec<u8>> {
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut tar = Builder::new(Vec::new());
    for (folder, mode, owner) in [
        ("etc/", 0o755, 0),
        ("etc/flyball/", 0o755, 0),
        ("etc/ssl/", 0o755, 0),
        ("etc/ssl/certs/", 0o755, 0),
        ("tmp/", 0o1777, 0),
        ("usr/", 0o755, 0),
        ("usr/bin/", 0o755, 0),
        ("var/", 0o755, 0),
        ("var/lib/", 0o755, 0),
        ("var/lib/flyball/", 0o700, USER),
    ] {
        add_folder(&mut tar, folder, mode, owner)?;
    }
    let users = format!("root:x:0:0::/:/\nflyball:x:{USER}:{USER}::/var/lib/flyball:/\n");
    add(&mut tar, "etc/passwd", users.as_bytes(), 0o644)?;
    let groups = format!("root:x:0:\nflyball:x:{USER}:\n");
    add(&mut tar, "etc/group", groups.as_bytes(), 0o644)?;
    add(&mut tar, &AUTHORITIES[1..], &read(Path::new(AUTHORITIES))?, 0o644)?;
    let licences = stage.folder.join("usr/share/doc/flyball");
    add_folder(&mut tar, "usr/share/", 0o755, 0)?;
    add_folder(&mut tar, "usr/share/doc/", 0o755, 0)?;
    add_folder(&mut tar, "usr/share/doc/flyball/", 0o755, 0)?;
    let mut documents: Vec<_> = fs::read_dir(&licences)?.flatten().map(|it| it.path()).collect();
    documents.sort();
    for path in documents {
        let name = path.file_name().context("a document without a name")?.to_string_lossy();
        add(&mut tar, &format!("usr/share/doc/flyball/{name}"), &read(&path)?, 0o644)?;
    }
    add(&mut tar, Stage::PROGRAM, &read(&stage.folder.join(Stage::PROGRAM))?, 0o755)?;
    Ok(tar.into_inner()?)
}

fn add(tar: &mut Builder<impl Write>, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(u64::try_from(bytes.len())?);
    header.set_mode(mode);
    Ok(tar.append_data(&mut header, path, bytes)?)
}

fn add_folder(tar: &mut Builder<impl Write>, path: &str, mode: u32, owner: u64) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_size(0);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    Ok(tar.append_data(&mut header, path, std::io::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_of_the_image_runs_flyball_without_rights() {
        let config = config("1.2.3", "abc");
        let of = &config["config"];
        assert_eq!(of["User"], "65532:65532");
        assert_eq!(
            (&of["Entrypoint"][0], &of["Cmd"][0]),
            (&"/usr/bin/flyball".into(), &"run".into())
        );
        assert_eq!(config["rootfs"]["diff_ids"][0], "sha256:abc");
    }

    #[test]
    fn an_entry_keeps_its_mode_and_owner() {
        let mut tar = Builder::new(Vec::new());
        add_folder(&mut tar, "state/", 0o700, USER).unwrap();
        add(&mut tar, "program", b"x", 0o755).unwrap();
        let bytes = tar.into_inner().unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let all: Vec<_> = archive.entries().unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(all[0].header().mode().unwrap(), 0o700);
        assert_eq!(all[0].header().uid().unwrap(), USER);
        assert_eq!(all[1].header().mode().unwrap(), 0o755);
    }
}
