//! Pictures of the screen as bytes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::refuse;
use crate::error::{Error, ErrorKind, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits};

const TOOL: &str = "screenshot";

/// A picture of the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Screenshot {
    /// The service's request id.
    pub request_id: String,
    /// What the service calls it.
    pub kind: String,
    /// The file's bytes.
    pub data: Vec<u8>,
    /// `image/png` or `image/jpeg`.
    pub mime_type: String,
    /// Pixels, where the service says it.
    pub width: Option<f64>,
    /// Pixels, where the service says it.
    pub height: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Png,
    Jpeg,
}

impl Format {
    fn read(given: &str) -> Option<Self> {
        match given.trim().to_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpeg" | "jpg" => Some(Self::Jpeg),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
        }
    }

    /// What every file of the format begins with.
    fn magic(self) -> &'static [u8] {
        match self {
            Self::Png => b"\x89PNG\r\n\x1a\n",
            Self::Jpeg => b"\xFF\xD8\xFF",
        }
    }

    fn mime_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }
}

/// Takes a picture as `png` or `jpeg` (`jpg` is another name). For sessions with a link.
///
/// # Errors
///
/// [`InvalidArgument`](ErrorKind::InvalidArgument) for another format, before anything is sent; the failure of the
/// call, whose text is put behind the tool's name; [`Protocol`](ErrorKind::Protocol) for an answer that holds no such
/// picture.
pub async fn take_screenshot<T: CallTool>(tools: &T, format: &str) -> Result<Screenshot> {
    let Some(format) = Format::read(format) else {
        return Err(refuse(TOOL, "Invalid format: must be 'png', 'jpeg', or 'jpg'".to_owned()));
    };
    let mut args = ToolArgs::new();
    args.insert("format".into(), format.name().into());
    let reply = tools
        .call_tool(TOOL, args, ToolLimits::default())
        .await
        .map_err(|error| error.prefixed("Failed to take screenshot via MCP tool 'screenshot'"))?;
    read(reply.text.as_deref().unwrap_or_default(), format)
        .map(|picture| Screenshot { request_id: reply.request_id.clone(), ..picture })
        .map_err(|words| {
            Error::new(ErrorKind::Protocol, words)
                .with_operation(TOOL)
                .with_request_id(reply.request_id)
                .with_attempts(1)
        })
}

fn read(text: &str, format: Format) -> std::result::Result<Screenshot, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("Screenshot tool returned empty data".to_owned());
    }
    if !text.starts_with('{') {
        return Err("Screenshot tool returned non-JSON data".to_owned());
    }
    let answer: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("Invalid screenshot JSON: {error}"))?;
    let data = member(&answer, "data").ok_or("Screenshot JSON missing base64 field")?;
    let said = |name: &str| {
        member(&answer, name).ok_or_else(|| format!("Invalid screenshot JSON: expected non-empty string '{name}'"))
    };
    let (kind, mime_type) = (said("type")?.to_owned(), said("mime_type")?.trim().to_lowercase());
    let (width, height) = (pixels(&answer, "width")?, pixels(&answer, "height")?);
    let data =
        BASE64_STANDARD.decode(data.trim()).map_err(|error| format!("Failed to decode screenshot data: {error}"))?;
    if !data.starts_with(format.magic()) {
        return Err(format!("Screenshot data does not match expected format '{}'", format.name()));
    }
    if mime_type != format.mime_type() {
        let expected = format.mime_type();
        return Err(format!(
            "Screenshot JSON mime_type does not match expected format: expected '{expected}', got '{mime_type}'"
        ));
    }
    Ok(Screenshot { request_id: String::new(), kind, data, mime_type, width, height })
}

fn member<'a>(answer: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    answer.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

fn pixels(answer: &Map<String, Value>, name: &str) -> std::result::Result<Option<f64>, String> {
    match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64().filter(|number| number.fract() == 0.0) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("Invalid screenshot JSON: expected integer '{name}'")),
        },
    }
}
