//! Containers and images whose authors are not the operator. They live on the stage's own Docker
//! and end with it.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{BuildImageOptionsBuilder, CreateImageOptionsBuilder};
use futures_util::StreamExt;

use crate::stage::Stage;
use flyball_testkit::docker::{IMAGE, app};

/// One container of another user.
#[derive(Default)]
pub(crate) struct Attacker<'a> {
    pub(crate) name: &'a str,
    /// The lab's own by default.
    pub(crate) image: Option<&'a str>,
    pub(crate) labels: Vec<(&'a str, String)>,
    pub(crate) env: Vec<String>,
    pub(crate) host: HostConfig,
}

impl Attacker<'_> {
    /// Runs it; gives its id.
    pub(crate) fn run(self, stage: &Stage) -> String {
        let labels = self.labels.into_iter().map(|(name, value)| (name.to_owned(), value));
        let body = ContainerCreateBody {
            image: Some(self.image.unwrap_or(IMAGE).to_owned()),
            labels: Some(labels.collect::<HashMap<_, _>>()),
            env: Some(self.env),
            host_config: Some(self.host),
            ..Default::default()
        };
        stage.wait(stage.lab.run_body(self.name, body))
    }
}

/// What is in an image or in what it is built from: the application and a `Dockerfile`.
fn archive(dockerfile: Option<&str>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let program = app(&std::env::temp_dir().join("flyball-docker-lab"));
    std::fs::copy(program, folder.path().join("app")).unwrap();
    if let Some(text) = dockerfile {
        std::fs::write(folder.path().join("Dockerfile"), text).unwrap();
    }
    Command::new("tar").arg("-C").arg(folder.path()).args(["-c", "."]).output().unwrap().stdout
}

fn label_lines(labels: &[(&str, String)]) -> Vec<String> {
    labels.iter().map(|(name, value)| format!("LABEL {name}={value:?}")).collect()
}

/// Makes the image `name:1` with `labels` of its own, which serves as the lab's does.
pub(crate) fn image(stage: &Stage, name: &str, labels: &[(&str, String)]) {
    let mut changes = vec!["CMD [\"/app\"]".to_owned(), "EXPOSE 8080".to_owned()];
    changes.extend(label_lines(labels));
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(name).tag("1");
    let options = options.changes(changes).build();
    let body = bollard::body_full(archive(None).into());
    stage.wait(async {
        let docker = stage.lab.client().await;
        let steps: Vec<_> = docker.create_image(Some(options), Some(body), None).collect().await;
        steps.into_iter().for_each(|step| drop(step.unwrap()));
    });
}

/// The lines that build an image with `labels`, the last of them run for as long as they are let.
pub(crate) fn dockerfile(labels: &[(&str, String)]) -> String {
    let lines = label_lines(labels).join("\n");
    format!("FROM {IMAGE}\n{lines}\nRUN [\"/app\"]\n")
}

/// Builds with the classic builder until dropped.
pub(crate) fn build(stage: &Stage, dockerfile: &str) -> tokio::task::AbortHandle {
    let options = BuildImageOptionsBuilder::new().dockerfile("Dockerfile").t("built:1").build();
    let body = bollard::body_full(archive(Some(dockerfile)).into());
    let docker = stage.wait(stage.lab.client());
    let built = stage.runtime.spawn(async move {
        let mut steps = std::pin::pin!(docker.build_image(options, None, Some(body)));
        while let Some(step) = steps.next().await {
            if let Err(error) = step {
                eprintln!("the classic builder: {error}");
            }
        }
    });
    built.abort_handle()
}

/// The same with BuildKit, which Debian's own client speaks; `None` where no client does.
pub(crate) fn build_with_buildkit(stage: &Stage, dockerfile: &str) -> Option<Child> {
    let folder = stage.place.path().join("buildkit");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    let client = ["/usr/bin/docker", "docker"].into_iter().find(|program| {
        let mut asked = Command::new(program);
        asked.args(["build", "--help"]).env("DOCKER_BUILDKIT", "1");
        asked
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("--progress"))
    })?;
    let mut command = Command::new(client);
    command.args(["-H", &stage.lab.host(), "build", "--progress", "plain", "--network", "none"]);
    command.arg(folder).env("DOCKER_BUILDKIT", "1").stdin(Stdio::null());
    Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}
