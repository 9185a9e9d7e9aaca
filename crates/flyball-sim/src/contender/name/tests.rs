//! What the table says is what is done.

use super::grammar::{Fallback, Setting, Takes};
use super::*;

/// What a name came to, without the name.
fn made(name: &str) -> String {
    format!("{:?}", Name::parse(name).unwrap().kind)
}

/// A value that is nobody's default.
fn other_than_default(setting: &Setting) -> String {
    match setting.takes {
        Takes::Share(_) | Takes::ShareOrNone(_) => "28%".to_owned(),
        Takes::Duration(_) => "77s".to_owned(),
        Takes::Count(_) => "6".to_owned(),
        Takes::Number(_) => "123".to_owned(),
        Takes::Word(words) => words[words.len() - 1].to_owned(),
    }
}

fn alone(entry: &Entry) -> String {
    // The one policy that is nothing without a setting.
    if entry.name == "static" { "static:mean".to_owned() } else { entry.name.to_owned() }
}

#[test]
fn a_default_in_the_table_is_the_one_that_is_used() {
    for entry in POLICIES {
        for setting in entry.settings {
            if let Fallback::Is(value) = setting.fallback {
                let name = format!("{}:{}={value}", entry.name, setting.name);
                assert_eq!(made(&name), made(&alone(entry)), "{name}");
            }
        }
    }
}

#[test]
fn every_setting_in_the_table_changes_its_policy() {
    for entry in POLICIES {
        for setting in entry.settings {
            let value = other_than_default(setting);
            let name = format!("{}:{}={value}", entry.name, setting.name);
            assert_ne!(made(&name), made(&alone(entry)), "{name}");
        }
    }
}

#[test]
fn the_short_form_is_the_same_as_the_names() {
    for (short, long) in [
        ("governor:70", "governor:cap=70%"),
        ("governor:70%", "governor:cap=70"),
        ("governor:late=1,cap=85", "governor:cap=85%,late=1%,within=250ms"),
        ("governor:within=250ms", "governor:late=1%"),
        ("target:70", "target:cpu=70%"),
        ("step:40:20", "step:out_at=40%,in-at=20%"),
        ("hpa:70:0s", "hpa:target=70%,window=0s"),
        ("hpa:70,window=1m", "hpa:70:60"),
        ("hpa:70:behavior", "hpa:target=70%,up-pods=4"),
        ("kpa:80:inflight", "kpa:target=80%,counting=inflight"),
        ("aws:70:20", "aws:target=70%,period=20s"),
        ("nomad:60:1m", "nomad:target=60%,cooldown=60s"),
        ("marathon-lb:250", "marathon-lb:target-rps=250"),
        ("static:7", "static:count=7"),
        ("static:peak", "static:of=peak"),
        ("target:tolerance=0", "target:tolerance=0%"),
    ] {
        assert_eq!(made(short), made(long), "{short}");
        assert_ne!(made(short), made("governor"), "{short}");
    }
}

#[test]
fn what_is_unknown_is_answered_with_what_there_is() {
    for (name, why, hint) in [
        ("governer", "unknown policy", "valid policies: governor, target, step, hpa,"),
        ("", "unknown policy", "valid policies: governor,"),
        (
            "governor:warm=1",
            "governor has no setting `warm`",
            "governor:cap=85%,late=SHARE,within=DURATION,",
        ),
        ("governor:70,cap=80", "`cap` is given twice", "cap=85%"),
        ("governor:70:80", "`80` has no name, and governor takes only 1 without one", "cap=85%"),
        (
            "governor:",
            "`` is not a valid `cap`: it must be a share above 0% and up to 100%",
            "cap=85%",
        ),
        (
            "governor:within=ms",
            "`ms` is not a valid `within`: it must be a duration of at least 1ms",
            "within=DURATION",
        ),
        ("governor:within=250", "`250` is not a valid `within`", "within=DURATION"),
        ("governor:late=51", "`51` is not a valid `late`", "late=SHARE"),
        ("governor:slo=250ms", "governor has no setting `slo`", "late=SHARE"),
        ("governor:cap=0", "`0` is not a valid `cap`", "cap=85%"),
        ("governor:cap=101%", "`101%` is not a valid `cap`", "cap=85%"),
        (
            "kpa:counting=some",
            "`some` is not a valid `counting`: it must be one of all, inflight",
            "counting=all",
        ),
        ("step:15:30", "in-at of 30.0 % must be below out-at of 15.0 %", "out-at=30%"),
        ("amest:min=20", "min of 20 is greater than max of 15", "max=15"),
        (
            "hpa:tolerance=101%",
            "`101%` is not a valid `tolerance`: it must be a share up to 100%",
            "10%",
        ),
        ("amest:70", "`70` has no name", "out-at=85%"),
        ("static", "it takes a count, or mean or peak", "static:count=N,of=mean|peak"),
        ("static:5,of=peak", "it takes a count", "static:"),
        (
            "hpa:sync=0s",
            "`0s` is not a valid `sync`: it must be a duration of at least 1s",
            "sync=15s",
        ),
        ("marathon-lb:inf", "`inf` is not a valid `target-rps`", "target-rps=1000"),
    ] {
        let error = Name::parse(name).unwrap_err().to_string();
        assert!(error.starts_with(&format!("policy `{name}`: ")), "{error}");
        let (first, second) = error.split_once("\nhint: ").unwrap();
        assert!(first.contains(why) && second.contains(hint), "{error}");
    }
}

#[test]
fn a_short_form_names_settings_that_there_are() {
    for entry in POLICIES {
        for name in entry.short.iter().copied().flatten() {
            assert!(entry.settings.iter().any(|s| s.name == *name), "{} {name}", entry.name);
        }
    }
}

#[test]
fn help_says_every_policy_and_every_setting() {
    let (help, page) = (help(), markdown());
    for entry in POLICIES {
        assert!(help.contains(&format!("\n{}", entry.name)), "{}", entry.name);
        for setting in entry.settings {
            assert!(help.contains(&format!("\n    {}=", setting.name)), "{}", setting.name);
            let row = format!("| `{}` | `{}` | ", entry.name, setting.name);
            assert!(page.contains(&row), "{row}");
        }
    }
}

/// `UPDATE_DOCS=1 cargo test` writes the table anew, between its marks.
#[test]
fn the_reference_has_the_table_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/simulate.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- policies: generated -->\n", "<!-- policies: end -->\n");
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let wanted = format!("{before}{begin}\n{}\n{end}{after}", markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &wanted).unwrap();
        return;
    }
    assert!(page == wanted, "{path} is out of date: run UPDATE_DOCS=1 cargo test");
}
