//! Where the service is and how long a request may take: values from code, environment and `.env`, in this order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::error::{Error, ErrorKind, Result};

mod dotenv;

/// The service's own address.
pub const DEFAULT_ENDPOINT: &str = "sdk-api.agb.cloud";
/// How long one operation's request may take, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: f64 = 60_000.0;
/// The longest time-out that can be asked for, in milliseconds (about 24.8 days, the longest timer of JavaScript).
pub const MAX_TIMEOUT_MS: f64 = 2_147_483_647.0;

const ENDPOINT: &str = "AGB_ENDPOINT";
const TIMEOUT_MS: &str = "AGB_TIMEOUT_MS";
const API_KEY: &str = "AGB_API_KEY";

/// The configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Host or URL of the service, as it was given. A bare host means `https://`.
    pub endpoint: String,
    /// Deadline of one request with all its attempts and its whole answer, in milliseconds; more than 0.
    pub timeout_ms: f64,
}

impl Config {
    pub(crate) fn timeout(&self) -> Duration {
        // Checked when the configuration was found: positive, finite and not too long.
        Duration::try_from_secs_f64(self.timeout_ms / 1000.0).unwrap_or(Duration::from_secs(60))
    }
}

/// What holds where nothing is configured.
pub fn default_config() -> Config {
    Config { endpoint: DEFAULT_ENDPOINT.to_owned(), timeout_ms: DEFAULT_TIMEOUT_MS }
}

/// Finds the configuration. Precedence: the explicit values, then `env`, then the `.env` file, then the default; an
/// empty text counts as absent.
///
/// The `.env` file is `env_file`, else `.env` in `directory` (never in a parent). Only the variables named here are read
/// from it, and the environment of the process stays as it is.
///
/// # Errors
/// [`ErrorKind::Config`] naming variable and value: a time-out that is no number, 0, negative, or longer than
/// [`MAX_TIMEOUT_MS`]; an endpoint that is no http(s) URL; an `env_file` that can't be read. A time-out of 0 is refused
/// because it would mean no limit, and every request has one.
pub fn load(
    endpoint: Option<&str>,
    timeout_ms: Option<f64>,
    env_file: Option<&Path>,
    directory: Option<&Path>,
    env: &BTreeMap<String, String>,
) -> Result<Config> {
    let sources = Sources::read(env_file, directory, env)?;
    sources.config(endpoint, timeout_ms)
}

/// The places that a value may come from when code doesn't give it.
pub(crate) struct Sources<'a> {
    env: &'a BTreeMap<String, String>,
    file: BTreeMap<String, String>,
}

impl<'a> Sources<'a> {
    /// Reads the `.env` file.
    pub(crate) fn read(
        env_file: Option<&Path>,
        directory: Option<&Path>,
        env: &'a BTreeMap<String, String>,
    ) -> Result<Self> {
        let file = match (env_file, directory) {
            (Some(path), _) => dotenv::read(path)?,
            (None, Some(directory)) => dotenv::read_if_present(&default_env_file(directory))?,
            (None, None) => BTreeMap::new(),
        };
        Ok(Self { env, file })
    }

    /// The API key from code, environment or file.
    pub(crate) fn api_key(&self, explicit: Option<&str>) -> Option<String> {
        explicit.filter(|key| !key.is_empty()).or_else(|| self.get(API_KEY)).map(str::to_owned)
    }

    pub(crate) fn config(&self, endpoint: Option<&str>, timeout_ms: Option<f64>) -> Result<Config> {
        let endpoint = endpoint.filter(|text| !text.is_empty()).or_else(|| self.get(ENDPOINT));
        let endpoint = endpoint.unwrap_or(DEFAULT_ENDPOINT).to_owned();
        base_url(&endpoint)?;
        Ok(Config { endpoint, timeout_ms: self.timeout_ms(timeout_ms)? })
    }

    fn timeout_ms(&self, explicit: Option<f64>) -> Result<f64> {
        if let Some(value) = explicit {
            return checked_timeout("timeoutMs", &value.to_string(), Some(value));
        }
        let Some(text) = self.get(TIMEOUT_MS) else { return Ok(DEFAULT_TIMEOUT_MS) };
        checked_timeout(TIMEOUT_MS, text, text.trim().parse().ok())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let present = |values: &'a BTreeMap<String, String>| values.get(name).filter(|text| !text.is_empty());
        present(self.env)
            .map(String::as_str)
            .or_else(|| self.file.get(name).map(String::as_str).filter(|text| !text.is_empty()))
    }
}

fn default_env_file(directory: &Path) -> PathBuf {
    directory.join(".env")
}

fn checked_timeout(name: &str, text: &str, value: Option<f64>) -> Result<f64> {
    match value {
        Some(value) if value > 0.0 && value <= MAX_TIMEOUT_MS => Ok(value),
        _ => Err(Error::new(
            ErrorKind::Config,
            format!("{name} is {text:?}, but must be a number of milliseconds above 0 and up to {MAX_TIMEOUT_MS}"),
        )),
    }
}

/// The URL that all paths are put behind, without a slash at its end.
///
/// # Errors
/// [`ErrorKind::Config`] when it is no http(s) URL with a host, or carries credentials, a query or a fragment.
pub(crate) fn base_url(endpoint: &str) -> Result<String> {
    let trimmed = endpoint.trim();
    let text = if trimmed.contains("://") { trimmed.to_owned() } else { format!("https://{trimmed}") };
    let url = Url::parse(&text).map_err(|error| bad_endpoint(endpoint, &error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad_endpoint(endpoint, "its scheme is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not shown: it holds a password.
        return Err(Error::new(ErrorKind::Config, "the endpoint must not carry user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad_endpoint(endpoint, "it has a query or a fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn bad_endpoint(endpoint: &str, why: &str) -> Error {
    let shown = crate::transport::redact::url(endpoint);
    Error::new(ErrorKind::Config, format!("the endpoint {shown:?} is not an http(s) URL or host: {why}"))
}
