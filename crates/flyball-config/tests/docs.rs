//! `docs/reference/config.md` matches the code, and the examples are read without a complaint.
//! `UPDATE_DOCS=1 cargo test` rewrites the page.

use std::path::Path;

#[test]
fn the_reference_page_matches_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
    let wanted = flyball_config::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{} is out of date: run UPDATE_DOCS=1 cargo test", path.display());
}

#[test]
fn the_examples_for_mesos_are_read_as_they_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/mesos");
    let env = flyball_config::Env { home: Some("/home/f".into()), ..Default::default() };
    for name in ["mesos", "marathon"] {
        let config = flyball_config::load(&folder.join(format!("{name}.toml")), &env);
        let config = config.unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert_eq!(config.services["web"].policy.bounds.max, 20, "{name}");
    }
}
