//! Versions of Zabbix and their differences, each with a name. 6.0 is the oldest supported version.

use std::fmt;

/// A version of Zabbix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// As in 6.0.
    pub major: u32,
    /// The 0 of 6.0.
    pub minor: u32,
}

impl Version {
    /// The oldest that flyball works with: the first with API tokens, foreach functions and long
    /// support.
    pub const OLDEST: Self = Self { major: 6, minor: 0 };
    /// The newest whose differences are known; a newer one is tried.
    pub const NEWEST: Self = Self { major: 7, minor: 4 };

    /// Reads `6.0.14`, `7.0.0rc1` and the like.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let major = parts.next()?.parse().ok()?;
        let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
        let minor = digits(parts.next()?).parse().ok()?;
        Some(Self { major, minor })
    }

    fn from(self, major: u32, minor: u32) -> bool {
        self >= Self { major, minor }
    }

    /// Whether the token goes into a header; before, it is a property of the call.
    pub fn has_bearer(self) -> bool {
        self.from(6, 4)
    }

    /// Whether an action can be suppressed by a problem that is only a symptom of another.
    pub fn has_symptoms(self) -> bool {
        self.from(6, 4)
    }

    /// Whether a host says by what kind of thing it is monitored, and proxies are no hosts.
    pub fn has_monitored_by(self) -> bool {
        self.from(7, 0)
    }

    /// Whether templates have groups of their own kind.
    pub fn has_template_groups(self) -> bool {
        self.from(6, 2)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let of = |text| Version::parse(text).unwrap();
        assert!(of("5.0.46") < Version::OLDEST && of("6.0.14") == Version::OLDEST);
        assert!(of("10.0.0") > of("7.4.2") && of("7.0.0rc1").has_bearer());
        assert!(!of("6.0.14").has_bearer() && of("6.2.1").has_template_groups());
        assert_eq!(Version::parse("six"), None);
    }
}
