//! Explains from Marathon's launch queue why tasks do not start.

use std::fmt::Write as _;

use super::answers::{QueueAnswer, WaitingAnswer};

/// Reasons that are worth telling at once.
const REASONS: usize = 3;

/// The words for `app`, of which each task takes `fixed_port` of its agent, if any.
pub(super) fn waiting(queue: &QueueAnswer, app: &str, fixed_port: Option<u16>) -> Option<String> {
    let entry = queue.queue.iter().find(|entry| entry.app.id == app)?;
    if entry.count == 0 {
        return None;
    }
    if entry.delay.overdue {
        return Some(no_offer(entry, fixed_port));
    }
    let left = entry.delay.time_left_seconds.max(0.0);
    (left > 0.0).then(|| format!("marathon starts the next task in {left:.0} s: others crashed"))
}

fn no_offer(entry: &WaitingAnswer, fixed_port: Option<u16>) -> String {
    let offers = &entry.processed_offers_summary;
    let mut reasons: Vec<_> = offers
        .reject_summary_last_offers
        .iter()
        .filter(|reason| reason.declined > 0)
        .map(|reason| (reason.declined, reason.processed, reason.reason.as_str()))
        .collect();
    reasons.sort_by(|a, b| b.cmp(a));
    let mut text = format!("marathon has no room for {}", entry.count);
    if reasons.is_empty() && offers.processed_offers_count == 0 {
        text.push_str(": mesos has offered nothing");
    }
    for (index, (declined, processed, reason)) in reasons.into_iter().take(REASONS).enumerate() {
        let before = if index == 0 { ": " } else { ", " };
        let _ = write!(text, "{before}{reason} on {declined} of {processed} offers");
    }
    if let Some(port) = fixed_port {
        let _ = write!(text, " (each needs an agent of its own, with port {port} free)");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(entry: serde_json::Value, port: Option<u16>) -> Option<String> {
        let queue = json!({ "queue": [{ "app": { "id": "/other" }, "count": 9 }, entry] });
        waiting(&serde_json::from_value(queue).unwrap(), "/web", port)
    }

    #[test]
    fn a_cluster_without_room_and_a_crash_are_told_in_words() {
        let summary = json!({
            "processedOffersCount": 12,
            "rejectSummaryLastOffers": [
                { "reason": "InsufficientMemory", "declined": 0, "processed": 4 },
                { "reason": "InsufficientCpus", "declined": 4, "processed": 4 },
                { "reason": "InsufficientPorts", "declined": 1, "processed": 4 },
            ],
        });
        let entry = json!({
            "app": { "id": "/web" }, "count": 2, "delay": { "timeLeftSeconds": 0, "overdue": true },
            "processedOffersSummary": summary,
        });
        let words = "marathon has no room for 2: InsufficientCpus on 4 of 4 offers, \
                     InsufficientPorts on 1 of 4 offers";
        assert_eq!(said(entry.clone(), None).as_deref(), Some(words));
        assert!(said(entry, Some(80)).unwrap().contains("port 80"));
        let crashed = json!({
            "app": { "id": "/web" }, "count": 1, "delay": { "timeLeftSeconds": 12, "overdue": false },
        });
        assert!(said(crashed, None).unwrap().contains("in 12 s"));
        let launching = json!({ "app": { "id": "/web" }, "count": 1, "delay": {} });
        assert_eq!(said(launching, None), None);
        assert_eq!(said(json!({}), None), None);
    }
}
