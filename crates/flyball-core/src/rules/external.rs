//! The external rule: only a person or another program changes the count, through
//! [`Manual`](crate::observation::Manual). It has no settings.

use super::{Arithmetic, Context, Recommendation, Triggers};
use crate::observation::Ask;

/// What was last asked for; before anybody asked, what there is.
pub(super) fn recommend(context: &Context<'_>) -> Recommendation {
    let asked = context.observation.manual.as_ref().and_then(|manual| match manual.ask {
        Ask::Pin(count) => Some(Arithmetic::Asked { count, by: manual.by.clone() }),
        Ask::Pause => None,
    });
    let kept = || {
        let count = context.signals.current;
        Arithmetic::Asked { count, by: "nobody yet".to_owned() }
    };
    asked.unwrap_or_else(kept).recommend()
}

/// The thresholds of the 2014 sketch, for whoever watches such a service.
pub(super) const TRIGGERS: Triggers = Triggers { out_at: 0.30, in_at: 0.15, window_ms: 0 };
