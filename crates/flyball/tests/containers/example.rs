//! examples/docker does what its README promises.

/// Loads the machine.
mod alone {
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use flyball_testkit::compose::Compose;

    use crate::load::get;
    use crate::stage::Stage;
    use crate::support::{FLYBALL, until};

    /// A Compose project of the example on the lab's Docker.
    struct Example {
        folder: PathBuf,
        socket: PathBuf,
        host: String,
        port: u16,
    }

    impl Example {
        fn command(&self, program: &str, arguments: &[&str]) -> Command {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
            command.env("DOCKER_HOST", &self.host).env("DOCKER_SOCK", &self.socket);
            command.env("PORT", self.port.to_string()).env("FLYBALL", FLYBALL);
            command.env("COMPOSE_PROJECT_NAME", "shop");
            command
        }

        #[track_caller]
        fn run(&self, program: &str, arguments: &[&str]) -> String {
            let output = self.command(program, arguments).output().unwrap();
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            assert!(output.status.success(), "{program} {arguments:?}: {out}{err}");
            out + &err
        }
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn the_example_scales_out_shows_its_copies_and_goes_down_whole() {
        let Some(stage) = Stage::set() else { return };
        if Compose::installed().is_none() {
            return;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/docker");
        let (socket, host) = (stage.lab.socket(), stage.lab.host());
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let example = Example { folder, socket, host, port };
        example.run("./build.sh", &[]);
        example.run("docker-compose", &["up", "-d"]);
        let front = ([127, 0, 0, 1], port).into();
        until("an answer", || get(front, "/").ok());
        let mut load = example.command("./load.sh", &["15", "20", &port.to_string()]);
        let load = load.stdout(Stdio::piped()).spawn().unwrap();
        let copies = || stage.containers("web").len();
        until("copies", || (copies() >= 3).then_some(()));
        let shown = example.run("docker-compose", &["ps"]);
        let rows = shown.lines().filter(|line| line.contains("shop") && line.contains("web"));
        assert!(rows.count() >= 3, "{shown}");
        let output = text(&load.wait_with_output().unwrap().stdout);
        assert!(output.ends_with(" 0 failed\n"), "{output}");
        let down = example.run("docker-compose", &["down", "-v"]);
        assert!(!down.contains("rror"), "{down}");
        let left = stage.wait(stage.lab.names());
        assert!(left.is_empty(), "{left:?} are left after {down}");
        assert!(get(front, "/").is_err());
    }
}
