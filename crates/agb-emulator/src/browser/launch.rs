//! How Chromium is found and started.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// What Chromium is called, in the order of preference.
const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell"];
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const VARIABLE: &str = "CHROMIUM_PATH";

/// Without them Chromium asks the internet for things that nobody wants here, or waits for a keyring.
const ALWAYS: [&str; 15] = [
    "--headless",
    "--remote-debugging-pipe",
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--password-store=basic",
    "--use-mock-keychain",
    "--hide-scrollbars",
];

/// Without it Chromium ignores extensions that are named on its command line.
const EXTENSIONS_FEATURE: &str = "DisableLoadExtensionCommandLineSwitch";
const DISABLE_FEATURES: &str = "--disable-features=";

/// What a caller's own arguments can't change: the emulator needs it as it is.
const OURS: [&str; 5] = ["--remote-debugging-", "--user-data-dir", "--headless", "--no-sandbox", "--load-extension"];

/// The argument that makes the user agent another one.
pub(super) fn user_agent(agent: &str) -> String {
    format!("--user-agent={agent}")
}

/// The Chromium that was named, else the one that is installed.
///
/// # Errors
/// What to do to get one.
pub(super) fn find_program(named: Option<&Path>) -> Result<PathBuf, String> {
    let from_variable = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(named) = named.map(Path::to_path_buf).or(from_variable) {
        if named.is_file() {
            return Ok(named);
        }
        return Err(format!("there is no Chromium at {}, which {VARIABLE} or the options name", named.display()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).chain(std::env::split_paths(SYSTEM_PATH)).collect();
    NAMES
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            format!(
                "no Chromium is installed on this machine; install one (Debian: apt-get install chromium), or name one \
                 with {VARIABLE}"
            )
        })
}

/// What a start needs beyond the program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The command line, without the directory of the browser's data and without extensions.
    pub(super) arguments: Vec<String>,
    /// Where extensions are looked for, inside the session.
    pub(super) extensions: String,
    /// Where its data are, inside the session; empty: in the session's temporary directory.
    pub(super) data: String,
}

impl Plan {
    /// Of an option map, but for the user agent. `without_own_sandbox`: Chromium can't make its own sandbox as root, nor
    /// inside another one.
    pub(super) fn new(option: &Map<String, Value>, without_own_sandbox: bool) -> Self {
        let text = |name: &str| option.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let mut arguments: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
        if without_own_sandbox {
            arguments.push("--no-sandbox".to_owned());
        }
        if option.get("useStealth") == Some(&Value::Bool(true)) {
            arguments.push("--disable-blink-features=AutomationControlled".to_owned());
        }
        arguments.extend(window_size(option));
        arguments.extend(languages(option));
        arguments.extend(proxy(option));
        arguments.extend(own_arguments(option));
        disable_feature(&mut arguments);
        arguments.push(text("defaultNavigateUrl").unwrap_or("about:blank").to_owned());
        let extensions = text("extensionPath").unwrap_or("/tmp/extensions/").trim_end_matches('/').to_owned();
        Self { arguments, extensions, data: String::new() }
    }
}

fn window_size(option: &Map<String, Value>) -> Option<String> {
    let size = option.get("viewport").or_else(|| option.get("screen"))?;
    let side = |name: &str| size.get(name).and_then(Value::as_f64).filter(|side| (1.0..=16_384.0).contains(side));
    Some(format!("--window-size={:.0},{:.0}", side("width")?, side("height")?))
}

fn languages(option: &Map<String, Value>) -> Option<String> {
    let locales = option.get("fingerprint")?.get("locales")?.as_array()?;
    let locales: Vec<&str> = locales.iter().filter_map(Value::as_str).filter(|locale| !locale.is_empty()).collect();
    if locales.is_empty() { None } else { Some(format!("--accept-lang={}", locales.join(","))) }
}

/// A server of the caller's; the service's own pools are not here.
fn proxy(option: &Map<String, Value>) -> Option<String> {
    let proxy = option.get("proxies")?.as_array()?.first()?;
    let text = |name: &str| proxy.get(name).and_then(Value::as_str);
    let server = text("server").filter(|_| text("type") == Some("custom"))?;
    Some(format!("--proxy-server={server}"))
}

fn own_arguments(option: &Map<String, Value>) -> Vec<String> {
    let arguments = option.get("cmdArgs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let arguments = arguments.iter().filter_map(Value::as_str);
    let allowed = |argument: &&str| argument.starts_with("--") && !OURS.iter().any(|ours| argument.starts_with(ours));
    arguments.filter(allowed).map(str::to_owned).collect()
}

/// Chromium takes the last list of features only.
fn disable_feature(arguments: &mut Vec<String>) {
    match arguments.iter_mut().rfind(|argument| argument.starts_with(DISABLE_FEATURES)) {
        Some(list) => {
            list.push(',');
            list.push_str(EXTENSIONS_FEATURE);
        }
        None => arguments.push(format!("{DISABLE_FEATURES}{EXTENSIONS_FEATURE}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(option: Value) -> Vec<String> {
        Plan::new(option.as_object().unwrap(), false).arguments
    }

    fn has(arguments: &[String], argument: &str) -> bool {
        arguments.iter().any(|other| other == argument)
    }

    #[test]
    fn a_program_that_was_named_must_be_there() {
        let reason = find_program(Some(Path::new("/no/such/chromium"))).unwrap_err();
        assert!(reason.contains("/no/such/chromium"), "{reason}");
        assert_eq!(find_program(Some(Path::new("/bin/sh"))).unwrap(), Path::new("/bin/sh"));
    }

    #[test]
    fn chromium_keeps_its_own_sandbox_unless_it_can_have_none() {
        let option = Map::new();
        assert!(!has(&Plan::new(&option, false).arguments, "--no-sandbox"));
        assert!(has(&Plan::new(&option, true).arguments, "--no-sandbox"));
        assert_eq!(Plan::new(&option, true).arguments.last().unwrap(), "about:blank");
        assert_eq!(Plan::new(&option, true).extensions, "/tmp/extensions");
    }

    #[test]
    fn options_become_arguments() {
        let option = json!({
            "useStealth": true, "viewport": {"width": 1280, "height": 720.4},
            "fingerprint": {"locales": ["de-DE", "en"]},
            "proxies": [{"type": "custom", "server": "http://p:1"}], "defaultNavigateUrl": "chrome://version/",
            "cmdArgs": ["--disable-features=A", "--mute-audio", "--user-data-dir=/x", "http://x", 7],
        });
        let arguments = arguments(option);
        for wanted in [
            "--disable-blink-features=AutomationControlled",
            "--window-size=1280,720",
            "--accept-lang=de-DE,en",
            "--proxy-server=http://p:1",
            "--disable-features=A,DisableLoadExtensionCommandLineSwitch",
            "--mute-audio",
        ] {
            assert!(has(&arguments, wanted), "{wanted} in {arguments:?}");
        }
        assert!(!has(&arguments, "--user-data-dir=/x") && !has(&arguments, "http://x"));
        assert_eq!(arguments.last().unwrap(), "chrome://version/");
    }

    #[test]
    fn odd_options_become_nothing() {
        for odd in [
            json!({"fingerprint": {"locales": [7]}}),
            json!({"proxies": [{"type": "built-in", "strategy": "polling"}], "viewport": {"width": "x"}}),
        ] {
            let count = ALWAYS.len() + 2;
            assert_eq!(arguments(odd.clone()).len(), count, "{odd}");
        }
    }
}
