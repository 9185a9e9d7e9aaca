//! The `[zabbix]` table, and the policy that Zabbix drives.

#![expect(clippy::unwrap_used, reason = "a test may")]

use flyball_config::{Env, Zabbix, ZabbixApi, parse};
use flyball_core::policy::{Advised, Rule};

const SERVICE: &str =
    "[services.web]\nengine = \"process\"\nlisten = \"127.0.0.1:0\"\ncommand = [\"x\"]\n";

fn env() -> Env {
    Env { home: Some("/home/a".into()), ..Env::default() }
}

fn read(zabbix: &str) -> Option<Zabbix> {
    let text = format!("{SERVICE}{zabbix}");
    parse(&text, "/f/flyball.toml", &env()).unwrap_or_else(|errors| panic!("{errors}")).zabbix
}

fn errors_of(zabbix: &str) -> String {
    parse(&format!("{SERVICE}{zabbix}"), "flyball.toml", &env()).unwrap_err().to_string()
}

/// Shows that it is refused in words that hold `part`.
fn refused(text: &str, part: &str) {
    let errors = errors_of(text);
    assert!(errors.contains(part), "{errors}");
}

#[test]
fn without_the_table_nothing_is_reported_and_an_empty_one_is_enough() {
    assert_eq!(read(""), None);
    let zabbix = read("[zabbix]").unwrap();
    let policy = |looks: &str| {
        let text = format!("{SERVICE}{looks}");
        parse(&text, "f", &env()).unwrap().services["web"].policy.clone()
    };
    assert_eq!(zabbix.window_ms(&policy("")), 15_000);
    assert_eq!(zabbix.window_ms(&policy("interval = \"10s\"")), 30_000, "no report without a look");
    assert_eq!((zabbix.trapper.as_str(), zabbix.interval_ms), ("127.0.0.1:10051", 5_000));
    assert_eq!((zabbix.api, zabbix.webhook), (None, None));
}

#[test]
fn every_key_is_read() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "0123456789abcdef").unwrap();
    let zabbix = read(&format!(
        "[zabbix]\ntrapper = \"zabbix.example:10051\"\nproxy = \"edge of berlin\"\ninterval = \"1s\"\nhost_prefix = \"shop-\"\nreplica_hosts = true\n\
         api = \"https://zabbix.example/zabbix/api_jsonrpc.php\"\ntoken_file = {:?}\n\
         ca_file = \"ca.pem\"\ncert_file = \"own.crt\"\nkey_file = \"own.key\"\n\
         webhook = \"http://10.0.0.5:7878/\"",
        token.path()
    ));
    let url = "https://zabbix.example/zabbix/api_jsonrpc.php".to_owned();
    assert_eq!(
        zabbix,
        Some(Zabbix {
            trapper: "zabbix.example:10051".into(),
            proxy: Some("edge of berlin".into()),
            interval_ms: 1_000,
            host_prefix: "shop-".into(),
            replica_hosts: true,
            api: Some(ZabbixApi { url, token_file: token.path().into() }),
            ca_file: Some("/f/ca.pem".into()),
            own_certificate: Some(("/f/own.crt".into(), "/f/own.key".into())),
            webhook: Some("http://10.0.0.5:7878".into()),
        })
    );
}

#[test]
fn what_needs_each_other_must_stand_together() {
    refused("[zabbix]\napi = \"http://127.0.0.1/api\"", "hint: add token_file = \"");
    refused("[zabbix]\nreplica_hosts = true", "hint: add api = \"");
    refused("[zabbix]\nproxy = \"edge\"", "hint: add api = \"");
    refused("[zabbix]\nproxy = \"\"", "zabbix.proxy");
    refused("[zabbix]\nwebhook = \"http://10.0.0.5:7878\"", "hint: add api = \"");
    refused("[zabbix]\ncert_file = \"a\"", "hint: add key_file = \"");
    refused("[zabbix]\nkey_file = \"a\"", "hint: add cert_file = \"");
    refused("[zabbix]\ntrapper = \"127.0.0.1\"", "hint: write trapper = \"127.0.0.1:10051\"");
    refused("[zabbix]\napi = \"zabbix.example\"", "zabbix.api: \"zabbix.example\" is not an http");
    refused("[zabbix]\ntoken_file = \"/none\"", "zabbix.token_file");
}

#[test]
fn zabbix_drives_a_policy_by_a_word_or_a_table() {
    let rule = |policy: &str| {
        let text = format!("{SERVICE}policy = {policy}");
        parse(&text, "f", &env()).unwrap().services["web"].policy.rule.clone()
    };
    let default = Rule::Advised(Advised::default());
    assert_eq!(rule("{ external = \"zabbix\" }"), default);
    assert_eq!(rule("{ external = {} }"), default);
    let own = Advised { out_at: 0.4, in_at: 0.2, by: 2, cooldown_ms: 10_000, cpu_window_ms: 5_000 };
    let table = "{ external = { out_at = \"40%\", in_at = \"20%\", by = 2, cooldown = \"10s\", window = \"5s\" } }";
    assert_eq!(rule(table), Rule::Advised(own));
}

#[test]
fn a_policy_goes_by_the_window_that_zabbix_averages_over() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "0123456789abcdef").unwrap();
    let window_ms = |interval: &str, more: &str| {
        let text = format!(
            "{SERVICE}{more}policy = {{ external = {{ window = \"20s\" }} }}\n\
             [zabbix]\ninterval = {interval:?}\napi = \"http://127.0.0.1/api\"\ntoken_file = {:?}",
            token.path()
        );
        let config = parse(&text, "f", &env()).unwrap_or_else(|errors| panic!("{errors}"));
        let Rule::Advised(rule) = config.services["web"].policy.rule else { panic!() };
        rule.cpu_window_ms
    };
    assert_eq!(window_ms("1s", ""), 20_000);
    assert_eq!(window_ms("10s", ""), 30_000, "Zabbix averages over three reports");
    assert_eq!(window_ms("1s", "interval = \"8s\"\n"), 24_000);
}

#[test]
fn another_program_and_thresholds_that_meet_are_refused() {
    refused("policy = { external = \"nagios\" }", "\"nagios\" is not a valid value");
    refused("policy = { external = 5 }", "hint: write external = \"zabbix\"");
    refused("policy = { external = { from = \"nagios\" } }", "\"nagios\" is not a valid value");
    let meet = "policy = { external = { out_at = \"20%\", in_at = \"20%\" } }";
    refused(meet, "external.in_at: 20% is not less than out_at");
}

#[test]
fn a_zabbix_of_a_service_is_sent_to_the_table_that_there_is() {
    let errors = errors_of("zabbix = \"127.0.0.1\"");
    assert!(errors.contains("unknown key"), "{errors}");
    assert!(errors.contains("hint: [zabbix] is a table of its own in flyball.toml"), "{errors}");
}
