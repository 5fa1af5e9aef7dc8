//! Reading JSON that promises less than its format says: tools are written in many languages, and a field that should
//! be text may arrive as a number.

use serde_json::{Number, Value};

/// Parses `text`, also when it has `\uD800`-like escapes without their other half, which Python writes for file names
/// that aren't UTF-8. Such an escape becomes U+FFFD, as it does when the text is encoded as UTF-8 anyway.
pub(crate) fn parse(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    if !text.contains("\\u") {
        return None;
    }
    serde_json::from_str(&replace_lone_surrogates(text)).ok()
}

/// The value as text: text as it is, a list or an object as compact JSON, everything else as it is written.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number_text(number),
        other => other.to_string(),
    }
}

/// The text of a field that may be absent or null.
pub(super) fn optional_text(value: Option<&Value>) -> Option<String> {
    value.filter(|value| !value.is_null()).map(text_of)
}

/// A list of texts: a list is read item by item without its nulls, a single value is a list of one, an absent, null or
/// empty one is an empty list.
pub(super) fn texts_of(value: Option<&Value>) -> Vec<String> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().filter(|item| !item.is_null()).map(text_of).collect(),
        Some(Value::String(text)) if text.is_empty() => Vec::new(),
        Some(single) => vec![text_of(single)],
    }
}

/// A number, also when it was sent as text.
pub(super) fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// `1.0` reads as `1`; integers keep all their digits.
fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() < 1e21 => format!("{value:.0}"),
        _ => number.to_string(),
    }
}

/// Replaces each `\uXXXX` escape that is half of a pair without its other half. Text outside of strings has no
/// backslashes in valid JSON, so strings need not be told apart.
fn replace_lone_surrogates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let length = match unicode_escape(escape) {
            None => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
            Some(unit) if is_high(unit) && escape.get(6..).and_then(unicode_escape).is_some_and(is_low) => 12,
            Some(unit) if is_high(unit) || is_low(unit) => 0,
            Some(_) => 6,
        };
        if length == 0 {
            out.push('\u{FFFD}');
            rest = escape.get(6..).unwrap_or_default();
            continue;
        }
        out.push_str(escape.get(..length).unwrap_or_default());
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The code unit of the `\uXXXX` escape that `text` begins with.
fn unicode_escape(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

fn is_high(unit: u16) -> bool {
    (0xD800..0xDC00).contains(&unit)
}

fn is_low(unit: u16) -> bool {
    (0xDC00..0xE000).contains(&unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lone_half_of_a_pair_becomes_the_replacement_character() {
        assert_eq!(parse(r#"["a\udc80b"]"#), Some(json!(["a\u{FFFD}b"])));
        assert_eq!(parse(r#"["\ud83d"]"#), Some(json!(["\u{FFFD}"])));
        assert_eq!(parse(r#"["\ud83dx\ude00"]"#), Some(json!(["\u{FFFD}x\u{FFFD}"])));
    }

    #[test]
    fn pairs_and_escaped_backslashes_stay_beside_a_lone_half() {
        assert_eq!(parse(r#"["\ud83d\ude00\udc80\\ud83d\n\"é"]"#), Some(json!(["😀\u{FFFD}\\ud83d\n\"é"])));
    }

    #[test]
    fn text_that_is_no_json_is_none() {
        for text in ["", "hello", "{", "NaN", "\\u", "\\ud8", "[\"\\u12\"]", "\\é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn values_become_text_as_they_are_written() {
        for (value, text) in [
            (json!("a"), "a"),
            (json!(1), "1"),
            (json!(1.0), "1"),
            (json!(-2.5), "-2.5"),
            (json!(true), "true"),
            (json!(null), "null"),
            (json!({ "b": 1, "a": [2] }), r#"{"b":1,"a":[2]}"#),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            assert_eq!(text_of(&value), text);
        }
    }

    #[test]
    fn lists_of_texts_are_made_from_what_there_is() {
        assert_eq!(texts_of(None), Vec::<String>::new());
        assert_eq!(texts_of(Some(&json!(""))), Vec::<String>::new());
        assert_eq!(texts_of(Some(&json!("one"))), ["one"]);
        assert_eq!(texts_of(Some(&json!(["a", null, 2, ""]))), ["a", "2", ""]);
        assert_eq!(texts_of(Some(&json!(false))), ["false"]);
    }

    #[test]
    fn numbers_are_read_from_text_too() {
        assert_eq!(number_of(&json!(" 7 ")), Some(7.0));
        assert_eq!(number_of(&json!(7)), Some(7.0));
        assert_eq!(number_of(&json!("inf")), None);
        assert_eq!(number_of(&json!("x")), None);
        assert_eq!(number_of(&json!([7])), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r#"(\\|\\\\|u|[uU]|[dD][89cC][0-9]{2}|"|é|[\[\]{}:,]|.){0,24}"#) {
            let _ = parse(&text);
            let _ = replace_lone_surrogates(&text);
        }
    }
}
