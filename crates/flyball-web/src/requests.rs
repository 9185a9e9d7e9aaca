//! Parses the body of an order. Each mistake names its field, and a body with a mistake
//! has no effect. The daemon checks whether the count fits the service.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use crate::api::{Problem, ProblemKind};
use crate::daemon::{ManualAsk, RolloutAsk};

/// Turns a duration such as "1h" into milliseconds, or says what is wrong with it.
pub(crate) type ParseDuration = fn(&str) -> Result<u64, String>;

/// How long an override lasts by default: 1 h, long enough for an incident, and short enough not to
/// be forgotten until tomorrow.
pub(crate) const DEFAULT_FOR_MS: u64 = 3_600_000;

/// Longer than any reference of an image.
const IMAGE_MAX: usize = 512;

/// The longest override: 31 days. What should last longer belongs in the configuration.
const FOR_MS_MAX: u64 = 31 * 24 * 3_600_000;

/// An override, and how long it lasts, if given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OverrideRequest {
    pub(crate) ask: ManualAsk,
    pub(crate) for_ms: Option<u64>,
    /// The id of the event behind this request. An event that is sent again has no effect.
    pub(crate) event: Option<String>,
}

/// `{"by": 1}` or `{"to": 5}`, with `"for": "1h"` and `"event": "ID"` or without.
pub(crate) fn scale(body: &Fields, parse: ParseDuration) -> Result<OverrideRequest, Problem> {
    body.only(&["by", "to", "for", "event"])?;
    let ask = match (body.whole_number("by")?, body.whole_number("to")?) {
        (Some(by), None) => ManualAsk::By(nonzero(by)?),
        (None, Some(to)) => ManualAsk::To(count(to)?),
        (Some(_), Some(_)) => return Err(Problem::field("to", "give \"by\" or \"to\", not both")),
        (None, None) => return Err(Problem::field("to", "give \"by\" or \"to\"")),
    };
    Ok(OverrideRequest { ask, for_ms: body.duration("for", parse)?, event: body.event()? })
}

/// Nothing, `{}` or `{"for": "1h"}`.
pub(crate) fn pause(body: &Fields, parse: ParseDuration) -> Result<OverrideRequest, Problem> {
    body.only(&["for"])?;
    Ok(OverrideRequest { ask: ManualAsk::Pause, for_ms: body.duration("for", parse)?, event: None })
}

/// Nothing or `{}`.
pub(crate) fn resume(body: &Fields, _: ParseDuration) -> Result<OverrideRequest, Problem> {
    body.only(&[])?;
    Ok(OverrideRequest { ask: ManualAsk::Resume, for_ms: None, event: None })
}

/// Nothing, `{}` or `{"image": "web:2"}`.
pub(crate) fn deploy(body: &Fields) -> Result<RolloutAsk, Problem> {
    body.only(&["image"])?;
    Ok(RolloutAsk::Deploy { image: body.text("image", IMAGE_MAX)? })
}

/// Nothing or `{}`, which means `ask`.
pub(crate) fn nothing(body: &Fields, ask: RolloutAsk) -> Result<RolloutAsk, Problem> {
    body.only(&[])?;
    Ok(ask)
}

fn nonzero(by: i64) -> Result<i32, Problem> {
    let by =
        i32::try_from(by).map_err(|_| Problem::field("by", format!("{by} is out of range")))?;
    if by == 0 { Err(Problem::field("by", "0 changes nothing")) } else { Ok(by) }
}

fn count(to: i64) -> Result<u32, Problem> {
    u32::try_from(to)
        .map_err(|_| Problem::field("to", format!("{to} is not a valid number of replicas")))
}

/// The fields of a JSON object.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body; an empty one has no fields.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self(Map::new()));
        }
        let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.map(|value| value.split(';').next().unwrap_or(value).trim());
        if !media.is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
            let detail = "send the body with `content-type: application/json`";
            return Err(Problem::new(ProblemKind::WrongMediaType, detail));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => {
                Err(Problem::new(ProblemKind::MalformedBody, "the body must be a JSON object"))
            }
            Err(error) => {
                Err(Problem::new(ProblemKind::MalformedBody, format!("not JSON: {error}")))
            }
        }
    }

    fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) if known.is_empty() => {
                Err(Problem::field(name, "this request takes no fields"))
            }
            Some(name) => {
                let detail = format!("\"{name}\" is not one of {}", known.join(", "));
                Err(Problem::field(name, detail))
            }
        }
    }

    fn whole_number(&self, name: &str) -> Result<Option<i64>, Problem> {
        let wrong = |value| Problem::field(name, format!("{value} is not a whole number"));
        self.0.get(name).map(|v| v.as_i64().ok_or_else(|| wrong(v))).transpose()
    }

    /// The event's id, whatever its sender calls it.
    fn event(&self) -> Result<Option<String>, Problem> {
        let wrong = || Problem::field("event", "an event is a string of 1 to 128 characters");
        let Some(value) = self.0.get("event") else { return Ok(None) };
        let id = value.as_str().filter(|id| (1..=128).contains(&id.len()));
        id.map(|id| Some(id.to_owned())).ok_or_else(wrong)
    }

    fn text(&self, name: &str, max: usize) -> Result<Option<String>, Problem> {
        let wrong = || Problem::field(name, format!("not a string of 1 to {max} characters"));
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let text = value.as_str().filter(|text| (1..=max).contains(&text.len()));
        text.map(|text| Some(text.to_owned())).ok_or_else(wrong)
    }

    fn duration(&self, name: &str, parse: ParseDuration) -> Result<Option<u64>, Problem> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| {
            Problem::field(name, format!("{value} is not a duration such as \"1h\""))
        })?;
        let ms = parse(text).map_err(|why| Problem::field(name, why))?;
        if ms == 0 || ms > FOR_MS_MAX {
            return Err(Problem::field(
                name,
                format!("\"{text}\" is not between 1 ms and 31 days"),
            ));
        }
        Ok(Some(ms))
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::api::{PauseRequest, ScaleBy, ScaleRequest, ScaleTo};

    fn fields(request: &impl Serialize) -> Fields {
        let Value::Object(fields) = serde_json::to_value(request).unwrap() else { panic!() };
        Fields(fields)
    }

    fn minute(_: &str) -> Result<u64, String> {
        Ok(60_000)
    }

    #[test]
    fn every_field_that_a_request_may_have_is_read() {
        let (r#for, event) = (Some("1m".to_owned()), Some("7".to_owned()));
        let asked = |ask| OverrideRequest { ask, for_ms: Some(60_000), event: event.clone() };
        let by = ScaleBy { by: -1, r#for: r#for.clone(), event: event.clone() };
        let read = scale(&fields(&ScaleRequest::By(by)), minute);
        assert_eq!(read, Ok(asked(ManualAsk::By(-1))));
        let to = ScaleTo { to: 5, r#for: r#for.clone(), event: event.clone() };
        let read = scale(&fields(&ScaleRequest::To(to)), minute);
        assert_eq!(read, Ok(asked(ManualAsk::To(5))));
        let read = pause(&fields(&PauseRequest { r#for }), minute);
        assert_eq!(read, Ok(OverrideRequest { event: None, ..asked(ManualAsk::Pause) }));
    }
}
