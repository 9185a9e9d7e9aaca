//! `flyball scale`, `pause` and `resume`: manual overrides, which always expire. Each command
//! repeats what it understood.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::client;
use super::status::print_services;
use crate::cli::{Client, Pause, Resume, Scale};
use crate::failure::Failure;

pub(crate) async fn scale(options: Scale) -> Result<ExitCode, Failure> {
    let mut wish = count(&options.count)?;
    wish["for"] = options.lasts.into();
    ask(&options.client, &options.service, "scale", wish).await
}

pub(crate) async fn pause(options: Pause) -> Result<ExitCode, Failure> {
    ask(&options.client, &options.service, "pause", json!({ "for": options.lasts })).await
}

pub(crate) async fn resume(options: Resume) -> Result<ExitCode, Failure> {
    ask(&options.client, &options.service, "resume", json!({})).await
}

async fn ask(client: &Client, service: &str, verb: &str, body: Value) -> Result<ExitCode, Failure> {
    let path = format!("/api/v1/services/{}/{verb}", client::segment(service)?);
    let view = client.post(&path, body).await?;
    print_services(&[view], client.json)?;
    Ok(ExitCode::SUCCESS)
}

/// `+2` and `-1` are changes, `5` is a count.
fn count(text: &str) -> Result<Value, Failure> {
    let bad = || {
        Failure::new(format!("{text:?} is not a number of replicas"))
            .hint("write 5 for five replicas, +1 for one more, -1 for one fewer")
    };
    let number: i32 = text.parse().map_err(|_| bad())?;
    let relative = text.starts_with(['+', '-']);
    Ok(if relative { json!({ "by": number }) } else { json!({ "to": number }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_makes_a_change_and_none_a_count() {
        assert_eq!(count("+1").unwrap(), json!({ "by": 1 }));
        assert_eq!(count("-2").unwrap(), json!({ "by": -2 }));
        assert_eq!(count("5").unwrap(), json!({ "to": 5 }));
        assert!(count("five").unwrap_err().to_string().contains("hint: write 5"));
    }
}
