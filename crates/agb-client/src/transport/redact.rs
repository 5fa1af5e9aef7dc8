//! What may be shown. Everything that goes into a log or an error message and may hold a secret comes through here.

use std::borrow::Cow;

use serde_json::Value;

/// Stands where a secret was. Nothing of the secret is kept, not even its length.
pub(crate) const MASK: &str = "****";

/// Names whose values are secret, in lower case and without `-` and `_`.
const SECRET_NAMES: [&str; 12] = [
    "apikey",
    "password",
    "passwd",
    "pwd",
    "token",
    "secret",
    "privatekey",
    "authorization",
    "authcode",
    "ticket",
    "credential",
    "cookie",
];
/// Values nested deeper than this are not shown.
const MAX_DEPTH: usize = 16;

/// A URL without user, password, query and fragment, each of which may grant access.
pub(crate) fn url(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let shown = text.get(..end).unwrap_or_default();
    match shown.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", without_user(rest)),
        None => without_user(shown).to_owned(),
    }
}

fn without_user(rest: &str) -> &str {
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let user_end = rest.get(..authority_end).and_then(|authority| authority.rfind('@'));
    user_end.and_then(|at| rest.get(at + 1..)).unwrap_or(rest)
}

/// A text in which none of `secrets` occurs.
pub(crate) fn without<'a>(text: &'a str, secrets: &[&str]) -> Cow<'a, str> {
    let mut shown = Cow::Borrowed(text);
    for secret in secrets.iter().filter(|secret| !secret.is_empty() && secret.len() >= MIN_SECRET_BYTES) {
        if shown.contains(secret) {
            shown = Cow::Owned(shown.replace(secret, MASK));
        }
    }
    shown
}

/// Shorter texts are no secrets, and would be found in every other word.
const MIN_SECRET_BYTES: usize = 6;

/// A request's body as it may be logged: JSON with masked secrets, or its size.
pub(crate) fn body(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(mut value) => {
            mask(&mut value, 0);
            value.to_string()
        }
        Err(_) => format!("<{} bytes>", bytes.len()),
    }
}

/// A value with masked secrets, as text of at most `max_chars` characters.
pub(crate) fn excerpt(mut value: Value, max_chars: usize) -> String {
    mask(&mut value, 0);
    let text = value.to_string();
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn mask(value: &mut Value, depth: usize) {
    match value {
        _ if depth > MAX_DEPTH => *value = Value::from(MASK),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if is_secret_name(name) {
                    *member = Value::from(MASK);
                } else {
                    mask(member, depth + 1);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, depth + 1)),
        // JSON within JSON holds the arguments of tools, among them commands and programs with secrets of their own.
        Value::String(text) if looks_like_json(text) => *text = format!("<{} bytes of JSON>", text.len()),
        Value::String(text) if text.contains("://") => *text = url(text),
        _ => {}
    }
}

fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_NAMES.iter().any(|secret| plain.contains(secret))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn urls_lose_user_query_and_fragment() {
        assert_eq!(url("wss://user:pw@h:1/p?token=t#f"), "wss://h:1/p");
        assert_eq!(url("http://h/a@b?x"), "http://h/a@b");
        assert_eq!(url("u:p@h?x"), "h");
        assert_eq!(url("http://h#x@y/z"), "http://h");
    }

    #[test]
    fn nothing_of_a_secret_is_left_at_any_depth() {
        let body = body(
            json!({
                "token": "SECRET", "X-Access-Token": "SECRET", "api_key": ["SECRET"], "deep": [{"authCode": "SECRET"}],
                "args": "{\"command\":\"echo SECRET\"}", "url": "https://h/p?sig=SECRET", "name": "shell"
            })
            .to_string()
            .as_bytes(),
        );
        assert!(!body.contains("SECRET"), "{body}");
        assert!(body.contains("shell") && body.contains("https://h/p"));
    }

    #[test]
    fn an_excerpt_is_cut_between_characters_and_shows_no_secret() {
        assert_eq!(excerpt(json!({"a": 1}), 7), r#"{"a":1}"#);
        assert_eq!(excerpt(json!("äöü"), 3), "\"äö...");
        assert!(!excerpt(json!({"accessToken": "SECRET"}), 100).contains("SECRET"));
    }

    #[test]
    fn what_is_no_json_shows_only_its_size() {
        assert_eq!(body(b"SECRET"), "<6 bytes>");
    }

    #[test]
    fn a_secret_inside_a_text_is_masked() {
        assert_eq!(without("key ako-12345 refused", &["ako-12345", "", "k"]), "key **** refused");
    }
}
