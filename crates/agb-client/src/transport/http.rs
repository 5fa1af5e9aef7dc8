//! One attempt, by reqwest: the client with its TLS and proxies, and how its failures become ours.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::{Deadline, MAX_ANSWER_BYTES, Method, Request, is_loopback, redact};
use crate::error::{Error, ErrorKind};

/// How long one attempt to connect may take, TLS included, where the call doesn't say.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Connections that wait longer are closed from our side, before a load balancer closes them under a request.
const POOL_IDLE_LIMIT: Duration = Duration::from_secs(30);
/// The longest `Retry-After` that is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
const USER_AGENT: &str = concat!("agbcloud-native/", env!("CARGO_PKG_VERSION"));

/// A whole answer, or why there is none.
pub(super) type Outcome = std::result::Result<RawReply, Error>;

pub(super) struct RawReply {
    pub(super) status: u16,
    pub(super) request_id: String,
    pub(super) body: Bytes,
    pub(super) headers: HeaderMap,
    /// How long the service asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// What came of the wish for another protocol.
pub(super) enum Upgrade {
    /// The headers of the answer, and the connection that is now ours.
    Switched(HeaderMap, reqwest::Upgraded),
    /// The server stays with HTTP.
    Refused(RawReply),
}

/// The pooled client, made at the first request.
pub(super) struct Http {
    settings: Settings,
    parts: OnceLock<std::result::Result<Parts, String>>,
    /// The client of the last call that had a connect limit of its own: the library knows this limit only per client.
    special: Mutex<Option<(Duration, Client)>>,
    /// The client of large bodies, which takes them as they are.
    transfer: OnceLock<std::result::Result<Client, String>>,
}

/// What the environment says, unread until it is needed.
#[derive(Clone)]
struct Settings {
    extra_certificates: Option<String>,
    proxies: Vec<ProxySetting>,
    no_proxy: Option<String>,
}

#[derive(Clone)]
struct ProxySetting {
    variable: &'static str,
    url: String,
}

/// What no proxy reaches, or where it would mean another machine: an emulator is here.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// What all clients of one transport share.
struct Parts {
    tls: ClientConfig,
    proxies: Vec<Proxy>,
    client: Client,
}

impl Settings {
    fn read(env: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
        // The lower-case spelling wins, as in curl and in the libraries of Node.
        let either_case = |name: &str| get(&name.to_ascii_lowercase()).or_else(|| get(name));
        let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
            .into_iter()
            .filter_map(|variable| Some(ProxySetting { variable, url: either_case(variable)? }))
            .collect();
        Self { extra_certificates: get("NODE_EXTRA_CA_CERTS"), proxies, no_proxy: either_case("NO_PROXY") }
    }

    fn proxies(&self) -> std::result::Result<Vec<Proxy>, String> {
        // The library takes `*` for all names, but not for addresses.
        if self.exceptions().any(|entry| entry == "*") {
            return Ok(Vec::new());
        }
        self.proxies.iter().map(|setting| self.proxy(setting)).collect()
    }

    fn proxy(&self, setting: &ProxySetting) -> std::result::Result<Proxy, String> {
        let url = setting.url.trim();
        let proxy = match setting.variable {
            "HTTP_PROXY" => Proxy::http(url),
            "HTTPS_PROXY" => Proxy::https(url),
            _ => Proxy::all(url),
        };
        // Neither the value nor the library's words, which may show it: it may hold a password.
        let proxy = proxy.map_err(|_| format!("{} is not the URL of an http proxy", setting.variable))?;
        let list = self.no_proxy.as_deref().unwrap_or_default();
        Ok(proxy.no_proxy(NoProxy::from_string(&format!("{list},{LOOPBACK}"))))
    }

    /// The entries of `NO_PROXY`.
    fn exceptions(&self) -> impl Iterator<Item = &str> {
        self.no_proxy.as_deref().unwrap_or_default().split(',').map(str::trim)
    }

    /// Is the host reached without a proxy? Networks are not looked up, for a text for people.
    fn is_excepted(&self, url: &Url) -> bool {
        let name = url.host_str().unwrap_or_default();
        let is_of = |entry: &str| {
            let domain = entry.trim_start_matches('.');
            let parent = name.strip_suffix(domain).filter(|_| !domain.is_empty());
            entry == "*" || parent.is_some_and(|below| below.is_empty() || below.ends_with('.'))
        };
        is_loopback(url) || self.exceptions().chain(LOOPBACK.split(',')).any(is_of)
    }

    /// Where a connection for `url` goes, for people: its host, or perhaps a proxy.
    fn peer(&self, url: &str) -> String {
        let host = host(url);
        let Ok(url) = Url::parse(url) else { return host };
        let of_scheme = if url.scheme() == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" };
        let mut variables = self.proxies.iter().map(|proxy| proxy.variable);
        match variables.find(|variable| [of_scheme, "ALL_PROXY"].contains(variable)) {
            Some(variable) if !self.is_excepted(&url) => format!("{host} or the proxy of {variable}"),
            _ => host,
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = &self.extra_certificates {
            match certificates(path) {
                Ok(certificates) => {
                    let (_, ignored) = roots.add_parsable_certificates(certificates);
                    if ignored > 0 {
                        tracing::warn!(target: "agb::transport", ignored, "unusable certificates in NODE_EXTRA_CA_CERTS");
                    }
                }
                // Node itself goes on with a warning, too.
                Err(error) => tracing::warn!(target: "agb::transport", %error, "NODE_EXTRA_CA_CERTS can't be read"),
            }
        }
        roots
    }
}

fn certificates(path: &str) -> std::result::Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_file_iter(path)?.collect()
}

impl Http {
    pub(super) fn new(env: &BTreeMap<String, String>) -> Self {
        Self::with_settings(Settings::read(env))
    }

    /// The same client without any of its connections.
    pub(super) fn without_connections(&self) -> Self {
        Self::with_settings(self.settings.clone())
    }

    fn with_settings(settings: Settings) -> Self {
        Self { settings, parts: OnceLock::new(), special: Mutex::new(None), transfer: OnceLock::new() }
    }

    /// Sends the request once, and takes the whole answer, within the request's deadline.
    pub(super) async fn attempt(&self, request: &Request) -> Outcome {
        let started = std::time::Instant::now();
        let outcome = match tokio::time::timeout_at(request.deadline.at, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timed_out(request.deadline, &host(&request.url))),
        };
        log(request, &outcome, started.elapsed());
        outcome
    }

    async fn exchange(&self, request: &Request) -> Outcome {
        let client = self.client(request.connect_limit)?;
        let http_request = build(request)?;
        let host = host(&request.url);
        let failure = |error| send_failure(error, &self.peer(&request.url), request.deadline);
        let mut response = client.execute(http_request).await.map_err(failure)?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let request_id = header_text(&headers, "x-request-id");
        if status.is_redirection() {
            return Err(redirected(status.as_u16(), &host).with_request_id(request_id));
        }
        let retry_after = retry_after(&headers);
        let body = whole_body(response, &host, request.deadline)
            .await
            .map_err(|error| error.with_request_id(request_id.clone()).with_http_status(status.as_u16()))?;
        Ok(RawReply { status: status.as_u16(), request_id, body, headers, retry_after })
    }

    /// Asks once for another protocol on a connection of its own, within the request's deadline.
    pub(super) async fn upgrade(&self, request: &Request) -> std::result::Result<Upgrade, Error> {
        let started = std::time::Instant::now();
        let outcome = match tokio::time::timeout_at(request.deadline.at, self.ask_to_switch(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timed_out(request.deadline, &host(&request.url))),
        };
        let (host, operation) = (host(&request.url), request.operation);
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &outcome {
            Ok(Upgrade::Switched(..)) => tracing::debug!(target: "agb::transport", operation, host, took_ms, "open"),
            Ok(Upgrade::Refused(reply)) => {
                tracing::debug!(target: "agb::transport", operation, host, status = reply.status, took_ms, "refused");
            }
            Err(error) => {
                tracing::debug!(target: "agb::transport", operation, host, kind = error.kind().name(), error = error.message(), took_ms, "failed");
            }
        }
        outcome
    }

    async fn ask_to_switch(&self, request: &Request) -> std::result::Result<Upgrade, Error> {
        let client = self.client(request.connect_limit)?;
        let http_request = build(request)?;
        let host = host(&request.url);
        let failure = |error| send_failure(error, &self.peer(&request.url), request.deadline);
        let mut response = client.execute(http_request).await.map_err(failure)?;
        let status = response.status();
        if status == reqwest::StatusCode::SWITCHING_PROTOCOLS {
            let headers = response.headers().clone();
            let connection =
                response.upgrade().await.map_err(|error| receive_failure(error, &host, request.deadline))?;
            return Ok(Upgrade::Switched(headers, connection));
        }
        let headers = std::mem::take(response.headers_mut());
        let request_id = header_text(&headers, "x-request-id");
        if status.is_redirection() {
            return Err(redirected(status.as_u16(), &host).with_request_id(request_id));
        }
        let body = whole_body(response, &host, request.deadline)
            .await
            .map_err(|error| error.with_request_id(request_id.clone()).with_http_status(status.as_u16()))?;
        Ok(Upgrade::Refused(RawReply { status: status.as_u16(), request_id, body, headers, retry_after: None }))
    }

    fn client(&self, connect_limit: Option<Duration>) -> std::result::Result<Client, Error> {
        let parts = self.parts()?;
        let Some(limit) = connect_limit.filter(|limit| *limit != CONNECT_LIMIT) else {
            return Ok(parts.client.clone());
        };
        let mut special = self.special.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, client)) = special.as_ref()
            && *known == limit
        {
            return Ok(client.clone());
        }
        let client =
            build_client(parts.tls.clone(), &parts.proxies, limit).map_err(|why| Error::new(ErrorKind::Config, why))?;
        *special = Some((limit, client.clone()));
        Ok(client)
    }

    /// As [`Settings::peer`].
    pub(super) fn peer(&self, url: &str) -> String {
        self.settings.peer(url)
    }

    pub(super) fn transfer_client(&self) -> std::result::Result<Client, Error> {
        let parts = self.parts()?;
        let client = self
            .transfer
            .get_or_init(|| finish(client_builder(parts.tls.clone(), &parts.proxies, CONNECT_LIMIT).no_gzip()));
        client.clone().map_err(|why| Error::new(ErrorKind::Config, why))
    }

    fn parts(&self) -> std::result::Result<&Parts, Error> {
        let parts = self.parts.get_or_init(|| self.build_parts());
        parts.as_ref().map_err(|why| Error::new(ErrorKind::Config, why.clone()))
    }

    fn build_parts(&self) -> std::result::Result<Parts, String> {
        let proxies = self.settings.proxies()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS can't be set up: {error}"))?
            .with_root_certificates(self.settings.roots())
            .with_no_client_auth();
        let client = build_client(tls.clone(), &proxies, CONNECT_LIMIT)?;
        Ok(Parts { tls, proxies, client })
    }
}

fn build_client(tls: ClientConfig, proxies: &[Proxy], connect_limit: Duration) -> std::result::Result<Client, String> {
    finish(client_builder(tls, proxies, connect_limit))
}

fn finish(builder: ClientBuilder) -> std::result::Result<Client, String> {
    builder.build().map_err(|error| format!("the HTTP client can't be set up: {}", cause(&error)))
}

fn client_builder(tls: ClientConfig, proxies: &[Proxy], connect_limit: Duration) -> ClientBuilder {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .referer(false)
        // Repeats are counted and allowed in `retry.rs`.
        .retry(reqwest::retry::never())
        .connect_timeout(connect_limit)
        .pool_idle_timeout(POOL_IDLE_LIMIT)
        .tcp_nodelay(true)
        // The environment of the process is not ours to read: the caller handed down what counts.
        .no_proxy();
    proxies.iter().cloned().fold(builder, ClientBuilder::proxy)
}

fn build(request: &Request) -> std::result::Result<reqwest::Request, Error> {
    let url = parse_url(&request.url)?;
    let mut built = reqwest::Request::new(method(request.method), url);
    for (name, value) in &request.headers {
        let (name, value) = header(name, value)?;
        built.headers_mut().insert(name, value);
    }
    // How the body is framed is not the caller's to say: it would hold up the connection.
    built.headers_mut().remove(TRANSFER_ENCODING);
    built.headers_mut().remove(CONTENT_LENGTH);
    if request.method.announces_body() || !request.body.is_empty() {
        built.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
        *built.body_mut() = Some(request.body.clone().into());
    }
    Ok(built)
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Options => reqwest::Method::OPTIONS,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

fn header(name: &str, value: &str) -> std::result::Result<(HeaderName, HeaderValue), Error> {
    let refused = |text: String| Error::new(ErrorKind::InvalidArgument, text);
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused(format!("{name:?} names no header")))?;
    let mut value =
        HeaderValue::from_str(value).map_err(|_| refused(format!("the value of the header {parsed} can't be sent")))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

pub(super) fn parse_url(url: &str) -> std::result::Result<Url, Error> {
    Url::parse(url).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("{:?} is not a URL: {error}", redact::url(url)))
    })
}

async fn whole_body(
    mut response: reqwest::Response,
    host: &str,
    deadline: Deadline,
) -> std::result::Result<Bytes, Error> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    if announced > MAX_ANSWER_BYTES {
        return Err(too_large(host));
    }
    let mut body = BytesMut::with_capacity(announced.min(1024 * 1024));
    while let Some(chunk) = response.chunk().await.map_err(|error| receive_failure(error, host, deadline))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(too_large(host));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

pub(super) fn send_failure(error: reqwest::Error, peer: &str, deadline: Deadline) -> Error {
    let why = cause(&error);
    if error.is_connect() {
        // A refused certificate stays refused.
        let temporary = !is_tls_refusal(&error);
        let why = if error.is_timeout() { "no connection in time".to_owned() } else { why };
        return Error::new(ErrorKind::Connect, format!("could not connect to {peer}: {why}"))
            .with_temporary(temporary)
            .with_source(error.without_url());
    }
    if error.is_timeout() {
        return timed_out(deadline, peer);
    }
    if error.is_builder() {
        return Error::new(ErrorKind::InvalidArgument, format!("the request to {peer} can't be built: {why}"))
            .with_source(error.without_url());
    }
    Error::new(ErrorKind::Network, format!("the connection to {peer} broke before an answer came: {why}"))
        .with_temporary(true)
        .with_source(error.without_url())
}

pub(super) fn receive_failure(error: reqwest::Error, host: &str, deadline: Deadline) -> Error {
    if error.is_timeout() {
        return timed_out(deadline, host);
    }
    let why = cause(&error);
    if error.is_decode() && !is_broken_connection(&error) {
        return Error::new(ErrorKind::Protocol, format!("the answer of {host} can't be decoded: {why}"))
            .with_source(error.without_url());
    }
    Error::new(ErrorKind::Network, format!("the connection to {host} broke within the answer: {why}"))
        .with_temporary(true)
        .with_source(error.without_url())
}

fn timed_out(deadline: Deadline, host: &str) -> Error {
    let ms = deadline.limit.as_millis();
    Error::new(ErrorKind::Timeout, format!("timeout of {ms}ms exceeded ({host})")).with_temporary(true)
}

fn redirected(status: u16, host: &str) -> Error {
    let text = format!("{host} answered with a redirect (HTTP {status}), which is not followed: check the endpoint");
    Error::new(ErrorKind::Http, text).with_http_status(status)
}

fn too_large(host: &str) -> Error {
    let limit_mib = MAX_ANSWER_BYTES / (1024 * 1024);
    Error::new(ErrorKind::Protocol, format!("the answer of {host} is larger than {limit_mib} MiB"))
}

/// The innermost cause, which says most in the fewest words.
fn cause(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

type Cause<'a> = &'a (dyn StdError + 'static);

fn chain(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(Some(error), |error: &Cause<'_>| (*error).source())
}

fn is_tls_refusal(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|cause| {
        let inside_io = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause.is::<rustls::Error>() || inside_io.is_some_and(|inner| inner.is::<rustls::Error>())
    })
}

/// Compressed answers that break off are reported as undecodable.
fn is_broken_connection(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|cause| {
        cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_body)
            || cause.downcast_ref::<std::io::Error>().is_some_and(|io| {
                use std::io::ErrorKind as Io;
                matches!(io.kind(), Io::UnexpectedEof | Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe)
            })
    })
}

pub(super) fn host(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return redact::url(url) };
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "the service".to_owned(),
    }
}

pub(super) fn header_text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => http_date(text)?.duration_since(SystemTime::now()).unwrap_or_default(),
    };
    Some(asked.min(MAX_RETRY_AFTER))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that is sent today.
fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let month_name = words.next()?;
    let month = u64::try_from(MONTHS.iter().position(|name| *name == month_name)?).ok()? + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if words.next() != Some("GMT") || day == 0 || day > 31 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970 in the calendar whose year begins in March, so that the leap day comes last.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = shifted_year * 365 + shifted_year / 4 - shifted_year / 100
        + shifted_year / 400
        + (shifted_month * 153 + 2) / 5
        + day
        - 1;
    let since_epoch = days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since_epoch))
}

fn log(request: &Request, outcome: &Outcome, took: Duration) {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    // The path of a link grants access; which endpoint it was, the operation tells.
    let host = host(&request.url);
    let operation = request.operation;
    match outcome {
        Ok(reply) => {
            tracing::debug!(target: "agb::transport", operation, host, status = reply.status, bytes = reply.body.len(), request_id = reply.request_id, took_ms, "answered");
        }
        Err(error) => {
            tracing::debug!(target: "agb::transport", operation, host, kind = error.kind().name(), error = error.message(), took_ms, "failed");
        }
    }
    tracing::trace!(target: "agb::transport", operation, body = redact::body(&request.body), "request");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(retry_after(&headers("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers("99999999999")), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after(&headers("Sun, 06 Nov 1994 08:49:37 GMT")), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers("Fri, 01 Jan 9999 00:00:00 GMT")), Some(MAX_RETRY_AFTER));
        for garbage in ["", "-1", "soon", "Sun, 06 Nov", "Sun, 99 Foo 1994 08:49:37 GMT"] {
            assert_eq!(retry_after(&headers(garbage)), None, "{garbage}");
        }
    }

    #[test]
    fn http_dates_are_seconds_since_the_epoch() {
        let seconds = |text| http_date(text).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), 784_111_777);
        assert_eq!(seconds("Thu, 29 Feb 2024 12:00:00 GMT"), 1_709_208_000);
    }

    #[test]
    fn hosts_are_named_without_anything_secret() {
        assert_eq!(host("http://u:p@h:81/x?t=SECRET"), "h:81");
        assert_eq!(host("https://h/x"), "h");
    }

    #[test]
    fn lower_case_proxy_variables_win_and_a_bad_one_is_named_without_its_value() {
        let env = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let settings = Settings::read(&env(&[("HTTP_PROXY", "http://upper"), ("http_proxy", "http://lower")]));
        assert_eq!(settings.proxies[0].url, "http://lower");
        let settings = Settings::read(&env(&[("HTTPS_PROXY", "http://user:SECRET@[bad")]));
        let why = settings.proxies().unwrap_err();
        assert!(why.contains("HTTPS_PROXY") && !why.contains("SECRET"), "{why}");
    }

    /// Made for this test; its key was thrown away.
    const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBmzCCAUGgAwIBAgIUEFJjBB9vaQPAeEW/wj73OT3baqowCgYIKoZIzj0EAwIw\n\
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzA1MzUyOVoYDzIxMjYxMDMw\n\
MDUzNTI5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n\
PQMBBwNCAAQFSw+9AVVu5PtjXnBtIGsDLUnfDOp0YrbQ63acFpxV6AIpMg1hYGr6\n\
g6PyMFxSas+nKE7VekJIysHApYvC5zwbo28wbTAdBgNVHQ4EFgQUMcVJV01w1uN+\n\
m4ExvTBHOtbPFvAwHwYDVR0jBBgwFoAUMcVJV01w1uN+m4ExvTBHOtbPFvAwDwYD\n\
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI\n\
zj0EAwIDSAAwRQIhAKQCRL4klZJePtM6UWcmu7C76CzMW48BNspvgOrQfWb4AiAg\n\
YJP1QJD5kxJZHBiu171dxYNQXyWN4pmgO5lWSvC9rg==\n\
-----END CERTIFICATE-----\n\
";

    #[test]
    fn extra_certificates_are_trusted_besides_the_built_in_ones() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), CERTIFICATE).unwrap();
        let path = file.path().display().to_string();
        let with = Settings::read(&BTreeMap::from([("NODE_EXTRA_CA_CERTS".to_owned(), path)]));
        assert_eq!(with.roots().len(), webpki_roots::TLS_SERVER_ROOTS.len() + 1);
        let without = Settings::read(&BTreeMap::new());
        assert_eq!(without.roots().len(), webpki_roots::TLS_SERVER_ROOTS.len());
    }
}
