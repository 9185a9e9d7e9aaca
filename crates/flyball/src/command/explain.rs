//! `flyball explain`, now or at a past time. The text is the decision's own, the same as in the log
//! and on the dashboard.

use std::process::ExitCode;

use flyball_config::parse_duration;
use flyball_web::Explained;
use jiff::civil::Time;
use jiff::{Timestamp, Zoned};
use serde_json::Value;

use super::client::segment;
use super::status::age;
use crate::cli::Explain;
use crate::failure::Failure;
use crate::output::print;
use crate::plain;

pub(crate) async fn explain(options: Explain) -> Result<ExitCode, Failure> {
    let mut path = format!("/api/v1/services/{}/explain", segment(&options.service)?);
    if let Some(at) = &options.at {
        path += &format!("?at={}", wall_ms(at, &Zoned::now())?);
    }
    if options.client.json {
        print(&options.client.get::<Value>(&path).await?.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let explained: Explained = options.client.get(&path).await?;
    if let Some(moment) = decided_at(explained.decision.wall_ms, &Zoned::now()) {
        print(&moment)?;
    }
    print(&plain::lines(&explained.text))?;
    Ok(ExitCode::SUCCESS)
}

/// "decided at 14:02:10, 3 min 20 s ago", with the date if it is another day's: a decision holds
/// until the next one that is kept, so it may be older than what was asked for.
fn decided_at(wall_ms: i64, now: &Zoned) -> Option<String> {
    let then = Timestamp::from_millisecond(wall_ms).ok()?.to_zoned(now.time_zone().clone());
    let form = if then.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    let passed_ms = now.timestamp().as_millisecond() - wall_ms;
    Some(format!("decided at {}, {} ago", then.strftime(form), age(passed_ms)))
}

/// A date and time, a time of today, or an age, as milliseconds since 1970.
fn wall_ms(text: &str, now: &Zoned) -> Result<i64, Failure> {
    let of_day = || {
        let time: Time = text.parse().ok()?;
        let then = now.with().time(time).build().ok()?;
        // 23:50 said at 00:10 means yesterday.
        let then =
            if then > *now { then.yesterday().ok()?.with().time(time).build().ok()? } else { then };
        Some(then.timestamp().as_millisecond())
    };
    let age = || {
        let ms = i64::try_from(parse_duration(text).ok()?).ok()?;
        now.timestamp().as_millisecond().checked_sub(ms)
    };
    let date = || {
        let zoned =
            || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(now.time_zone().clone()).ok();
        let moment: Option<Timestamp> = text.parse().ok().or_else(|| Some(zoned()?.timestamp()));
        Some(moment?.as_millisecond())
    };
    age().or_else(date).or_else(of_day).ok_or_else(|| {
        Failure::new(format!("{text:?} is not a time"))
            .hint("write 2026-11-23T14:02:10Z, 14:02, or an age such as 10m")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_says_when_the_decision_was_made() {
        let now: Timestamp = "2026-11-23T14:02:10Z".parse().unwrap();
        let now = now.to_zoned(jiff::tz::TimeZone::UTC);
        let told = |at: &str| {
            let at: Timestamp = at.parse().unwrap();
            decided_at(at.as_millisecond(), &now).unwrap()
        };
        assert_eq!(told("2026-11-23T13:58:50Z"), "decided at 13:58:50, 3 min 20 s ago");
        assert_eq!(told("2026-11-22T13:58:50Z"), "decided at 2026-11-22 13:58:50, 1 d 0 h ago");
        assert_eq!(decided_at(i64::MAX, &now), None, "no time of any calendar");
    }

    #[test]
    fn a_time_is_a_date_a_time_of_day_or_an_age() {
        let now: Timestamp = "2026-11-23T14:00:00Z".parse().unwrap();
        let now = now.to_zoned(jiff::tz::TimeZone::UTC);
        let ms = |text: &str| wall_ms(text, &now).unwrap() - now.timestamp().as_millisecond();
        assert_eq!(ms("10m"), -600_000);
        assert_eq!(ms("13:59"), -60_000);
        assert_eq!(ms("14:01"), -86_340_000, "yesterday");
        assert_eq!(ms("2026-11-23T13:00:00Z"), -3_600_000);
        assert_eq!(ms("2026-11-23T13:00:00"), -3_600_000);
        assert!(wall_ms("soon", &now).unwrap_err().to_string().contains("hint: "));
    }
}
