//! A Compose project with one service, in a folder of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flyball_testkit::compose::Compose;
use flyball_testkit::docker::IMAGE;

use crate::stage::Stage;
use crate::support::{Daemon, run_within, until};

/// Compose 1.29 needs some seconds for one container on a loaded machine.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// A Compose project with the service `web` in a folder of its own.
pub(crate) struct Project<'a> {
    name: &'a str,
    compose: &'a Compose,
    host: String,
    folder: PathBuf,
    /// Further lines of the service.
    pub(crate) more: String,
}

impl<'a> Project<'a> {
    pub(crate) fn new(stage: &Stage, compose: &'a Compose, name: &'a str) -> Self {
        let folder = stage.place.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self { name, compose, host: stage.lab.host(), folder, more: String::new() }
    }

    /// Writes the file, with `version` in the environment and in the answers.
    pub(crate) fn write(&self, version: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().fold(String::new(), |mut text, (name, value)| {
            writeln!(text, "      {name}: {value:?}").unwrap();
            text
        });
        let text = format!(
            "version: \"2.4\"\nservices:\n  web:\n    image: {IMAGE}\n    stop_grace_period: 2s\n    \
             environment:\n      VERSION: {version:?}\n{}    labels:\n{labels}",
            self.more
        );
        std::fs::write(self.folder.join("docker-compose.yml"), text).unwrap();
    }

    /// Brings version `v0` up, and flyball, which makes it a service with its labels.
    #[track_caller]
    pub(crate) fn begin(&self, stage: &Stage, labels: &[(&str, &str)], count: u64) -> Daemon {
        stage.place.configure(&stage.tables());
        self.write("v0", labels);
        self.run(&["up", "-d"]);
        let daemon = Daemon::start(&stage.place);
        until("the service", || (daemon.log_count("web: found by its labels") > 0).then_some(()));
        daemon.until_settled("web", count);
        stage.until_served();
        daemon
    }

    /// What it prints. It must succeed.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let (code, said) = self.attempt(words);
        assert_eq!(code, Some(0), "{words:?}: {said}");
        said
    }

    /// Its exit status, and what it prints.
    #[track_caller]
    pub(crate) fn attempt(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = self.compose.command(Path::new(&self.folder), &self.host);
        let ran = run_within(command.args(["-p", self.name]).args(words), COMMAND_LIMIT);
        (ran.code, format!("{}{}", ran.stdout, ran.stderr))
    }
}

/// The variable `VERSION` of each running container of the service, by its name.
pub(crate) fn versions(stage: &Stage, service: &str) -> BTreeMap<String, String> {
    let all = stage.containers(service).into_iter();
    all.filter_map(|(id, name)| {
        let seen = async { stage.lab.client().await.inspect_container(&id, None).await };
        let env = stage.wait(seen).ok()?.config?.env?;
        let version = env.iter().find_map(|line| line.strip_prefix("VERSION="))?.to_owned();
        Some((name, version))
    })
    .collect()
}
