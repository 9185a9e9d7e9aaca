//! What Prometheus scrapes, line by line.

use crate::scripted::{Mood, Scripted, Site};

#[tokio::test]
async fn metrics_say_what_is_known_and_leave_out_what_is_not() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let answer = site.get("/metrics").await;
    assert_eq!(answer.status, 200);
    let media = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(media));
    for line in [
        "# TYPE flyball_replicas gauge",
        "flyball_replicas{service=\"web\",state=\"ready\"} 0.0",
        "flyball_replicas_wanted{service=\"web\"} 2.0",
        "flyball_replicas_max{service=\"web\"} 20.0",
        "flyball_notice{service=\"web\",kind=\"paused\"} 0.0",
        "flyball_decision_age_seconds{service=\"web\"} 0.0",
        "flyball_errors_total{service=\"web\",source=\"engine\"} 0.0",
        "flyball_scalings_total{service=\"web\",direction=\"out\"} 0.0",
        "flyball_look_duration_seconds_bucket{service=\"web\",le=\"+Inf\"} 0",
        "flyball_event_readers 0",
    ] {
        assert!(answer.body.lines().any(|own| own == line), "{line} in {}", answer.body);
    }
    assert!(!answer.body.contains("e+308"), "one part without an end, and that is +Inf");
    for unknown in ["flyball_requests_waiting{", "flyball_requests_total{", "flyball_cpu_ratio{"] {
        assert!(!answer.body.contains(unknown), "{unknown} in {}", answer.body);
    }
    site.close().await;
}
