//! What is posted to each kind of target. Words of others (a replica's last line, a service's name)
//! are data in each of them: they mention nobody and end no text.

use flyball_config::NotifyBody;
use serde_json::{Value, json};

use crate::notification::{Notification, State};

/// A request's body and the headers that go with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) body: String,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
}

pub(crate) fn render(body: &NotifyBody, told: &Notification) -> Rendered {
    match body {
        NotifyBody::Json => json_body(&plain(told)),
        NotifyBody::Slack => json_body(&json!({ "text": for_slack(&told.to_string()) })),
        // Without this, `@everyone` in a replica's last words would call everyone.
        NotifyBody::Discord => json_body(&json!({
            "content": told.to_string(),
            "allowed_mentions": { "parse": [] },
        })),
        NotifyBody::Gotify => json_body(&json!({
            "title": title(told),
            "message": told.text,
            "priority": if told.state == State::Began { 8 } else { 4 },
        })),
        NotifyBody::Ntfy => Rendered {
            body: told.text.clone(),
            content_type: "text/plain; charset=utf-8",
            headers: vec![
                ("title", ascii(&title(told))),
                ("priority", if told.state == State::Began { "4" } else { "3" }.to_owned()),
                ("tags", told.event.name().to_owned()),
            ],
        },
        NotifyBody::Template(template) => Rendered {
            body: filled(template, told),
            content_type: "application/json",
            headers: Vec::new(),
        },
    }
}

/// What programs get.
fn plain(told: &Notification) -> Value {
    json!({
        "service": told.service,
        "event": told.event.name(),
        "state": told.state.word(),
        "text": told.text,
        "at": told.time(),
    })
}

fn json_body(value: &Value) -> Rendered {
    Rendered { body: value.to_string(), content_type: "application/json", headers: Vec::new() }
}

fn title(told: &Notification) -> String {
    let over = if told.state == State::Over { " over" } else { "" };
    format!("{}: {}{over}", told.service, told.event.name())
}

/// Slack's markup calls channels and links by `<...>`; these three are its only special characters.
fn for_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What a header may hold.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// The template with its placeholders replaced, each by the inside of a JSON string.
fn filled(template: &str, told: &Notification) -> String {
    let values = [
        ("{service}", told.service.as_str()),
        ("{event}", told.event.name()),
        ("{state}", told.state.word()),
        ("{text}", told.text.as_str()),
        ("{at}", &told.time()),
    ];
    let mut body = String::with_capacity(template.len() + told.text.len());
    let mut rest = template;
    // In one pass, so that a placeholder in a value stays what it is.
    while let Some(at) = rest.find('{') {
        let (before, found) = rest.split_at(at);
        body.push_str(before);
        let value = values.iter().find(|(name, _)| found.starts_with(name));
        match value {
            Some((name, value)) => {
                body.push_str(&escaped(value));
                rest = &found[name.len()..];
            }
            None => {
                body.push('{');
                rest = &found[1..];
            }
        }
    }
    body + rest
}

fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use flyball_config::NotifyEvent;

    use super::*;

    const EVIL: &str = "exit 1: \"<!channel> @everyone {at} & \\";

    fn evil(body: &NotifyBody) -> Rendered {
        let (event, state) = (NotifyEvent::StartsHeld, State::Began);
        render(body, &Notification::new("web", event, state, EVIL, 1_700_000_000_000))
    }

    fn parsed(body: &NotifyBody) -> Value {
        serde_json::from_str(&evil(body).body).unwrap()
    }

    #[test]
    fn programs_get_every_part() {
        let expected = json!({
            "service": "web", "event": "starts_held", "state": "began", "text": EVIL,
            "at": "2023-11-14T22:13:20Z",
        });
        assert_eq!(parsed(&NotifyBody::Json), expected);
    }

    #[test]
    fn words_of_others_call_nobody() {
        let slack = parsed(&NotifyBody::Slack)["text"].to_string();
        assert!(slack.contains("&lt;!channel&gt;") && slack.contains("&amp;"), "{slack}");
        assert_eq!(parsed(&NotifyBody::Discord)["allowed_mentions"]["parse"], json!([]));
    }

    #[test]
    fn a_phone_gets_a_title_and_how_urgent_it_is() {
        let gotify = parsed(&NotifyBody::Gotify);
        assert_eq!(
            (&gotify["title"], &gotify["priority"]),
            (&json!("web: starts_held"), &json!(8))
        );
        let ntfy = evil(&NotifyBody::Ntfy);
        assert_eq!(ntfy.body, EVIL);
        assert!(ntfy.headers.contains(&("title", "web: starts_held".to_owned())), "{ntfy:?}");
    }

    #[test]
    fn a_template_stays_the_json_that_it_is() {
        let template = r#"{"a": {"b": "{service}/{event}/{state}"}, "t": "{text}", "n": {}}"#;
        let filled = parsed(&NotifyBody::Template(template.to_owned()));
        assert_eq!(filled, json!({"a": {"b": "web/starts_held/began"}, "t": EVIL, "n": {}}));
    }
}
