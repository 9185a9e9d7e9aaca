//! The answer of an agent: complete and plausible in itself, or refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most containers in one answer. Docker's own networks end at about a thousand on one machine;
/// half would leave some of those out, twice would make the largest answer half a megabyte.
pub const CONTAINERS_MAX: usize = 2_000;

/// What [`CONTAINERS_MAX`] lines of at most 114 bytes need, and some air for what later versions
/// add. More is not read.
pub(crate) const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// Where it is asked for.
pub(crate) const PATH: &str = "/v1/cpu";

/// A kernel of 6.18 can be built for this many.
const CORES_MAX: u32 = 8_192;

/// The counters of one machine at one moment:
///
/// ```json
/// {"boot_id":"6b1f...","at_ns":5123456789,"cores":2,"containers":[["4a9c...",8100000,null]]}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Names this run of the kernel; counters and `at_ns` of another one do not compare.
    pub boot_id: String,
    /// When the counters were read, in nanoseconds on a clock of the machine's own that never runs
    /// backwards (`CLOCK_MONOTONIC`).
    pub at_ns: u64,
    /// The processors that are online; at least 1.
    pub cores: u32,
    /// Each container whose counter could be read, once.
    pub containers: Vec<Container>,
}

/// One container, `[id, cpu_ns, throttled_ns]` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container(
    /// Its id: 64 hex digits, lower case.
    pub Arc<str>,
    /// CPU time that it used since it started, in nanoseconds.
    pub u64,
    /// How long it was throttled since, in nanoseconds; `None` without a limit or a count.
    pub Option<u64>,
);

impl Answer {
    /// Reads an answer; what is wrong with it otherwise, without a word of its own text.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let answer: Self = serde_json::from_slice(body)
            .map_err(|error| format!("line {} column {}", error.line(), error.column()))?;
        let mut ids = BTreeSet::new();
        let known = |id: &str| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if answer.boot_id.is_empty() || answer.boot_id.len() > 64 {
            Err("boot_id".to_owned())
        } else if answer.cores == 0 || answer.cores > CORES_MAX {
            Err(format!("cores: {}", answer.cores))
        } else if answer.containers.len() > CONTAINERS_MAX {
            Err(format!("{} containers", answer.containers.len()))
        } else if !answer.containers.iter().all(|it| known(&it.0) && ids.insert(&*it.0)) {
            Err("the id of a container".to_owned())
        } else {
            Ok(answer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(cores: u32, containers: &str) -> Result<Answer, String> {
        let head = format!("{{\"boot_id\":\"b\",\"at_ns\":7,\"cores\":{cores}");
        Answer::parse(format!("{head},\"containers\":{containers}}}").as_bytes())
    }

    #[test]
    fn an_answer_reads_as_it_was_written() {
        let id = "0a".repeat(32);
        let answer = parse(2, &format!("[[\"{id}\",5,null]]")).unwrap();
        assert_eq!(answer.containers, [Container(id.into(), 5, None)]);
        let text = serde_json::to_vec(&answer).unwrap();
        assert_eq!(Answer::parse(&text), Ok(answer));
    }

    #[test]
    fn what_no_agent_answers_is_refused_without_repeating_it() {
        let id = "0a".repeat(32);
        let twice = format!("[[\"{id}\",5,null],[\"{id}\",6,null]]");
        for (cores, containers) in [
            (0, "[]"),
            (9_999, "[]"),
            (2, "[[\"s3cret\",5,null]]"),
            (2, "[[\"s3cret\",-5,null]]"),
            (2, "\"s3cret\""),
            (2, twice.as_str()),
        ] {
            let why = parse(cores, containers).unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
        }
        assert!(Answer::parse(b"").is_err());
    }

    #[test]
    fn the_largest_answer_fits_into_its_bound() {
        let line = |n| Container(format!("{n:064x}").into(), u64::MAX, Some(u64::MAX));
        let containers = (0..CONTAINERS_MAX).map(line).collect();
        let answer =
            Answer { boot_id: "b".repeat(64), at_ns: u64::MAX, cores: CORES_MAX, containers };
        let text = serde_json::to_vec(&answer).unwrap();
        assert!(text.len() < ANSWER_BYTES_MAX && Answer::parse(&text).is_ok());
    }
}
