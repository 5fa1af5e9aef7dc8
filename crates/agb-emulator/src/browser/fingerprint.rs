//! The user agent that a browser shows: the one that was asked for, or that of the fingerprint which the session has kept.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::sandbox::Sandbox;
use crate::tools::filesystem::{self, SessionFiles};
use crate::tools::{ToolLimits, ToolOutput};

const LIMITS: ToolLimits = ToolLimits { output_bytes: 1 << 20, time: Duration::from_secs(30) };
/// Whose fingerprint is made up and kept when none was asked for.
const DEFAULT_SYSTEM: &str = "linux";

/// The user agent for an option map. Without one of its own, `fingerprintPersistPath` in the session decides, if there is a
/// fingerprint; if there is no file, the one that is used from now on is written there.
///
/// # Errors
/// Why the fingerprint can't be kept.
pub(super) async fn user_agent(
    option: &Map<String, Value>,
    sandbox: &Sandbox,
    files: &SessionFiles,
) -> Result<Option<String>, String> {
    if let Some(agent) = option.get("userAgent").and_then(usable) {
        return Ok(Some(agent));
    }
    let wanted = wanted(option);
    let Some(path) = option.get("fingerprintPersistPath").and_then(usable) else {
        return Ok(wanted.as_ref().and_then(agent_of));
    };
    let store = Store { sandbox, files, path: &path };
    let not_kept = |reason| format!("its fingerprint can't be kept: {reason}");
    let kept = store.read().await.map_err(not_kept)?;
    if let Some(agent) = kept.as_deref().and_then(|text| agent_of(&serde_json::from_str(text).ok()?)) {
        return Ok(Some(agent));
    }
    let fingerprint = wanted.or_else(|| of_system(DEFAULT_SYSTEM));
    // A file that is there and holds no fingerprint is not ours to replace.
    if let (Some(fingerprint), None) = (&fingerprint, kept) {
        store.write(fingerprint).await.map_err(not_kept)?;
    }
    Ok(fingerprint.as_ref().and_then(agent_of))
}

/// The fingerprint that was given, else one of the operating system that was named.
fn wanted(option: &Map<String, Value>) -> Option<Value> {
    given(option).filter(|fingerprint| agent_of(fingerprint).is_some()).or_else(|| {
        let system = option.get("fingerprint")?.pointer("/operatingSystems/0")?.as_str()?;
        of_system(system)
    })
}

fn given(option: &Map<String, Value>) -> Option<Value> {
    let raw = option.get("fingerprintRawData")?.as_str()?;
    serde_json::from_slice(&BASE64_STANDARD.decode(raw).ok()?).ok()
}

fn agent_of(fingerprint: &Value) -> Option<String> {
    fingerprint.pointer("/fingerprint/navigator/userAgent").and_then(usable)
}

/// A text that can stand on a command line.
fn usable(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

fn of_system(system: &str) -> Option<Value> {
    let system = match system {
        "windows" => "Windows NT 10.0; Win64; x64",
        "macos" => "Macintosh; Intel Mac OS X 10_15_7",
        "linux" => "X11; Linux x86_64",
        "android" => "Linux; Android 10; K",
        "ios" => "iPhone; CPU iPhone OS 18_0 like Mac OS X",
        _ => return None,
    };
    let mobile = if matches!(system.get(..5), Some("Linux" | "iPhon")) { " Mobile" } else { "" };
    let agent =
        format!("Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0{mobile} Safari/537.36");
    Some(json!({ "fingerprint": { "navigator": { "userAgent": agent } }, "headers": { "user-agent": agent } }))
}

/// The file in the session that keeps a fingerprint; reached as the file tools reach it.
struct Store<'a> {
    sandbox: &'a Sandbox,
    files: &'a SessionFiles,
    path: &'a str,
}

impl Store<'_> {
    /// `None`: there is no file.
    async fn read(&self) -> Result<Option<String>, String> {
        match self.call("read_file", json!({ "path": self.path })).await {
            Err(reason) if filesystem::says_not_found(&reason) => Ok(None),
            answer => answer.map(Some),
        }
    }

    async fn write(&self, fingerprint: &Value) -> Result<(), String> {
        if let Some(directory) = Path::new(self.path).parent().and_then(Path::to_str) {
            self.call("create_directory", json!({ "path": directory })).await?;
        }
        let content = serde_json::to_string_pretty(fingerprint).map_err(|error| error.to_string())?;
        self.call("write_file", json!({ "path": self.path, "content": content })).await.map(drop)
    }

    async fn call(&self, tool: &str, args: Value) -> Result<String, String> {
        let args = args.as_object().cloned().unwrap_or_default();
        match filesystem::call(self.sandbox, self.files, tool, &args, &LIMITS).await {
            Some(ToolOutput { is_error: false, text }) => Ok(text),
            Some(ToolOutput { text, .. }) => Err(text),
            None => Err(format!("there is no tool {tool}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::testing::in_both_modes;

    fn raw(agent: &str) -> String {
        BASE64_STANDARD.encode(json!({ "fingerprint": { "navigator": { "userAgent": agent } } }).to_string())
    }

    #[tokio::test]
    async fn the_user_agent_is_given_or_that_of_a_fingerprint_or_of_a_system() {
        in_both_modes(|session| async move {
            let files = SessionFiles::default();
            let agent = async |option: Value| {
                user_agent(option.as_object().unwrap(), &session.sandbox, &files).await.unwrap().unwrap_or_default()
            };
            let windows = json!({ "operatingSystems": ["windows", "linux"] });
            let all = json!({ "userAgent": "Me/1", "fingerprintRawData": raw("Raw/2"), "fingerprint": windows });
            assert_eq!(agent(all).await, "Me/1");
            assert_eq!(agent(json!({ "fingerprintRawData": raw("Raw/2"), "fingerprint": windows })).await, "Raw/2");
            assert!(agent(json!({ "fingerprint": windows })).await.contains("Windows NT"));
            for odd in [
                json!({ "fingerprintRawData": "?" }),
                json!({ "fingerprintRawData": raw("a\nb") }),
                json!({ "fingerprint": { "operatingSystems": ["amiga"] } }),
                json!({ "userAgent": "a\nb" }),
                json!({}),
            ] {
                assert_eq!(agent(odd.clone()).await, "", "{odd}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_fingerprint_that_is_to_be_kept_is_written_once_and_used_from_then_on() {
        in_both_modes(|session| async move {
            let files = SessionFiles::default();
            let home = session.stdout("pwd").await;
            let agent = async |path: &str, more: Value| {
                let mut option = json!({ "fingerprintPersistPath": path });
                option.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                user_agent(option.as_object().unwrap(), &session.sandbox, &files).await
            };
            let path = format!("{home}/kept/fingerprint.json");
            let first = agent(&path, json!({ "fingerprintRawData": raw("Raw/2") })).await;
            assert_eq!(first.unwrap().unwrap(), "Raw/2");
            let second = agent(&path, json!({ "fingerprint": { "operatingSystems": ["windows"] } })).await;
            assert_eq!(second.unwrap().unwrap(), "Raw/2");
            let other = format!("{home}/other.json");
            assert!(agent(&other, json!({})).await.unwrap().unwrap().contains("Linux x86_64"));
            assert!(session.stdout(&format!("cat {other}")).await.contains("Linux x86_64"));
            session.stdout(&format!("echo mine >{other}")).await;
            let used = agent(&other, json!({ "fingerprintRawData": raw("Raw/3") })).await;
            assert_eq!(used.unwrap().unwrap(), "Raw/3");
            assert_eq!(session.stdout(&format!("cat {other}")).await, "mine");
            let reason = agent(&home, json!({})).await.unwrap_err();
            assert!(reason.starts_with("its fingerprint can't be kept: Is a directory"), "{reason}");
            let reason = agent("/proc/nowhere/x.json", json!({})).await.unwrap_err();
            assert!(reason.starts_with("its fingerprint can't be kept: "), "{reason}");
        })
        .await;
    }
}
