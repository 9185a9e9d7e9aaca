//! Where an object in Zabbix differs from what it should be. Every field that is set is compared,
//! so other defaults and manual changes are found. No value is shown, since one may be a token.

use serde_json::Value;

/// The fields of `wanted` that `there` does not have so. A field that `there` lacks differs.
pub(super) fn differing(there: &Value, wanted: &Value) -> Vec<String> {
    let fields = wanted.as_object().into_iter().flatten();
    let differs = fields.filter(|(name, value)| !is_same(&there[name.as_str()], value));
    differs.map(|(name, _)| name.clone()).collect()
}

/// Lists are the same in any order; of an object only the wanted fields count, since Zabbix adds
/// ids and what it defaults to.
fn is_same(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(_), Value::Object(fields)) => {
            fields.iter().all(|(name, value)| is_same(&there[name.as_str()], value))
        }
        (Value::Array(there), Value::Array(wanted)) => {
            let is_there = |one: &Value| there.iter().any(|found| is_same(found, one));
            there.len() == wanted.len() && wanted.iter().all(is_there)
        }
        _ => scalar(wanted).is_some_and(|wanted| scalar(there) == Some(wanted)),
    }
}

/// Zabbix takes numbers, and answers with texts and with its own ends of lines.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.replace('\r', "")),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_compared_as_texts_and_what_zabbix_adds_does_not_count() {
        let there = json!({ "id": "1", "status": "0", "script": "a\r\nb", "list": [
            { "name": "b", "id": "7" }, { "name": "a", "id": "8" },
        ]});
        let wanted =
            json!({ "status": 0, "script": "a\nb", "list": [{ "name": "a" }, { "name": "b" }] });
        assert_eq!(differing(&there, &wanted), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_more_or_unknown_yet_differs() {
        let there = json!({ "status": "1", "list": [{ "name": "a" }, { "name": "b" }] });
        let wanted = json!({ "status": "0", "list": [{ "name": "a" }], "more": "x" });
        assert_eq!(differing(&there, &wanted), ["list", "more", "status"]);
        assert_eq!(differing(&there, &json!({ "status": null })), ["status"]);
    }
}
