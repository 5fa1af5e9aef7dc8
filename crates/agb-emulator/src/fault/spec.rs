//! How a fault is described: as JSON, and in one line for the command line.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Direction, Effect, Fault, OPERATIONS, When};

/// The kinds, as JSON spells them.
const KINDS: [&str; 8] = ["status", "delay", "reset", "truncate", "garbage", "halfOpen", "slow", "close"];
/// Not even UTF-8.
const GARBAGE: &[u8] = b"\x00\xff\xfe<garbage>{\"success\":tru";
/// The longest delay, in milliseconds: what is longer is meant as half-open.
const LONGEST_DELAY_MS: f64 = 86_400_000.0;
/// The largest integer that a JavaScript number holds exactly.
const LARGEST: u64 = 9_007_199_254_740_991;
/// Keys of the one-line form, and the members that they stand for.
const KEYS: [(&str, &str); 18] = [
    ("count", "count"),
    ("from", "from"),
    ("tool", "tool"),
    ("session", "sessionId"),
    ("label", "labels"),
    ("probability", "probability"),
    ("when", "when"),
    ("retry-after", "retryAfter"),
    ("header", "headers"),
    ("body", "body"),
    ("code", "code"),
    ("message", "message"),
    ("bytes", "bytes"),
    ("framed", "framed"),
    ("direction", "direction"),
    ("after-chunks", "afterChunks"),
    ("reason", "reason"),
    ("ms", "ms"),
];
/// Kinds of the one-line form, as JSON spells them, and the member that their value stands for.
const ONE_LINE_KINDS: [(&str, &str, &str); 8] = [
    ("status", "status", "status"),
    ("delay", "delay", "ms"),
    ("reset", "reset", "when"),
    ("truncate", "truncate", "bytes"),
    ("garbage", "garbage", "body"),
    ("half-open", "halfOpen", "when"),
    ("slow", "slow", "bytesPerSecond"),
    ("close", "close", "afterChunks"),
];

impl Fault {
    /// Reads a description: a JSON object (see [`Fault::from_json`]), or one line:
    /// `OPERATION[+OPERATION…]:KIND[=VALUE][,KEY=VALUE…]`, for example `callTool:status=503,count=2,retry-after=1`.
    ///
    /// # Errors
    ///
    /// What is wrong, and what is allowed instead.
    pub fn parse(text: &str) -> Result<Fault, String> {
        if !text.trim_start().starts_with('{') {
            return read(Members { members: one_line(text)?, asked: Vec::new(), is_text: true });
        }
        let value = serde_json::from_str(text).map_err(|error| format!("a fault must be valid JSON: {error}"))?;
        Self::from_json(value)
    }

    /// Reads a description as JSON: `{"operation": …, "kind": …, …}`, with the members of docs/emulator.md, section
    /// Faults. `null` counts as absent.
    ///
    /// # Errors
    ///
    /// What is wrong, and what is allowed instead.
    pub fn from_json(value: Value) -> Result<Fault, String> {
        let Value::Object(members) = value else {
            return Err("a fault must be an object with operation and kind".to_owned());
        };
        read(Members { members, asked: Vec::new(), is_text: false })
    }
}

fn one_line(text: &str) -> Result<Map<String, Value>, String> {
    let (operations, rest) = text.split_once(':').ok_or_else(|| {
        format!("'{text}' is not a fault: write OPERATION:KIND, for example callTool:status=503,count=2")
    })?;
    let mut members = Map::new();
    members.insert("operation".to_owned(), operations.split('+').map(|name| Value::from(name.trim())).collect());
    let mut pairs = rest.split(',').map(|pair| pair.split_once('=').map_or((pair, None), |(k, v)| (k, Some(v))));
    let (word, value) = pairs.next().unwrap_or_default();
    let words = ONE_LINE_KINDS.map(|(word, ..)| word);
    let known = ONE_LINE_KINDS.iter().find(|(known, ..)| *known == word.trim());
    let (_, kind, member) = known.ok_or_else(|| format!("the kind must be {}, got '{word}'", one_of(&words)))?;
    members.insert("kind".to_owned(), (*kind).into());
    if let Some(value) = value {
        members.insert((*member).to_owned(), value.into());
    }
    for (key, value) in pairs {
        add_pair(&mut members, key.trim(), value)?;
    }
    Ok(members)
}

fn add_pair(members: &mut Map<String, Value>, key: &str, value: Option<&str>) -> Result<(), String> {
    let keys = KEYS.map(|(key, _)| key);
    let (_, member) = KEYS
        .iter()
        .find(|(known, _)| *known == key)
        .ok_or_else(|| format!("the key must be {}, got '{key}'; a value with a comma needs JSON", one_of(&keys)))?;
    let value = value.ok_or_else(|| format!("{key} needs a value: {key}=…"))?;
    if !matches!(*member, "labels" | "headers") {
        members.insert((*member).to_owned(), value.into());
        return Ok(());
    }
    let (name, value) = value.split_once(':').ok_or_else(|| format!("{key} must be NAME:VALUE, got '{value}'"))?;
    if let Value::Object(pairs) = members.entry(*member).or_insert_with(|| Map::new().into()) {
        pairs.insert(name.to_owned(), value.trim().into());
    }
    Ok(())
}

fn read(mut members: Members) -> Result<Fault, String> {
    let operations = members.texts("operation")?;
    if operations.is_empty() {
        return Err(format!("operation must be {}", one_of(&OPERATIONS)));
    }
    if let Some(unknown) = operations.iter().find(|name| !OPERATIONS.contains(&name.as_str())) {
        return Err(format!("operation must be {}, got '{unknown}'", one_of(&OPERATIONS)));
    }
    let kind = members.text("kind")?.unwrap_or_default();
    let fault = Fault {
        operations,
        tools: members.texts("tool")?,
        session_id: members.text("sessionId")?,
        labels: members.object("labels")?,
        from: members.whole("from", 1, LARGEST)?.unwrap_or(1),
        count: members.count()?,
        probability: members.number("probability", 0.0, 1.0)?,
        effect: effect(&kind, &mut members)?,
    };
    members.end(&kind)?;
    Ok(fault)
}

fn effect(kind: &str, members: &mut Members) -> Result<Effect, String> {
    Ok(match kind {
        "status" => status(members)?,
        "delay" => {
            let ms = members.milliseconds("ms")?.ok_or("ms is required: how long the delay takes, in milliseconds")?;
            Effect::Delay { by: Duration::from_secs_f64(ms / 1e3), when: members.when()? }
        }
        "reset" => Effect::Reset { when: members.when()? },
        "truncate" => Effect::Truncate {
            bytes: members.whole("bytes", 0, LARGEST)?,
            framed: members.flag("framed")?.unwrap_or(false),
        },
        "garbage" => Effect::Garbage {
            body: members.text("body")?.map_or(Bytes::from_static(GARBAGE), |text| text.into_bytes().into()),
        },
        "halfOpen" => half_open(members)?,
        "slow" => Effect::Slow {
            bytes_per_second: members.whole("bytesPerSecond", 1, LARGEST)?.ok_or("bytesPerSecond is required")?,
            direction: members
                .word("direction", &[("answer", Direction::Answer), ("request", Direction::Request)])?
                .unwrap_or(Direction::Answer),
        },
        "close" => close(members)?,
        other => {
            let got = if other.is_empty() { String::new() } else { format!(", got '{other}'") };
            return Err(format!("kind must be {}{got}", one_of(&KINDS)));
        }
    })
}

fn status(members: &mut Members) -> Result<Effect, String> {
    let status = members.whole("status", 200, 599)?.ok_or("status is required: the HTTP status, 200 to 599")?;
    let status = StatusCode::from_u16(u16::try_from(status).unwrap_or_default()).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    let body = members.body()?;
    for (name, value) in members.object("headers")? {
        let wrong = || format!("headers must have names and texts that HTTP can carry; {name} can't be sent");
        let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        let value = value.as_str().and_then(|text| HeaderValue::from_str(text).ok()).ok_or_else(wrong)?;
        if matches!(name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::CONNECTION) {
            return Err(format!("headers must not have {name}: the kinds truncate and reset are there for that"));
        }
        headers.insert(name, value);
    }
    if let Some(seconds) = members.whole("retryAfter", 0, LARGEST)? {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(Effect::Status {
        status,
        headers,
        body,
        code: members.text("code")?.unwrap_or_else(|| usual_code(status).to_owned()),
        message: members
            .text("message")?
            .unwrap_or_else(|| format!("the emulator was told to answer {} here", status.as_u16())),
        when: members.when()?,
    })
}

/// The code that goes with a status.
fn usual_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => "AccessDenied",
        429 => "TooManyRequests",
        500 => "InternalError",
        502 => "BadGateway",
        503 => "ServiceUnavailable",
        504 => "GatewayTimeout",
        _ => "InjectedFault",
    }
}

fn half_open(members: &mut Members) -> Result<Effect, String> {
    let when = members.when()?;
    let after_chunks = members.whole("afterChunks", 0, LARGEST)?;
    if when == When::Before && after_chunks.is_some() {
        return Err("afterChunks needs when: \"after\": before the work there are no chunks".to_owned());
    }
    Ok(Effect::HalfOpen { when, after_chunks: after_chunks.unwrap_or(0) })
}

fn close(members: &mut Members) -> Result<Effect, String> {
    let code = members.whole("code", 1_000, 4_999)?.unwrap_or(1_011);
    if matches!(code, 1_004..=1_006 | 1_015) {
        return Err(format!("code must be one that a close frame may carry, got {code}; use the kind reset for none"));
    }
    let reason = members.text("reason")?.unwrap_or_default();
    if reason.len() > 123 {
        return Err("reason must have at most 123 bytes, which is what a close frame holds".to_owned());
    }
    Ok(Effect::Close {
        after_chunks: members.whole("afterChunks", 0, LARGEST)?.unwrap_or(1),
        code: u16::try_from(code).unwrap_or(1_011),
        reason,
    })
}

/// The members of a description, taken one by one.
struct Members {
    members: Map<String, Value>,
    asked: Vec<&'static str>,
    /// In the one-line form every value is a text.
    is_text: bool,
}

impl Members {
    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.asked.push(name);
        self.members.shift_remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{name} must be a string, got {other}")),
        }
    }

    /// One text or several.
    fn texts(&mut self, name: &'static str) -> Result<Vec<String>, String> {
        let wrong = |got: &Value| format!("{name} must be a string or an array of strings, got {got}");
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(items)) if !items.is_empty() => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(item))).collect()
            }
            Some(other) => Err(wrong(&other)),
        }
    }

    fn object(&mut self, name: &'static str) -> Result<Map<String, Value>, String> {
        match self.take(name) {
            None => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(other) => Err(format!("{name} must be an object, got {other}")),
        }
    }

    /// A text as it is; anything else as JSON.
    fn body(&mut self) -> Result<Option<Bytes>, String> {
        Ok(self.take("body").map(|body| match body {
            Value::String(text) => text.into_bytes().into(),
            other => other.to_string().into_bytes().into(),
        }))
    }

    fn number(&mut self, name: &'static str, least: f64, most: f64) -> Result<Option<f64>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match &value {
            Value::String(text) if self.is_text => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("{name} must be a number from {least} to {most}, got {value}")),
        }
    }

    fn whole(&mut self, name: &'static str, least: u64, most: u64) -> Result<Option<u64>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match &value {
            Value::String(text) if self.is_text => text.trim().parse().ok(),
            other => other
                .as_u64()
                .or_else(|| other.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0).map(|n| n as u64)),
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("{name} must be a whole number from {least} to {most}, got {value}")),
        }
    }

    /// How often; `None`: always.
    fn count(&mut self) -> Result<Option<u64>, String> {
        match self.members.get("count") {
            Some(Value::String(word)) if matches!(word.trim(), "always" | "Infinity") => {
                self.take("count");
                Ok(None)
            }
            _ => {
                let count = self.whole("count", 1, LARGEST);
                count.map(|count| Some(count.unwrap_or(1))).map_err(|error| format!("{error} (or \"always\")"))
            }
        }
    }

    /// Milliseconds; in one line also `500ms` and `2s`.
    fn milliseconds(&mut self, name: &'static str) -> Result<Option<f64>, String> {
        if self.is_text
            && let Some(Value::String(text)) = self.members.get_mut(name)
        {
            let seconds = text.trim().strip_suffix('s').and_then(|seconds| seconds.parse::<f64>().ok());
            match seconds {
                Some(seconds) => *text = (seconds * 1e3).to_string(),
                None => *text = text.trim().trim_end_matches("ms").to_owned(),
            }
        }
        self.number(name, 0.0, LONGEST_DELAY_MS)
    }

    fn flag(&mut self, name: &'static str) -> Result<Option<bool>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if self.is_text && matches!(text.as_str(), "true" | "false") => {
                Ok(Some(text == "true"))
            }
            Some(other) => Err(format!("{name} must be true or false, got {other}")),
        }
    }

    fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Result<Option<T>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let known = words.iter().find(|(word, _)| value.as_str() == Some(*word));
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        known.map(|(_, word)| Some(*word)).ok_or_else(|| format!("{name} must be {}, got {value}", one_of(&names)))
    }

    fn when(&mut self) -> Result<When, String> {
        Ok(self.word("when", &[("before", When::Before), ("after", When::After)])?.unwrap_or(When::Before))
    }

    fn end(self, kind: &str) -> Result<(), String> {
        let Some((name, _)) = self.members.iter().next() else { return Ok(()) };
        Err(format!("a fault of the kind {kind} has no {name}; it takes {}", self.asked.join(", ")))
    }
}

fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_says_the_same_as_json() {
        for (text, json) in [
            (
                "callTool:status=503,count=2,retry-after=1",
                json!({"operation": "callTool", "kind": "status", "status": 503, "count": 2, "retryAfter": 1}),
            ),
            (
                "createSession:status=400,code=Quota,message=too many,header=X-A:b,when=after",
                json!({"operation": "createSession", "kind": "status", "status": 400, "code": "Quota",
                    "message": "too many", "headers": {"x-a": "b"}, "when": "after"}),
            ),
            ("*:delay=2s", json!({"operation": "*", "kind": "delay", "ms": 2000})),
            ("*:delay=20ms,when=after", json!({"operation": "*", "kind": "delay", "ms": 20, "when": "after"})),
            (
                "getSession+ListSession:reset=after,count=always",
                json!({"operation": ["getSession", "ListSession"], "kind": "reset", "when": "after", "count": "Infinity"}),
            ),
            (
                "getObject:truncate=10,framed=true",
                json!({"operation": "getObject", "kind": "truncate", "bytes": 10, "framed": true}),
            ),
            ("callTool:garbage", json!({"operation": "callTool", "kind": "garbage", "tool": null})),
            (
                "callTool:half-open=after,after-chunks=2,tool=run_code,session=s-1,label=a:b",
                json!({"operation": "callTool", "kind": "halfOpen", "when": "after", "afterChunks": 2,
                    "tool": "run_code", "sessionId": "s-1", "labels": {"a": "b"}}),
            ),
            (
                "putObject:slow=1000,direction=request,from=2,probability=0.5",
                json!({"operation": "putObject", "kind": "slow", "bytesPerSecond": 1000, "direction": "request",
                    "from": 2, "probability": 0.5}),
            ),
            (
                "webSocket:close=3,code=1012,reason=restart",
                json!({"operation": "webSocket", "kind": "close", "afterChunks": 3, "code": 1012, "reason": "restart"}),
            ),
        ] {
            let fault = Fault::parse(text).unwrap();
            assert_eq!(fault, Fault::from_json(json.clone()).unwrap(), "{text}");
            assert_eq!(fault, Fault::parse(&json.to_string()).unwrap(), "{text}");
        }
    }

    #[test]
    fn every_fault_of_the_documentation_can_be_used() {
        let text = include_str!("../../../../docs/emulator.md");
        let mut found = 0;
        for line in text.lines().filter(|line| line.starts_with("npx agb-emulator --fault")) {
            for fault in line.split("--fault ").skip(1) {
                Fault::parse(fault.trim().trim_matches('\'')).unwrap();
                found += 1;
            }
        }
        assert!(found >= 8, "{found}");
    }

    #[test]
    fn defaults_are_once_for_sure_and_before_the_work() {
        let fault = Fault::parse("callTool:status=429").unwrap();
        assert_eq!((fault.from, fault.count, fault.probability), (1, Some(1), None));
        let Effect::Status { when, code, body: None, .. } = fault.effect else { panic!() };
        assert_eq!((when, code.as_str()), (When::Before, "TooManyRequests"));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_allowed() {
        for (text, says) in [
            ("callTool", "OPERATION:KIND"),
            ("callTol:reset", "callTool, listTools"),
            ("callTool:rest", "status, delay, reset, truncate, garbage, half-open, slow or close, got 'rest'"),
            ("callTool:status", "status is required"),
            ("callTool:status=99", "status must be a whole number from 200 to 599"),
            ("callTool:status=503,cont=2", "the key must be count, from"),
            ("callTool:status=503,count", "count needs a value"),
            ("callTool:reset,count=0", "or \"always\""),
            ("callTool:reset,when=never", "when must be before or after"),
            ("callTool:reset,status=500", "the key must be"),
            ("callTool:reset,bytes=5", "a fault of the kind reset has no bytes; it takes operation, kind, tool"),
            ("callTool:delay=-1", "ms must be a number from 0"),
            ("callTool:delay", "ms is required"),
            ("callTool:slow=0", "bytesPerSecond must be a whole number from 1"),
            ("callTool:close,code=1006", "use the kind reset"),
            ("callTool:status=500,header=x", "NAME:VALUE"),
            ("callTool:status=500,header=Content-Length:5", "content-length"),
            ("callTool:half-open,after-chunks=1", "afterChunks needs when"),
            ("callTool:reset,probability=2", "probability must be a number from 0 to 1"),
            ("callTool:reset,label=x", "label must be NAME:VALUE"),
            ("{", "valid JSON"),
            ("{}", "operation must be createSession"),
            (r#"{"operation":"*"}"#, "kind must be status"),
            (r#"{"operation":[],"kind":"reset"}"#, "operation must be a string or an array"),
            (r#"{"operation":"*","kind":"reset","count":"2"}"#, "count must be a whole number"),
            (r#"{"operation":"*","kind":"status","status":503.5}"#, "status must be a whole number"),
            (r#"{"operation":"*","kind":"reset","lables":{}}"#, "has no lables"),
        ] {
            let error = Fault::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
