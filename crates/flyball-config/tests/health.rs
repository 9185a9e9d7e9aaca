//! The keys of replicas that fail and of the embedded proxy.

#![expect(clippy::unwrap_used, reason = "a test may")]

use flyball_config::{
    Config, ConfigErrors, Described, Env, Limits, MINIMAL, Proxy, ServiceLabels, Source, parse,
};

fn read(text: &str) -> Result<Config, ConfigErrors> {
    parse(text, "flyball.toml", &Env { home: Some("/home/a".into()), ..Env::default() })
}

fn errors_in(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn every_key_arrives_where_it_belongs() {
    let proxy = r#"trusted_proxies = ["10.0.0.1", "fd00::/8"]
        connections = 500
        connections_per_client = 20"#;
    let text = format!(
        "[proxy]\n{proxy}\n{MINIMAL}\nliveness = \"1m\"\nsick_after = \"2m\"\neject_max = \"25%\"\n"
    );
    let config = read(&text).unwrap();
    let trusted = ["10.0.0.1/32", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
    let wanted = Proxy { trusted, connections: Some(500), connections_per_client: Some(20) };
    assert_eq!(config.proxy, wanted);
    let web = &config.services["web"];
    assert_eq!(web.liveness_ms, 60_000);
    assert_eq!((web.policy.timing.sick_after_ms, web.policy.timing.eject_max), (120_000, 0.25));
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = read(MINIMAL).unwrap();
    let trusted: Vec<String> = config.proxy.trusted.iter().map(ToString::to_string).collect();
    assert_eq!(trusted, ["127.0.0.0/8", "::1/128"]);
    assert_eq!((config.proxy.connections, config.proxy.connections_per_client), (None, None));
    let web = &config.services["web"];
    assert_eq!((web.liveness_ms, web.policy.timing.sick_after_ms), (5_000, 30_000));
    assert_eq!(web.policy.timing.eject_max, 0.5);
}

#[test]
fn the_list_of_trusted_proxies_may_be_empty() {
    let config = read(&format!("[proxy]\ntrusted_proxies = []\n{MINIMAL}")).unwrap();
    assert_eq!(config.proxy.trusted, []);
}

#[test]
fn a_network_that_is_none_is_refused() {
    for bad in ["\"10.0.0.0/33\"", "\"10.0.0.5/8\"", "\"proxy.example\"", "\"*\"", "7"] {
        let errors = errors_in(&format!("[proxy]\ntrusted_proxies = [{bad}]\n{MINIMAL}"));
        assert!(errors.contains("is not a list of IP addresses and networks"), "{bad}: {errors}");
        assert!(errors.contains("hint: write"), "{bad}: {errors}");
    }
}

#[test]
fn one_client_may_not_have_more_than_all() {
    let errors =
        errors_in(&format!("[proxy]\nconnections = 100\nconnections_per_client = 101\n{MINIMAL}"));
    assert!(
        errors.contains("connections_per_client: 101 is more than connections = 100"),
        "{errors}"
    );
}

#[test]
fn labels_say_how_a_service_is_watched_but_not_whom_the_proxy_trusts() {
    let labels = |text: &str| -> ServiceLabels {
        let pairs = text.split(' ').map(|label| label.split_once('=').unwrap());
        let labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let source = Source::Container(Limits::default());
        [("web".to_owned(), Described { labels, source })].into()
    };
    let config = read("[docker]\nlabels_may = [\"listen\"]\n").unwrap();
    let base = "flyball.port=80 flyball.balancer=proxy flyball.listen=127.0.0.1:0";
    let found = config.labelled(&labels(&format!(
        "{base} flyball.liveness=10s flyball.sick-after=1m flyball.eject-max=0%"
    )));
    let web = &found.services["web"];
    assert_eq!((web.liveness_ms, web.policy.timing.sick_after_ms), (10_000, 60_000));
    assert_eq!(web.policy.timing.eject_max, 0.0);
    let refused = config.labelled(&labels(&format!("{base} flyball.trusted-proxies=0.0.0.0/0")));
    assert!(refused.services.is_empty(), "{refused:?}");
}
