//! `docs/reference/config.md` is what the code says. `UPDATE_DOCS=1 cargo test` writes it anew.

use std::path::Path;

#[test]
fn the_reference_page_says_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
    let wanted = flyball_config::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{} is out of date: run UPDATE_DOCS=1 cargo test", path.display());
}
