//! Who may change things, who may read what is secret, and files that are none.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{Daemon, Place, ask, flyball, run, sample, until};

/// A place whose daemon wants the token in a file of `mode`.
fn with_token(mode: u32) -> Place {
    let place = Place::new();
    let token = place.write("token", "s3cret-s3cret-s3cret\n");
    fs::set_permissions(&token, Permissions::from_mode(mode)).unwrap();
    let state = place.state();
    place.write(
        "flyball.toml",
        &format!(
            "[flyball]\nlisten = \"127.0.0.1:0\"\nstate_dir = {state:?}\ntoken_file = {token:?}\n{}",
            sample("web", 1.0, 0.5, "")
        ),
    );
    place
}

fn checked(place: &Place) -> String {
    place.plain(&run(&mut flyball(["check", "-c", place.config().to_str().unwrap()])).stdout)
}

#[test]
fn a_token_is_asked_for_on_loopback_too() {
    let place = with_token(0o600);
    assert!(checked(&place).contains("ok    flyball.token_file: changes require the token"));
    let daemon = Daemon::start(&place);
    assert!(!daemon.log().contains("no token_file is set"), "{}", daemon.log());
    let pause = |token: Option<&str>| {
        let mut args = vec!["pause", "web", "--daemon"];
        let (address, file) = (daemon.api.to_string(), place.path().join("token"));
        args.push(&address);
        if token.is_some() {
            args.extend(["--token-file", file.to_str().unwrap()]);
        }
        run(&mut flyball(args))
    };
    let refused = pause(None);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("hint: give the daemon's token with --token-file"),
        "{refused:?}"
    );
    assert_eq!(pause(Some("token")).code, Some(0));
}

#[test]
fn what_it_means_that_no_token_is_set_is_reported_by_check_and_at_the_start() {
    let place = Place::with(&sample("web", 1.0, 0.5, ""));
    let means = "no token_file is set: every user of this machine can scale and pause services";
    assert!(checked(&place).contains(means));
    let daemon = Daemon::start(&place);
    until("the remark", || (daemon.log_count(means) > 0).then_some(()));
    assert_eq!(daemon.log_count(means), 1, "{}", daemon.log());
    assert_eq!(daemon.log_count("WARN"), 0, "{}", daemon.log());
}

#[test]
fn a_secret_that_others_may_read_is_a_finding_and_a_warning() {
    let place = with_token(0o644);
    let finding = "wrong flyball.token_file: every user of this machine can read PLACE/token\n      \
                   hint: chmod 600 PLACE/token\n";
    assert!(checked(&place).contains(finding), "{}", checked(&place));
    let daemon = Daemon::start(&place);
    // It comes with the lines after the one that says where the dashboard is.
    let said = || daemon.log_count("every user of this machine can read");
    until("the warning", || (said() > 0).then_some(()));
    assert_eq!(said(), 1, "{}", daemon.log());
    let group = with_token(0o640);
    assert!(!checked(&group).contains("wrong"), "a group is chosen: {}", checked(&group));
}

#[test]
fn the_state_directory_and_what_is_in_it_are_closed_to_others() {
    let place = Place::with(&sample("web", 1.0, 0.5, ""));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for _ in 0..2 {
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 1);
        assert_eq!(mode(&place.state()), 0o700);
        for entry in fs::read_dir(place.state()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        daemon.stop();
        // As an earlier version left them.
        fs::set_permissions(place.state(), Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(place.state()).unwrap() {
            fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o644)).unwrap();
        }
    }
    place.write("state/web.cfg", "");
    let finding = "wrong flyball.state_dir: the state directory PLACE/state is open to other users";
    assert!(checked(&place).contains(finding), "{}", checked(&place));
}

#[test]
fn a_fifo_where_a_file_is_expected_is_an_error_at_once() {
    let place = Place::with(&sample("web", 1.0, 0.5, ""));
    let fifo = place.path().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let fifo = fifo.to_str().unwrap();
    let token = format!("token_file = {fifo:?}\n");
    let text = fs::read_to_string(place.config()).unwrap();
    let tokened =
        place.write("token.toml", &text.replace("[flyball]\n", &format!("[flyball]\n{token}")));
    let tokened = tokened.to_str().unwrap();
    let cases: [&[&str]; 6] = [
        &["run", "-c", fifo],
        &["run", "-c", tokened],
        &["simulate", "--trace", fifo, "--replica-capacity", "10"],
        &["status", "--token-file", fifo],
        &["agent", "--token-file", fifo],
        &["agent", "--token-file", "/dev/zero"],
    ];
    for args in cases {
        let output = run(&mut flyball(args));
        assert_eq!(output.code, Some(2), "{args:?}: {output:?}");
        assert!(output.stderr.contains("not a regular file"), "{args:?}: {}", output.stderr);
    }
    let daemon = Daemon::start(&place);
    assert_eq!(ask(daemon.api, "GET", "/healthz", None).unwrap().status, 200);
}
