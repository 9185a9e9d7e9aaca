//! Changes the count in a raw service spec and nothing else.
//!
//! A typed spec would drop unknown fields, and the manager would remove what is missing.

use serde_json::{Value, json};

use super::error::SwarmError;

/// A service as it was read, to be written back.
#[derive(Clone, Debug)]
pub(super) struct RawService {
    answer: Value,
}

impl RawService {
    pub(super) fn new(answer: Value) -> Self {
        Self { answer }
    }

    /// What must be presented with a change.
    pub(super) fn version(&self) -> u64 {
        self.answer["Version"]["Index"].as_u64().unwrap_or(0)
    }

    /// How many replicas it should run. (Swarm itself takes a missing number for 1.)
    ///
    /// # Errors
    /// [`SwarmError::NotReplicated`] for `name`.
    pub(super) fn replicas(&self, name: &str) -> Result<u32, SwarmError> {
        let mode = &self.answer["Spec"]["Mode"];
        match mode.get("Replicated") {
            Some(replicated) => {
                let replicas = replicated["Replicas"].as_u64().unwrap_or(1);
                Ok(u32::try_from(replicas).unwrap_or(u32::MAX))
            }
            None => {
                let mode = if mode.get("Global").is_some() { "global" } else { "job" };
                Err(SwarmError::NotReplicated { service: name.to_owned(), mode })
            }
        }
    }

    /// The whole answer, for readers of other fields.
    pub(super) fn answer(&self) -> &Value {
        &self.answer
    }

    /// The spec with the count `to`.
    pub(super) fn scaled(mut self, to: u32) -> Value {
        let mut spec = self.answer["Spec"].take();
        spec["Mode"]["Replicated"]["Replicas"] = json!(to);
        spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_changes_and_fields_that_nobody_knows_stay() {
        let answer = json!({
            "ID": "x", "Version": { "Index": 17 },
            "Spec": {
                "Name": "web", "Mode": { "Replicated": { "Replicas": 3, "New": [null] } },
                "TaskTemplate": { "ForceUpdate": 2, "Unheard": { "of": 0.1 } },
                "UpdateConfig": { "Delay": 5_000_000_000_u64, "MaxFailureRatio": 0.30000001 },
            },
        });
        let raw = RawService::new(answer.clone());
        assert_eq!((raw.version(), raw.replicas("web")), (17, Ok(3)));
        let mut expected = answer["Spec"].clone();
        expected["Mode"]["Replicated"]["Replicas"] = json!(7);
        assert_eq!(raw.scaled(7), expected);
    }

    #[test]
    fn modes_without_a_count_are_refused_by_name() {
        let raw = |mode: Value| RawService::new(json!({ "Spec": { "Mode": mode } }));
        assert_eq!(raw(json!({ "Replicated": {} })).replicas("web"), Ok(1));
        for (mode, word) in
            [(json!({ "Global": {} }), "global"), (json!({ "ReplicatedJob": {} }), "job")]
        {
            let refused = raw(mode).replicas("web").unwrap_err().to_string();
            assert!(refused.contains(word) && refused.contains("web"), "{refused}");
        }
    }
}
