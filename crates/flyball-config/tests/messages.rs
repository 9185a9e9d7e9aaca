//! What people see when a configuration is wrong: one message for each mistake.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;

use flyball_config::{ConfigError, Env, TEXT_MAX, load, parse};
use insta::assert_snapshot;

fn user_env() -> Env {
    Env { home: Some("/home/a".into()), ..Env::default() }
}

/// All errors of `text`.
fn errors_in(text: &str) -> String {
    parse(text, "flyball.toml", &user_env()).unwrap_err().to_string()
}

/// All errors of a service that would be valid without `lines`.
fn errors_of(lines: &str) -> String {
    errors_in(&format!(
        "[services.web]\nengine = \"process\"\nlisten = \"127.0.0.1:80\"\ncommand = [\"a\"]\n{lines}\n"
    ))
}

/// The faults of the file at `path`, which is no configuration at all.
fn fault_of(path: &Path) -> ConfigError {
    let errors = load(path, &user_env()).unwrap_err();
    assert_eq!(errors.problems.len(), 1, "{errors}");
    assert!(errors.to_string().contains("hint: "), "{errors}");
    errors.problems[0].fault.clone()
}

#[test]
fn a_floor_above_the_ceiling_is_shown_with_its_line_and_a_hint() {
    assert_snapshot!(errors_of("min = 5\nmax = 3"), @r#"
    error: services.web.min: 5 is more than max = 3
      --> flyball.toml:5:7
    5 | min = 5
      |       ^
    hint: raise max or lower min
    "#);
}

#[test]
fn a_service_that_could_never_wake_is_refused() {
    let text =
        "[services.web]\nengine = \"process\"\ncommand = [\"a\"]\nbalancer = \"none\"\nmin = 0\n";
    assert_snapshot!(errors_in(text), @r#"
    error: services.web.min: 0 requires a balancer
      --> flyball.toml:5:7
    5 | min = 0
      |       ^
    hint: write min = 1: without a balancer, no request can wake the service
    "#);
    let external = format!("{text}policy = \"external\"\n");
    assert!(parse(&external, "flyball.toml", &user_env()).is_ok());
}

#[test]
fn bounds_that_no_pool_can_have_are_out_of_range() {
    assert_snapshot!(errors_of("max = 0\nmin = -1"), @r#"
    error: services.web.max: 0 is out of range
      --> flyball.toml:5:7
    5 | max = 0
      |       ^
    hint: the value must be at least 1

    error: services.web.min: -1 is out of range
      --> flyball.toml:6:7
    6 | min = -1
      |       ^^
    hint: the value must be at least 0
    "#);
}

#[test]
fn cores_are_a_number_above_zero() {
    for cpus in ["0", "-1", "0.0", "-inf"] {
        assert!(errors_of(&format!("cpus = {cpus}")).contains("must be above 0"), "{cpus}");
    }
    assert!(errors_of("cpus = inf").contains("must be at most 10000"));
    assert!(errors_of("cpus = nan").contains("NaN is not a number of cores"));
    assert!(errors_of("cpus = \"1\"").contains("hint: write cpus = 0.5"));
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_or_with_its_place() {
    assert_snapshot!(errors_of("drian = \"3s\"\nbusy_cap = \"80%\"\nimage = \"x\""), @r#"
    error: services.web.drian: unknown key
      --> flyball.toml:5:1
    5 | drian = "3s"
      | ^^^^^
    hint: did you mean drain?

    error: services.web.busy_cap: unknown key
      --> flyball.toml:6:1
    6 | busy_cap = "80%"
      | ^^^^^^^^
    hint: busy_cap belongs in [services.NAME.policy.governor]

    error: services.web.image has no effect with engine = "process"
      --> flyball.toml:7:9
    7 | image = "x"
      |         ^^^
    hint: write engine = "docker", or remove this key
    "#);
}

#[test]
fn a_word_is_one_of_those_that_the_key_knows() {
    assert_snapshot!(errors_of("policy = \"governer\"\nbalancer = \"marathon\""), @r#"
    error: services.web.policy: "governer" is not a valid value
      --> flyball.toml:5:10
    5 | policy = "governer"
      |          ^^^^^^^^^^
    hint: did you mean "governor"?

    error: services.web.balancer: "marathon" is not a valid value
      --> flyball.toml:6:12
    6 | balancer = "marathon"
      |            ^^^^^^^^^^
    hint: valid values: "proxy", "haproxy", "none"
    "#);
}

#[test]
fn a_percent_is_always_written_with_its_sign() {
    for text in ["30", "0.3", "\"30\"", "\"0.3\""] {
        let errors = errors_of(&format!("policy = {{ step = {{ out_at = {text} }} }}"));
        assert!(errors.contains("step.out_at") && errors.contains(": \"30%\""), "{text}: {errors}");
    }
}

#[test]
fn thresholds_that_cross_are_refused_also_when_one_is_a_default() {
    assert_snapshot!(errors_of("policy = { step = { out_at = \"10%\" } }"), @r#"
    error: services.web.policy.step.in_at: 15% is not less than out_at = 10%
      --> flyball.toml:5:30
    5 | policy = { step = { out_at = "10%" } }
      |                              ^^^^^
    hint: set in_at to half of out_at so that the count does not oscillate
    "#);
    let equal = errors_of("policy = { step = { out_at = \"20%\", in_at = \"20%\" } }");
    assert!(equal.contains("20% is not less than out_at = 20%"), "{equal}");
}

#[test]
fn durations_need_a_unit_and_stay_within_their_limits() {
    assert_snapshot!(errors_of("drain = 30\ngrace = \"-1s\"\ninterval = \"1ms\""), @r#"
    error: services.web.drain: 30 is not a duration
      --> flyball.toml:5:9
    5 | drain = 30
      |         ^^
    hint: write "30s" for seconds; units: ms, s, m, h, d

    error: services.web.grace: "-1s" is not a duration
      --> flyball.toml:6:9
    6 | grace = "-1s"
      |         ^^^^^
    hint: write a whole number and a unit (ms, s, m, h, d), such as "30s" or "250ms"

    error: services.web.interval: "1ms" is out of range
      --> flyball.toml:7:12
    7 | interval = "1ms"
      |            ^^^^^
    hint: the value must be at least 10ms
    "#);
}

#[test]
fn what_must_be_there_is_asked_for_at_the_name_of_the_service() {
    assert_snapshot!(errors_in("[services.web]\nmin = 1"), @r#"
    error: services.web.listen: missing
      --> flyball.toml:1:11
    1 | [services.web]
      |           ^^^
    hint: add listen = "127.0.0.1:8080"

    error: services.web.engine: missing
      --> flyball.toml:1:11
    1 | [services.web]
      |           ^^^
    hint: add engine = "docker" or "process"
    "#);
    assert_snapshot!(errors_in("[services.web]\nengine = \"process\"\nbalancer = \"none\""), @r#"
    error: services.web.command: missing
      --> flyball.toml:1:11
    1 | [services.web]
      |           ^^^
    hint: add command = ["./server", "--port", "{port}"]
    "#);
    assert_snapshot!(errors_in("[services.web]\nengine = \"docker\"\nbalancer = \"none\"\nimage = \"w\""), @r#"
    error: services.web.port: missing
      --> flyball.toml:1:11
    1 | [services.web]
      |           ^^^
    hint: add port = 8080
    "#);
}

#[test]
fn a_command_is_a_list_that_begins_with_a_program() {
    let errors_of = |command: &str| errors_in(&format!("[services.a]\ncommand = {command}"));
    assert!(errors_of("\"./a --port 5\"").contains("write command = [\"./a\", \"--port\", \"5\"]"));
    for empty in ["[]", "[\"\"]"] {
        assert!(errors_of(empty).contains("without a program"), "{empty}");
    }
    assert!(errors_of("[\"a\", 5]").contains("not a list of texts"));
}

#[test]
fn no_two_listen_at_one_address() {
    let service = |name: &str, listen: &str| {
        format!(
            "[services.{name}]\nengine = \"process\"\ncommand = [\"a\"]\nlisten = \"{listen}\"\n"
        )
    };
    let two = |a: &str, b: &str| parse(&(service("a", a) + &service("b", b)), "f", &user_env());
    assert_snapshot!(two("127.0.0.1:80", "127.0.0.1:80").unwrap_err(), @r#"
    error: services.b.listen: 127.0.0.1:80 is already used by services.a.listen
      --> f:8:10
    8 | listen = "127.0.0.1:80"
      |          ^^^^^^^^^^^^^^
    hint: give each its own port, or use port 0 for any free port
    "#);
    assert!(two("0.0.0.0:80", "127.0.0.1:80").is_err());
    assert!(two("127.0.0.1:80", "[::]:80").is_err());
    assert!(two("127.0.0.1:7878", "127.0.0.1:81").is_err(), "the daemon's own");
    assert!(two("127.0.0.1:0", "127.0.0.1:0").is_ok(), "any free port");
    assert!(two("127.0.0.1:80", "127.0.0.2:80").is_ok());
    assert!(two("0.0.0.0:80", "[::1]:80").is_ok());
}

#[test]
fn keys_of_the_balancer_mean_nothing_without_one() {
    assert_snapshot!(errors_of("balancer = \"none\""), @r#"
    error: services.web.listen has no effect with balancer = "none"
      --> flyball.toml:3:10
    3 | listen = "127.0.0.1:80"
      |          ^^^^^^^^^^^^^^
    hint: write balancer = "proxy", or remove this key
    "#);
}

#[test]
fn a_name_must_fit_everywhere() {
    let named = |name: &str| {
        parse(
            &format!(
                "[services.{name}]\nengine = \"process\"\nbalancer = \"none\"\ncommand = [\"a\"]"
            ),
            "f",
            &user_env(),
        )
    };
    for bad in ["Web", "-a", "a_b", "\"\"", "\"a.b\"", "\"\\u001b[31m\"", &"a".repeat(64)] {
        let errors = named(bad).unwrap_err().to_string();
        assert!(errors.contains("invalid service name") && !errors.contains('\u{1b}'), "{errors}");
    }
    for good in ["a", "0-a", &"a".repeat(63)] {
        assert!(named(good).is_ok(), "{good}");
    }
}

#[test]
fn a_probe_is_one_of_two() {
    for bad in
        ["{}", "{ tcp = false }", "{ http = \"/\", tcp = true }", "\"/\"", "{ http = \"x\" }"]
    {
        assert!(errors_of(&format!("ready = {bad}")).contains("services.web.ready"), "{bad}");
    }
}

#[test]
fn others_may_reach_the_api_only_with_a_token() {
    assert_snapshot!(errors_in("[flyball]\nlisten = \"0.0.0.0:7878\"\n[services]"), @r#"
    error: no services
      --> flyball.toml
    hint: add [docker] to find services by container labels, or a service like this:
    [services.web]
    engine = "process"
    listen = "127.0.0.1:8080"
    command = ["./server", "--port", "{port}"]

    error: flyball.listen: 0.0.0.0:7878 can be reached from other machines, but token_file is not set
      --> flyball.toml:2:10
    2 | listen = "0.0.0.0:7878"
      |          ^^^^^^^^^^^^^^
    hint: listen on 127.0.0.1, or set token_file to a file that holds a secret
    "#);
}

fn errors_of_read_token(path: &std::path::Path) -> String {
    errors_in(&format!("[flyball]\nread_token_file = {path:?}\n"))
}

#[test]
fn a_path_can_neither_colour_a_terminal_nor_fill_it() {
    let path = format!("/no/\\u001b[31m/{}", "x".repeat(10_000));
    for key in ["token_file", "read_token_file"] {
        let errors = errors_in(&format!("[flyball]\n{key} = \"{path}\"\n"));
        assert!(errors.contains(&format!("flyball.{key}: /no/\\u{{1b}}[31m/xxx")), "{errors}");
        assert!(
            !errors.contains('\u{1b}') && errors.len() < 2_000,
            "{} bytes: {errors}",
            errors.len()
        );
    }
}

#[test]
fn a_token_file_must_hold_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    let errors =
        || errors_in(&format!("[flyball]\nlisten = \"0.0.0.0:1\"\ntoken_file = {token:?}\n"));
    assert!(errors().contains("cannot be used: there is no such file"));
    std::fs::write(&token, " \n").unwrap();
    assert!(errors().contains("is empty"));
    std::fs::write(&token, "x".repeat(5000)).unwrap();
    assert!(errors().contains("it is larger than 4096 bytes"));
    std::fs::write(&token, "secret\n").unwrap();
    assert!(!errors().contains("token"));
    let read = errors_of_read_token(&token);
    assert!(!read.contains("token"), "{read}");
    assert!(errors_of_read_token(dir.path()).contains("flyball.read_token_file"));
    std::fs::remove_file(&token).unwrap();
    std::fs::create_dir(&token).unwrap();
    assert!(errors().contains("cannot be used: it is a directory"));
}

#[test]
fn the_value_of_a_variable_is_in_no_message() {
    for text in [
        "[services]\na = { env = { T = \"hunter2\" }, min = 900000 }",
        "[services.a.env]\nT = hunter2",
        "[services.a]\nenv = { T = hunter2 }",
        "[services.a]\nenv = \"T=hunter2\"",
        "[services.a]\nevn = { T = \"hunter2\" }",
        "[services.a.env]\n\"T=\" = \"hunter2\"",
        "[services.a.env]\nT = [\"hunter2\"]",
    ] {
        let errors = parse(text, "f", &user_env()).unwrap_err();
        assert!(!errors.to_string().contains("hunter2"), "{errors}");
    }
    let fine = "[services.a]\nengine = \"process\"\nbalancer = \"none\"\ncommand = [\"a\"]\n\
                env = { T = \"hunter2\" }";
    let config = parse(fine, "f", &user_env()).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_broken_line_is_shown_and_nothing_is_guessed_about_the_rest() {
    assert_snapshot!(errors_in("[services.web]\nmin = = 5\n"), @r#"
    error: extra `=`, expected nothing
      --> flyball.toml:2:7
    2 | min = = 5
      |       ^
    "#);
}

#[test]
fn an_empty_file_is_answered_with_the_smallest_that_works() {
    assert_snapshot!(errors_in(""), @r#"
    error: no services
      --> flyball.toml
    hint: add [docker] to find services by container labels, or a service like this:
    [services.web]
    engine = "process"
    listen = "127.0.0.1:8080"
    command = ["./server", "--port", "{port}"]
    "#);
    assert!(parse(flyball_config::MINIMAL, "f", &user_env()).is_ok());
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_file_up_to_a_bound() {
    let lines: String = (0..200).map(|n| format!("k{n} = 1\n")).collect();
    let errors = parse(&format!("[services.a]\n{lines}"), "f", &user_env()).unwrap_err();
    assert_eq!((errors.problems.len(), errors.more), (50, 152));
    let positions: Vec<_> = errors.problems.iter().map(|p| p.place.position).collect();
    assert!(positions.is_sorted(), "{positions:?}");
    assert!(errors.to_string().ends_with("152 more like these\n"));
}

#[test]
fn one_endless_line_is_cut_around_the_mistake() {
    let errors = errors_in(&format!("{}services = 5", " ".repeat(5_000)));
    assert!(errors.lines().all(|line| line.chars().count() < 130), "{errors}");
    assert!(errors.contains("--> flyball.toml:1:5012"), "{errors}");
}

#[test]
fn no_hint_repeats_an_endless_value() {
    let digits = "1".repeat(5_000);
    for line in ["command", "drain", "min", "listen", "env", "engine", "policy", "ready"] {
        let errors = errors_in(&format!("[services.a]\n{line} = \"{digits}\""));
        assert!(errors.lines().all(|line| line.chars().count() < 400), "{errors}");
    }
}

#[test]
fn what_is_no_text_file_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("flyball.toml");
    assert_eq!(fault_of(&file), ConfigError::FileMissing);
    assert_eq!(fault_of(dir.path()), ConfigError::IsDirectory);
    assert_eq!(fault_of(Path::new("/dev/null")), ConfigError::NotAFile);
    assert!(matches!(fault_of(&Path::new("/dev/null").join("x")), ConfigError::Unreadable { .. }));
    std::fs::write(&file, b"# a\n# \xe4\n").unwrap();
    assert_eq!(fault_of(&file), ConfigError::NotUtf8 { byte: 0xe4, offset: 6, line: 2 });
    std::fs::write(&file, vec![b'#'; TEXT_MAX + 1]).unwrap();
    assert_eq!(fault_of(&file), ConfigError::TooLarge);
}

#[test]
fn without_a_home_the_state_directory_must_be_named() {
    let errors = parse(flyball_config::MINIMAL, "f", &Env::default()).unwrap_err();
    assert!(matches!(errors.problems[0].fault, ConfigError::NoStateDir { .. }), "{errors}");
}
