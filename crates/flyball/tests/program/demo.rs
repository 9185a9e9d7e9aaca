//! `flyball demo`: the whole loop, and nothing of it left however it ends.

/// Loads the machine.
mod alone {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use rustix::process::{Signal, getuid};
    use serde_json::Value;

    use crate::support::{FLYBALL, Place, Ran, carriers, clean, run, run_within, signal, until};

    /// A user that owns nothing.
    const NOBODY: u32 = 65_534;

    /// A demo in `place`, and the variable that everything it starts inherits.
    fn demo(program: &Path, place: &Place, seconds: u64) -> (Command, String) {
        let mut command = Command::new(program);
        command.args(["demo", "--json", "--seconds", &seconds.to_string()]);
        clean(&mut command);
        let mark = place.path().display().to_string();
        command.env("TMPDIR", place.path()).env("FLYBALL_TEST", &mark);
        (command, format!("FLYBALL_TEST={mark}"))
    }

    fn assert_nothing_left(place: &Place, mark: &str) {
        let left = carriers(mark);
        assert!(left.is_empty(), "processes {left:?} are left");
        let files: Vec<_> = fs::read_dir(place.path()).unwrap().flatten().collect();
        assert!(files.is_empty(), "{files:?} are left");
    }

    fn assert_whole(output: &Ran) {
        assert_eq!(output.code, Some(0), "{output:?}");
        let result: Value = serde_json::from_str(&output.stdout).unwrap();
        println!("{result}");
        assert_eq!(result["failed"], 0, "{result}");
        assert_eq!(result["unfinished"], 0, "{result}");
        for figure in ["requests", "scale_outs", "scale_ins", "p99_ms"] {
            assert!(result[figure].as_f64() > Some(0.0), "{figure}: {result}");
        }
        let announced = format!(" of a real load, {} requests at up to ", result["requests"]);
        for words in [announced.as_str(), "watch it: http://127.0.0.1:"] {
            assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
        }
    }

    #[test]
    fn a_demo_scales_out_and_in_fails_no_request_and_leaves_nothing() {
        let place = Place::new();
        let (mut command, mark) = demo(FLYBALL.as_ref(), &place, 20);
        let output = run(&mut command);
        assert_whole(&output);
        assert_nothing_left(&place, &mark);
    }

    /// 90 s: squeezed into less, one burst is five points of requests over the limit, and whether a
    /// start came a moment later decides them.
    #[test]
    fn a_demo_comes_to_what_the_simulator_predicts_for_the_same_load() {
        let place = Place::new();
        let (mut command, _) = demo(FLYBALL.as_ref(), &place, 90);
        let output = run_within(&mut command, Duration::from_secs(120));
        assert_whole(&output);
        let result: Value = serde_json::from_str(&output.stdout).unwrap();
        let figure = |name: &str| result[name].as_f64().unwrap();
        let (live_s, simulated_s) =
            (figure("replica_seconds"), figure("replica_seconds_simulated"));
        assert!((live_s / simulated_s - 1.0).abs() <= 0.10, "{live_s} and {simulated_s}: {result}");
        let (live, simulated) = (figure("over_limit_pct"), figure("over_limit_pct_simulated"));
        assert!((live - simulated).abs() <= 1.0, "{live} % and {simulated} % slow: {result}");
    }

    #[test]
    fn a_user_without_any_rights_can_run_the_demo() {
        let (place, bin) = (Place::new(), Place::new());
        let program = bin.path().join("flyball");
        fs::copy(FLYBALL, &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let (mut command, mark) = demo(&program, &place, 10);
        if getuid().is_root() {
            for owned in [&place, &bin] {
                chown(owned.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
            command.uid(NOBODY).gid(NOBODY).current_dir("/");
        }
        let output = run(&mut command);
        assert_whole(&output);
        assert_nothing_left(&place, &mark);
    }

    #[test]
    fn ctrl_c_in_the_middle_of_a_demo_leaves_nothing() {
        let (place, notes) = (Place::new(), Place::new());
        let (mut command, mark) = demo(FLYBALL.as_ref(), &place, 60);
        let err = notes.path().join("err");
        command.stdout(Stdio::null()).stderr(fs::File::create(&err).unwrap());
        let mut child = command.spawn().unwrap();
        until("the load", || fs::read_to_string(&err).unwrap().contains("watch it").then_some(()));
        until("replicas", || (carriers(&mark).len() > 2).then_some(()));
        signal(child.id(), Signal::INT);
        let status = until("its end", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(130));
        let output = fs::read_to_string(&err).unwrap();
        assert!(output.ends_with("nothing is left running\n"), "{output}");
        assert_nothing_left(&place, &mark);
    }

    #[test]
    fn ctrl_c_before_the_load_begins_leaves_nothing() {
        let place = Place::new();
        let (mut command, mark) = demo(FLYBALL.as_ref(), &place, 60);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Signals are listened for before anything else is started.
        until("a first process", || (carriers(&mark).len() > 1).then_some(()));
        signal(child.id(), Signal::INT);
        let status = until("its end", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(130));
        assert_nothing_left(&place, &mark);
    }
}
