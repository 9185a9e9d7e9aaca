//! `flyball scale`, `pause` and `resume`: manual overrides, which always expire. Each command
//! repeats what it understood.

use std::process::ExitCode;

use flyball_web::{PauseRequest, ScaleBy, ScaleRequest, ScaleTo, Service};
use serde::Serialize;
use serde_json::{Value, json};

use super::client;
use super::status::print_services;
use crate::cli::{Client, Pause, Resume, Scale};
use crate::failure::Failure;
use crate::output::print;

pub(crate) async fn scale(options: Scale) -> Result<ExitCode, Failure> {
    let wish = scale_request(&options.count, options.lasts)?;
    ask(&options.client, &options.service, "scale", &wish).await
}

pub(crate) async fn pause(options: Pause) -> Result<ExitCode, Failure> {
    let wish = PauseRequest { r#for: Some(options.lasts) };
    ask(&options.client, &options.service, "pause", &wish).await
}

pub(crate) async fn resume(options: Resume) -> Result<ExitCode, Failure> {
    ask(&options.client, &options.service, "resume", &json!({})).await
}

async fn ask(
    client: &Client,
    service: &str,
    verb: &str,
    body: &impl Serialize,
) -> Result<ExitCode, Failure> {
    let path = format!("/api/v1/services/{}/{verb}", client::segment(service)?);
    if client.json {
        print(&client.post::<Value>(&path, body).await?.to_string())?;
    } else {
        print_services(&[client.post::<Service>(&path, body).await?])?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `+2` and `-1` are changes, `5` is a count.
fn scale_request(text: &str, lasts: String) -> Result<ScaleRequest, Failure> {
    let bad = |_| {
        Failure::new(format!("{text:?} is not a number of replicas"))
            .hint("write 5 for five replicas, +1 for one more, -1 for one fewer")
    };
    let (r#for, event) = (Some(lasts), None);
    if text.starts_with(['+', '-']) {
        let by = text.parse().map_err(bad)?;
        return Ok(ScaleRequest::By(ScaleBy { by, r#for, event }));
    }
    let to = text.parse().map_err(bad)?;
    Ok(ScaleRequest::To(ScaleTo { to, r#for, event }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_makes_a_change_and_none_a_count() {
        let json = |text: &str| {
            let wish = scale_request(text, "1h".to_owned());
            wish.map(|wish| serde_json::to_value(wish).unwrap())
        };
        assert_eq!(json("+1").unwrap(), json!({ "by": 1, "for": "1h" }));
        assert_eq!(json("-2").unwrap(), json!({ "by": -2, "for": "1h" }));
        assert_eq!(json("5").unwrap(), json!({ "to": 5, "for": "1h" }));
        assert!(json("five").unwrap_err().to_string().contains("hint: write 5"));
    }
}
