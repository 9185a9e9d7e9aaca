//! The credentials with which Docker's own client would pull an image: of its configuration file
//! and of the helpers named there. No secret is logged, and none is kept longer than the pull
//! takes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

/// How the file calls Docker Hub: by the address of its index in the first version of the API, which
/// no other registry has. Images of it name no registry.
const HUB: (&str, &str) = ("https://index.", "/v1/");
/// With this, a helper says that it has none; it ends with an error then, too.
const NO_CREDENTIALS: &str = "credentials not found";
const FILE_BYTES_MAX: u64 = 1 << 20;
const ANSWER_BYTES_MAX: u64 = 1 << 16;
/// A helper may ask a service of a cloud.
const HELPER_LIMIT: Duration = Duration::from_secs(15);
/// The user name with which a helper says that its secret is a token.
const TOKEN_USER: &str = "<token>";

/// What flyball reads of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

/// What a helper answers.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// The credentials for the registry of `image`; `None` where there are none. Why some that are
/// there cannot be had.
pub(crate) async fn credentials_for(
    image: &str,
    folder: Option<&Path>,
) -> Result<Option<DockerCredentials>, String> {
    let Some(path) = folder.map(|folder| folder.join("config.json")) else { return Ok(None) };
    let Some(file) = read(&path)? else { return Ok(None) };
    let registry = registry_of(image);
    let Some(name) = file.name_of(registry).map(str::to_owned) else { return Ok(None) };
    let helper = Some(file.helper_of(&name)).filter(|helper| !helper.is_empty());
    match helper {
        Some(helper) => ask(helper, &name).await,
        None => Ok(file.auths.get(&name).map(|auth| auth.credentials(&name))),
    }
}

fn read(path: &Path) -> Result<Option<File>, String> {
    match flyball_file::read_text(path, FILE_BYTES_MAX) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(file) => Ok(Some(file)),
            // The parser's own words could quote a secret.
            Err(error) => Err(format!("{} is not valid: line {}", path.display(), error.line())),
        },
        Err(flyball_file::FileError::Missing) => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

impl File {
    fn helper_of(&self, registry: &str) -> &str {
        self.helpers.get(registry).unwrap_or(&self.store)
    }

    /// What the file calls a registry: its name as it is, or with what old clients wrote around it.
    /// A store is asked for any name, so one that the file does not have is as good as another.
    fn name_of<'a>(&'a self, registry: Option<&'a str>) -> Option<&'a str> {
        let mut names = self.helpers.keys().chain(self.auths.keys()).map(String::as_str);
        let Some(registry) = registry else { return names.find(|name| is_hub(name)) };
        let all: Vec<&str> = names.collect();
        let exact = all.iter().find(|name| **name == registry);
        let same = || all.iter().find(|name| host_of(name) == registry);
        let hub = || all.iter().find(|name| is_hub(name) && is_index_of(host_of(name), registry));
        let found = exact.or_else(same).or_else(hub).copied();
        found.or_else(|| (!self.store.is_empty()).then_some(registry))
    }
}

impl Auth {
    fn credentials(&self, registry: &str) -> DockerCredentials {
        let plain = STANDARD.decode(self.auth.trim()).ok().and_then(|b| String::from_utf8(b).ok());
        let (user, password) = match plain.as_deref().and_then(|plain| plain.split_once(':')) {
            Some((user, password)) => (user, password.trim_end_matches('\0')),
            None => (self.username.as_str(), self.password.as_str()),
        };
        let token = Some(self.identitytoken.clone()).filter(|token| !token.is_empty());
        DockerCredentials {
            username: Some(user.to_owned()),
            password: Some(password.to_owned()).filter(|_| token.is_none()),
            identitytoken: token,
            serveraddress: Some(registry.to_owned()),
            ..DockerCredentials::default()
        }
    }
}

/// The registry in the name of an image; `None` for Docker Hub.
fn registry_of(image: &str) -> Option<&str> {
    let (first, _) = image.split_once('/')?;
    (first.contains(['.', ':']) || first == "localhost").then_some(first)
}

fn is_hub(name: &str) -> bool {
    name.starts_with(HUB.0) && name.ends_with(HUB.1)
}

/// Whether `host` is the index of the registry `registry`.
fn is_index_of(host: &str, registry: &str) -> bool {
    host.strip_prefix("index.") == Some(registry)
}

fn host_of(name: &str) -> &str {
    let name = name.trim_start_matches("https://").trim_start_matches("http://");
    name.split('/').next().unwrap_or(name)
}

/// Asks the program `docker-credential-HELPER`. That it knows nothing of the registry is no failure.
async fn ask(helper: &str, registry: &str) -> Result<Option<DockerCredentials>, String> {
    let program = format!("docker-credential-{helper}");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !helper.chars().all(plain) {
        return Err(format!("{program:?} is not the name of a credential helper"));
    }
    let answered = timeout(HELPER_LIMIT, run(&program, registry)).await;
    let answered = answered
        .map_err(|_| format!("{program} did not answer within {} s", HELPER_LIMIT.as_secs()))?;
    let text = answered.map_err(|error| format!("cannot run {program}: {error}"))?;
    let text = match text {
        Ok(text) => text,
        Err(said) if said.contains(NO_CREDENTIALS) => return Ok(None),
        Err(_) => return Err(format!("{program} failed")),
    };
    let answer: Answer =
        serde_json::from_str(&text).map_err(|_| format!("{program} gave no usable answer"))?;
    let is_token = answer.user == TOKEN_USER;
    let (password, token) =
        if is_token { (None, Some(answer.secret)) } else { (Some(answer.secret), None) };
    Ok(Some(DockerCredentials {
        username: Some(answer.user).filter(|_| !is_token),
        password,
        identitytoken: token,
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    }))
}

/// What the helper prints, or what it prints and then ends with an error.
async fn run(program: &str, registry: &str) -> std::io::Result<Result<String, String>> {
    let mut command = Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(registry.as_bytes()).await?;
    }
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER_BYTES_MAX).read_to_string(&mut text).await?;
    }
    Ok(if child.wait().await?.success() { Ok(text) } else { Err(text) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_images_registry_is_the_first_part_of_its_name_or_the_hub() {
        for (image, registry) in [
            ("shop", None),
            ("team/shop:1", None),
            ("registry.example.test/shop:1", Some("registry.example.test")),
            ("localhost/shop", Some("localhost")),
            ("localhost:5000/team/shop@sha256:11", Some("localhost:5000")),
        ] {
            assert_eq!(registry_of(image), registry, "{image}");
        }
    }

    async fn found(text: &str, image: &str) -> Result<Option<DockerCredentials>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        credentials_for(image, Some(folder.path())).await
    }

    #[tokio::test]
    async fn a_login_is_found_under_the_name_of_its_registry() {
        let text = format!(
            r#"{{ "auths": {{ "https://r.example.test/v1/": {{ "auth": "{}" }},
                 "localhost:5000": {{ "identitytoken": "t" }} }} }}"#,
            STANDARD.encode("ann:se:cret")
        );
        let ann = found(&text, "r.example.test/shop").await.unwrap().unwrap();
        assert_eq!(
            (ann.username.as_deref(), ann.password.as_deref()),
            (Some("ann"), Some("se:cret"))
        );
        let token = found(&text, "localhost:5000/shop").await.unwrap().unwrap();
        assert_eq!((token.identitytoken.as_deref(), token.password), (Some("t"), None));
        assert_eq!(found(&text, "shop").await, Ok(None));
        assert_eq!(credentials_for("shop", None).await, Ok(None));
    }

    #[tokio::test]
    async fn the_hub_is_the_registry_of_images_that_name_none_and_of_those_that_name_it() {
        let auth = STANDARD.encode("ann:secret");
        let text =
            format!(r#"{{ "auths": {{ "https://index.hub.test/v1/": {{ "auth": "{auth}" }} }} }}"#);
        for image in ["shop", "team/shop:1", "hub.test/team/shop", "index.hub.test/shop"] {
            let found = found(&text, image).await.unwrap().unwrap();
            assert_eq!(found.username.as_deref(), Some("ann"), "{image}");
            assert_eq!(found.serveraddress.as_deref(), Some("https://index.hub.test/v1/"));
        }
        assert_eq!(found(&text, "other.test/shop").await, Ok(None));
    }

    #[tokio::test]
    async fn a_file_that_is_none_is_told_without_its_text() {
        let why = found(r#"{ "auths": { "a": { "auth": 17, "password": "secret" } } }"#, "a").await;
        let why = why.unwrap_err();
        assert!(why.contains("config.json is not valid") && !why.contains("secret"), "{why}");
        let helper = found(r#"{ "credsStore": "../../bin/sh" }"#, "r.test/shop").await.unwrap_err();
        assert!(helper.contains("not the name of a credential helper"), "{helper}");
        let gone = found(r#"{ "credsStore": "flyball-none" }"#, "r.test/shop").await.unwrap_err();
        assert!(gone.contains("cannot run docker-credential-flyball-none"), "{gone}");
    }

    #[tokio::test]
    async fn a_helper_is_asked_for_its_registry() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("helper");
        let script = "#!/bin/sh\nread -r registry\n[ \"$registry\" = r.test ] || \
            { echo credentials not found in native keychain; exit 1; }\necho '{\"ServerURL\":\"r.test\",\"Username\":\"ann\",\"Secret\":\"s\"}'\n";
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = program.to_str().unwrap();
        let known = run(program, "r.test\n").await.unwrap().unwrap();
        assert!(known.contains("ann"), "{known}");
        assert!(run(program, "other\n").await.unwrap().unwrap_err().contains(NO_CREDENTIALS));
    }
}
