//! One value of one item at one moment, and the packet format.
//!
//! Zabbix keeps only one value per item and time, so [`ValueTimes`] makes times unique.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

/// The longest text that is reported, in bytes; the rest of a longer one is left out.
pub const TEXT_MAX: usize = 4_096;

/// A moment as Zabbix keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueTime {
    /// Seconds since 1970-01-01 UTC.
    pub clock: i64,
    /// Nanoseconds, below 10^9.
    pub ns: u32,
}

/// What an item has.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    /// A share or a rate; always finite, see [`Value::number`].
    Number(f64),
    /// A count.
    Count(u64),
    /// Words.
    Text(Arc<str>),
}

/// One value of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// The host's name in Zabbix.
    pub host: Arc<str>,
    /// The item's key.
    pub key: Arc<str>,
    /// What it has.
    pub figure: ValueKind,
    /// When.
    pub at: ValueTime,
}

impl Value {
    /// A number; `None` if it is none that Zabbix could keep (missing is not zero).
    pub fn number(
        host: &Arc<str>,
        key: impl Into<Arc<str>>,
        number: f64,
        at: ValueTime,
    ) -> Option<Self> {
        let figure = ValueKind::Number(number);
        number.is_finite().then(|| Self { host: Arc::clone(host), key: key.into(), figure, at })
    }

    /// A count.
    pub fn count(host: &Arc<str>, key: impl Into<Arc<str>>, count: u64, at: ValueTime) -> Self {
        Self { host: Arc::clone(host), key: key.into(), figure: ValueKind::Count(count), at }
    }

    /// A text, of which [`TEXT_MAX`] bytes are kept.
    pub fn text(host: &Arc<str>, key: impl Into<Arc<str>>, text: &str, at: ValueTime) -> Self {
        let mut end = text.len().min(TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let figure = ValueKind::Text(text[..end].into());
        Self { host: Arc::clone(host), key: key.into(), figure, at }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entry = serializer.serialize_struct("value", 5)?;
        entry.serialize_field("host", &*self.host)?;
        entry.serialize_field("key", &*self.key)?;
        match &self.figure {
            // Four decimals: a hundredth of what any chart shows.
            ValueKind::Number(number) => entry.serialize_field("value", &format!("{number:.4}"))?,
            ValueKind::Count(count) => entry.serialize_field("value", &count.to_string())?,
            ValueKind::Text(text) => entry.serialize_field("value", &**text)?,
        }
        entry.serialize_field("clock", &self.at.clock)?;
        entry.serialize_field("ns", &self.at.ns)?;
        entry.end()
    }
}

/// Gives moments, no two the same.
#[derive(Debug, Default)]
pub struct ValueTimes {
    count: u32,
}

impl ValueTimes {
    /// The moment of `wall_ms`, milliseconds since 1970-01-01 UTC; kept distinct from others of
    /// that millisecond in its last six digits.
    pub fn at(&mut self, wall_ms: i64) -> ValueTime {
        self.count = (self.count + 1) % 1_000_000;
        let ms = u32::try_from(wall_ms.rem_euclid(1_000)).unwrap_or(0);
        ValueTime { clock: wall_ms.div_euclid(1_000), ns: ms * 1_000_000 + self.count }
    }
}

/// The discovery rule's value: the whole list of replicas.
pub(crate) fn discovery(replicas: &[impl AsRef<str>]) -> String {
    let entry = |name: &str| serde_json::json!({ "{#REPLICA}": name });
    let list: Vec<_> = replicas.iter().map(|name| entry(name.as_ref())).collect();
    serde_json::Value::Array(list).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_its_own_time_and_no_two_have_the_same() {
        let mut moments = ValueTimes::default();
        let host: Arc<str> = "web".into();
        let first = Value::number(&host, "flyball.cpu[web-1]", 21.5, moments.at(1_500)).unwrap();
        let json = serde_json::to_string(&first).unwrap();
        let want = r#"{"host":"web","key":"flyball.cpu[web-1]","value":"21.5000","clock":1,"ns":500000001}"#;
        assert_eq!(json, want);
        assert_ne!(moments.at(1_500), first.at);
        assert_eq!(moments.at(-1).clock, -1);
    }

    #[test]
    fn what_is_no_number_is_not_reported_and_long_texts_are_cut_between_characters() {
        let host: Arc<str> = "web".into();
        let at = ValueTimes::default().at(0);
        assert_eq!(Value::number(&host, "k", f64::NAN, at), None);
        let long = "ä".repeat(TEXT_MAX);
        let ValueKind::Text(text) = Value::text(&host, "k", &long[..], at).figure else { panic!() };
        assert_eq!(text.len(), TEXT_MAX);
        assert_eq!(discovery(&["web-1"]), r##"[{"{#REPLICA}":"web-1"}]"##);
    }
}
