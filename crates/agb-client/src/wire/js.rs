//! Values as JavaScript sees them, where the protocol was made by a JavaScript client.

use serde_json::{Map, Number, Value};

/// The first integer that a double can't tell from its neighbour.
const SAFE_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Truthiness: `null`, `false`, `0` and the empty text are false.
pub(crate) fn is_truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(_) | Value::Object(_)) => true,
    }
}

/// A number as JSON: whole ones without a fraction, and what JSON can't hold as `null`.
pub(crate) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < SAFE_INTEGER {
        // Whole and in range, so the conversion is exact.
        return Value::Number(Number::from(value as i64));
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A number as text.
pub(crate) fn number_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    if value == 0.0 { "0".to_owned() } else { value.to_string() }
}

/// The text under `key`, or under the same name with a capital where `key` is absent; empty where neither is a text.
pub(crate) fn text<'a>(object: &'a Map<String, Value>, key: &str) -> &'a str {
    either_case(object, key).and_then(Value::as_str).unwrap_or_default()
}

/// The value under `key`, or under the same name with a capital where `key` is absent.
pub(crate) fn either_case<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).or_else(|| object.get(&capitalised(key)))
}

/// `sessionId` → `SessionId`.
pub(crate) fn capitalised(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// The value as compact JSON text. A value made of JSON always serialises.
pub(crate) fn json_text(value: &Value) -> String {
    value.to_string()
}

/// An object as compact JSON text.
pub(crate) fn object_text(object: &Map<String, Value>) -> String {
    serde_json::to_string(object).unwrap_or_else(|_| "{}".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_go_out_without_a_fraction() {
        assert_eq!(number(300.0).to_string(), "300");
        assert_eq!(number(-1.0).to_string(), "-1");
        assert_eq!(number(0.5).to_string(), "0.5");
        assert_eq!(number(1e18).to_string(), "1e+18");
        assert_eq!(number(f64::NAN), Value::Null);
        assert_eq!(number(f64::INFINITY), Value::Null);
    }

    #[test]
    fn numbers_read_as_in_javascript() {
        assert_eq!(number_text(1.5), "1.5");
        assert_eq!(number_text(-0.0), "0");
        assert_eq!(number_text(f64::NAN), "NaN");
        assert_eq!(number_text(f64::NEG_INFINITY), "-Infinity");
    }

    #[test]
    fn truthiness_is_javascripts() {
        for falsy in [json!(null), json!(false), json!(0), json!(0.0), json!("")] {
            assert!(!is_truthy(Some(&falsy)), "{falsy}");
        }
        for truthy in [json!(true), json!(1), json!("false"), json!([]), json!({})] {
            assert!(is_truthy(Some(&truthy)), "{truthy}");
        }
    }

    #[test]
    fn the_capitalised_spelling_serves_where_the_other_is_absent() {
        let object = json!({"LinkUrl": "http://x", "Token": "no", "token": ""});
        let object = object.as_object().unwrap();
        assert_eq!(text(object, "linkUrl"), "http://x");
        assert_eq!(text(object, "token"), "");
        assert_eq!(text(object, "wsUrl"), "");
    }
}
