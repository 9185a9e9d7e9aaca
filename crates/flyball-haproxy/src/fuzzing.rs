//! Random answers of HAProxy. Parsing never panics, accepts an answer whole or not at all, and
//! shows bounded errors that cannot forge a log line.

use crate::change::{Change, Outcome, What};
use crate::error::HaproxyError;
use crate::settings::{HaproxySettings, Mode};
use crate::socket::Socket;
use crate::stat::{Snapshot, find_backend};

const BACKEND: &str = "web";
const NUMBER: u32 = 3;
/// Places at which an answer is cut.
const CUTS: usize = 32;
/// Characters of a message at most.
const MESSAGE_MAX: usize = 1_000;

/// The answer to a look.
pub fn stat(data: &[u8]) {
    // The wire refuses what is not text.
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = find_backend(BACKEND, text) {
        said(&error);
    }
    match Snapshot::parse(BACKEND, NUMBER, text) {
        Err(error) => said(&error),
        Ok(None) => {}
        Ok(Some(whole)) => cut_off(text, &whole),
    }
}

fn cut_off(text: &str, whole: &Snapshot) {
    let step = text.len().div_ceil(CUTS).max(1);
    for end in (0..text.len()).rev().step_by(step).filter(|end| text.is_char_boundary(*end)) {
        if let Ok(Some(part)) = Snapshot::parse(BACKEND, NUMBER, &text[..end]) {
            assert_eq!(&part, whole, "cut off at {end}, and taken for whole");
        }
    }
}

/// The answer to a change; the first byte says to which.
pub fn answers(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let address = ([127, 0, 0, 1], 8080).into();
    let changes = [
        What::Add { address, id: 1_001, weight: 100 },
        What::Weigh(50),
        What::Move(address),
        What::Ready,
        What::Drain,
        What::Delete,
        What::Vacate,
        What::Cut,
    ];
    let what = changes[usize::from(*first) % changes.len()].clone();
    let settings = HaproxySettings::new(Socket::Unix("/run/haproxy.sock".into()), BACKEND);
    let change = Change { name: "fb-web-1".to_owned(), what };
    match change.judge(&settings, Mode::Http, text) {
        Err(error) => said(&error),
        // No answer that means success has a second line.
        Ok(Outcome::Done) => assert!(text.trim().lines().count() <= 1, "{text:?}"),
        Ok(Outcome::Later) => {}
    }
}

fn said(error: &HaproxyError) {
    let text = error.to_string();
    assert!(text.chars().count() <= MESSAGE_MAX, "{text}");
    assert!(!text.contains(char::is_control), "what was answered is shown raw: {text:?}");
}
