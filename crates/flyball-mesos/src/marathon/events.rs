//! Marathon's event stream: events that name a watched app trigger a look. Event contents are not
//! trusted: events arrive out of order, twice or not at all. A stream without a keep-alive ends.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::call::Link;
use super::error::MarathonError;
use super::lines::Lines;
use super::settings::MarathonSettings;

/// Those that can change what a look sees.
const PATH: &str = "/v2/events?event_type=status_update_event&event_type=instance_changed_event\
     &event_type=instance_health_changed_event&event_type=health_status_changed_event\
     &event_type=deployment_info&event_type=deployment_success&event_type=deployment_failed\
     &event_type=deployment_step_success&event_type=api_post_event&event_type=app_terminated_event";
/// An empty line comes every 10 s or so.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Redirects before they are reported as a loop.
const HOPS_MAX: usize = 3;

/// What events say. Dropping it ends the connection.
#[derive(Debug)]
pub(super) struct Events {
    link: Link,
    body: Incoming,
    lines: Lines,
    heard_at: Instant,
}

impl Events {
    /// Begins to listen at `at`, or at the leader that it leads to.
    pub(super) async fn open(at: &str, settings: &MarathonSettings) -> Result<Self, MarathonError> {
        let mut at = at.to_owned();
        for _ in 0..HOPS_MAX {
            match Link::open(&at, settings).await?.stream(PATH).await {
                Err(MarathonError::Elsewhere { at: leader }) => at = leader,
                Err(error) => return Err(error),
                Ok((link, body)) => {
                    let (lines, heard_at) = (Lines::default(), Instant::now());
                    return Ok(Self { link, body, lines, heard_at });
                }
            }
        }
        Err(MarathonError::NoLeader)
    }

    /// Waits for an event that names one of `words`.
    pub(super) async fn about(&mut self, words: &[String]) -> Result<(), MarathonError> {
        loop {
            while let Some(line) = self.lines.next().map_err(|why| self.broken(&why))? {
                if names_one(&line, words) {
                    return Ok(());
                }
            }
            let more = timeout_at(self.heard_at + SILENCE_MAX, self.body.frame()).await;
            let silent = |_| crate::http::silent(self.link.at(), "events", SILENCE_MAX);
            match more.map_err(silent)? {
                Some(Ok(frame)) => {
                    self.heard_at = Instant::now();
                    self.lines.push(frame.data_ref().map_or(&[], |data| &data[..]));
                }
                Some(Err(error)) => return Err(self.broken(&error.to_string())),
                None => return Err(self.broken("its end")),
            }
        }
    }

    fn broken(&self, why: &str) -> MarathonError {
        let (at, what) = (self.link.at().to_owned(), "events".to_owned());
        MarathonError::Broken { at, what, why: why.to_owned() }
    }
}

/// How events call the app `id`: by its id, and within ids of tasks.
pub(crate) fn words_for(id: &str) -> [String; 2] {
    let inside = id.trim_start_matches('/').replace('/', "_");
    [format!("\"{id}\""), format!("\"{inside}.")]
}

pub(crate) fn names_one(line: &[u8], words: &[String]) -> bool {
    let text = String::from_utf8_lossy(line);
    text.starts_with("data:") && words.iter().any(|word| text.contains(word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_about_an_app_by_its_id_or_by_one_of_its_tasks() {
        let words = words_for("/shop/web");
        for line in [
            r#"data: {"appId":"/shop/web","taskStatus":"TASK_RUNNING"}"#,
            r#"data: {"instanceId":"shop_web.instance-56","condition":"Running"}"#,
        ] {
            assert!(names_one(line.as_bytes(), &words), "{line}");
        }
        for line in [
            "event: status_update_event",
            r#"data: {"appId":"/shop/web2"}"#,
            r#"data: {"appId":"/other/shop/web"}"#,
            r#"event: {"appId":"/shop/web"}"#,
            "",
        ] {
            assert!(!names_one(line.as_bytes(), &words), "{line}");
        }
    }
}
