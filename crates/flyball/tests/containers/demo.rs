//! `flyball demo --engine docker`: the same demo in containers, and nothing of it left.

/// Loads the machine.
mod alone {
    use std::fs::{self, File};
    use std::process::{Command, Stdio};

    use rustix::process::Signal;
    use serde_json::Value;

    use crate::stage::Stage;
    use crate::support::{Place, carriers, flyball, run, signal, until};

    fn demo(stage: &Stage, place: &Place, seconds: u64) -> (Command, String) {
        let mut command = flyball(["demo", "--engine", "docker", "--json", "--seconds"]);
        let mark = place.path().display().to_string();
        command.arg(seconds.to_string()).env("DOCKER_HOST", stage.lab.host());
        command.env("TMPDIR", place.path()).env("FLYBALL_TEST", &mark);
        (command, format!("FLYBALL_TEST={mark}"))
    }

    #[track_caller]
    fn assert_nothing_left(stage: &Stage, place: &Place, mark: &str) {
        assert!(stage.wait(stage.lab.names()).is_empty());
        let images = stage.wait(stage.lab.images());
        assert!(!images.iter().any(|image| image.contains("demo")), "{images:?}");
        assert!(carriers(mark).is_empty(), "processes are left");
        let files: Vec<_> = fs::read_dir(place.path()).unwrap().flatten().collect();
        assert!(files.is_empty(), "{files:?} are left");
    }

    #[test]
    fn a_demo_in_containers_fails_no_request_and_leaves_nothing_however_it_ends() {
        let Some(stage) = Stage::set() else { return };
        let place = Place::new();
        let (mut command, mark) = demo(&stage, &place, 15);
        let output = run(&mut command);
        assert_eq!(output.code, Some(0), "{output:?}");
        let result: Value = serde_json::from_str(&output.stdout).unwrap();
        println!("{result}");
        assert_eq!((&result["failed"], &result["unfinished"]), (&0.into(), &0.into()), "{result}");
        assert!(result["scale_outs"].as_u64() > Some(0), "{result}");
        assert_nothing_left(&stage, &place, &mark);
        let notes = Place::new();
        for moment in ["", "watch it"] {
            let (mut command, mark) = demo(&stage, &place, 60);
            let err = notes.path().join("err");
            command.stdout(Stdio::null()).stderr(File::create(&err).unwrap());
            let mut child = command.spawn().unwrap();
            let begun = || {
                let reached = fs::read_to_string(&err).unwrap().contains(moment);
                (reached && carriers(&mark).len() > 1).then_some(())
            };
            until("its moment", begun);
            signal(child.id(), Signal::INT);
            let status = until("its end", || child.try_wait().unwrap());
            assert_eq!(status.code(), Some(130), "{}", fs::read_to_string(&err).unwrap());
            assert_nothing_left(&stage, &place, &mark);
        }
    }
}
