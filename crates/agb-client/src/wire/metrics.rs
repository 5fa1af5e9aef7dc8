//! The figures of the tool `get_metrics` (docs/protocol.md, section "Metrics").

use serde_json::{Map, Value};

use super::js;

/// How busy the session's machine is. A figure that the tool did not send is 0; none is ever NaN.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// Number of processors.
    pub cpu_count: f64,
    /// Processor use in percent.
    pub cpu_used_pct: f64,
    /// Disk size in bytes.
    pub disk_total: f64,
    /// Disk use in bytes.
    pub disk_used: f64,
    /// Memory size in bytes.
    pub mem_total: f64,
    /// Memory use in bytes.
    pub mem_used: f64,
    /// Receiving now, in kilobytes per second.
    pub rx_rate_kbyte_per_s: f64,
    /// Sending now, in kilobytes per second.
    pub tx_rate_kbyte_per_s: f64,
    /// Received so far, in kilobytes.
    pub rx_used_kbyte: f64,
    /// Sent so far, in kilobytes.
    pub tx_used_kbyte: f64,
    /// When the figures were taken, as the service writes it.
    pub timestamp: String,
}

impl Metrics {
    /// Takes, for each figure, the first of its keys that holds a number.
    ///
    /// # Errors
    /// The key of a figure that is there and no number.
    pub(crate) fn read(raw: &Map<String, Value>) -> Result<Self, String> {
        let figure = |keys: &[&str]| figure(raw, keys);
        Ok(Self {
            cpu_count: figure(&["cpu_count"])?,
            cpu_used_pct: figure(&["cpu_used_pct"])?,
            disk_total: figure(&["disk_total"])?,
            disk_used: figure(&["disk_used"])?,
            mem_total: figure(&["mem_total"])?,
            mem_used: figure(&["mem_used"])?,
            rx_rate_kbyte_per_s: figure(&["rx_rate_kbyte_per_s", "rx_rate_kbps", "rx_rate_KBps"])?,
            tx_rate_kbyte_per_s: figure(&["tx_rate_kbyte_per_s", "tx_rate_kbps", "tx_rate_KBps"])?,
            rx_used_kbyte: figure(&["rx_used_kbyte", "rx_used_kb", "rx_used_KB"])?,
            tx_used_kbyte: figure(&["tx_used_kbyte", "tx_used_kb", "tx_used_KB"])?,
            timestamp: match raw.get("timestamp") {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => js::json_text(other),
            },
        })
    }
}

fn figure(raw: &Map<String, Value>, keys: &[&str]) -> Result<f64, String> {
    let mut refused = None;
    for key in keys {
        match raw.get(*key) {
            None | Some(Value::Null) => {}
            Some(value) => match number(value) {
                Some(number) => return Ok(number),
                None => refused = refused.or(Some(*key)),
            },
        }
    }
    refused.map_or(Ok(0.0), |key| Err(format!("{key} is not a number")))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::String(text) if text.trim().is_empty() => Some(0.0),
        Value::String(text) => leading_number(text.trim()),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

/// The number that a text such as `12.5 KB/s` begins with.
fn leading_number(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-' | 'e' | 'E')).unwrap_or(text.len());
    let candidate = text.get(..end)?;
    (1..=candidate.len()).rev().find_map(|length| candidate.get(..length)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Metrics, String> {
        Metrics::read(value.as_object().unwrap())
    }

    #[test]
    fn every_spelling_is_found() {
        let metrics = read(json!({
            "cpu_count": 4, "cpu_used_pct": "12.5", "rx_rate_kbps": "1.5 KB/s", "tx_rate_KBps": 2, "rx_used_KB": 3,
            "timestamp": "2026-01-01T00:00:00Z"
        }))
        .unwrap();
        assert_eq!((metrics.cpu_count, metrics.cpu_used_pct), (4.0, 12.5));
        assert_eq!((metrics.rx_rate_kbyte_per_s, metrics.tx_rate_kbyte_per_s), (1.5, 2.0));
        assert_eq!((metrics.rx_used_kbyte, metrics.tx_used_kbyte), (3.0, 0.0));
        assert_eq!(metrics.timestamp, "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_figure_that_is_no_number_gives_way_to_the_next_spelling_or_is_an_error() {
        assert_eq!(read(json!({"rx_rate_kbyte_per_s": "n/a", "rx_rate_kbps": 7})).unwrap().rx_rate_kbyte_per_s, 7.0);
        assert_eq!(read(json!({"mem_used": "n/a"})), Err("mem_used is not a number".to_owned()));
        assert_eq!(read(json!({"mem_used": "e"})), Err("mem_used is not a number".to_owned()));
        assert_eq!(read(json!({"mem_used": null})).unwrap().mem_used, 0.0);
    }
}
