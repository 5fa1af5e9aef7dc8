//! The two ways to a tool: straight to the session (link route), or through the service (API route). See
//! docs/protocol.md, section "Tool calls".

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::Value;

use super::{ToolArgs, ToolLimits, ToolReply};
use crate::error::{Error, ErrorKind, Result};
use crate::session::Session;
use crate::transport::{Deadline, Method, Reply, Request, Resend, redact};
use crate::wire::envelope::{Answer, Fallback};
use crate::wire::tool::{ApiCall, LinkCall, ToolOutput, read_link};
use crate::wire::{endpoint, js};

/// What the request may take beyond the tool's own limit: the way there and back, and the tool's own end.
const MARGIN: Duration = Duration::from_secs(15);
const FAILED: &str = "Tool execution failed";
const OPERATION: &str = "callMcpTool";

/// Tools that only look: executing one twice does no harm, so that a passing failure is no reason to fail.
const READ_ONLY: [&str; 12] = [
    "get_active_window",
    "get_cursor_position",
    "get_file_info",
    "get_installed_apps",
    "get_metrics",
    "get_screen_size",
    "list_directory",
    "list_root_windows",
    "list_visible_apps",
    "read_file",
    "screenshot",
    "search_files",
];

/// Where a call goes.
pub(crate) struct Route<'a> {
    pub(crate) link_url: &'a str,
    pub(crate) token: &'a str,
    /// The server that runs the tool, where the tool list names one.
    pub(crate) server: Option<String>,
}

impl Route<'_> {
    /// The server, if everything is there that the link route needs.
    fn link_server(&self) -> Option<&str> {
        let complete = !self.link_url.is_empty() && !self.token.is_empty();
        self.server.as_deref().filter(|server| complete && !server.is_empty())
    }
}

/// Calls a tool by the link route if that is complete, else by the API route, which also stands in when the link can't be
/// reached: then nothing was executed. For tools that only look, it does so after any passing failure.
///
/// The end of the call starts the session's idle timer anew, whether the tool succeeded or not.
pub(crate) async fn call(
    session: &Session,
    route: Route<'_>,
    name: &str,
    args: ToolArgs,
    limits: ToolLimits,
) -> Result<ToolReply> {
    let deadline = deadline(session, limits);
    let call = Call { session, name, args: &args, limits, deadline };
    session.life().using(call.by_best_route(&route)).await
}

/// The longer of the read limit and what the tool itself may take.
fn deadline(session: &Session, limits: ToolLimits) -> Deadline {
    let read = limits.read.unwrap_or_else(|| session.agb().timeout());
    let work = limits.work.map(|work| work.saturating_add(MARGIN)).unwrap_or_default();
    Deadline::after(read.max(work))
}

struct Call<'a> {
    session: &'a Session,
    name: &'a str,
    args: &'a ToolArgs,
    limits: ToolLimits,
    deadline: Deadline,
}

impl Call<'_> {
    async fn by_best_route(&self, route: &Route<'_>) -> Result<ToolReply> {
        let Some(server) = route.link_server() else { return self.by_api().await };
        match self.by_link(route, server).await {
            Err(error) if self.may_go_on(&error) && !self.deadline.left().is_zero() => {
                let error = error.message();
                tracing::debug!(target: "agb::tool", tool = self.name, error, "link failed, API route");
                self.by_api().await
            }
            outcome => outcome,
        }
    }

    /// After this failure of the link, does the other route do no harm?
    fn may_go_on(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Connect || (self.is_read_only() && error.is_temporary())
    }

    fn is_read_only(&self) -> bool {
        READ_ONLY.contains(&self.name)
    }

    async fn by_api(&self) -> Result<ToolReply> {
        let args = js::object_text(self.args);
        let body = encode(&ApiCall { args, session_id: self.session.id(), name: self.name })?;
        let agb = self.session.agb();
        let query = vec![("autoGenSession", "false".to_owned())];
        let mut request = agb.request(&endpoint::CALL_TOOL, &query, body, self.deadline);
        request.connect_limit = self.limits.connect;
        if self.is_read_only() {
            request.resend = Resend::Freely;
        }
        read_api(&agb.exchange(&request).await?)
    }

    async fn by_link(&self, route: &Route<'_>, server: &str) -> Result<ToolReply> {
        let request_id = link_request_id();
        let body = LinkCall { args: self.args, server, request_id: &request_id, tool: self.name, token: route.token };
        let request = Request {
            operation: OPERATION,
            method: Method::Post,
            url: format!("{}/callTool", route.link_url.trim_end_matches('/')),
            headers: vec![
                ("content-type".into(), "application/json".to_owned()),
                ("accept".into(), "application/json".to_owned()),
                ("x-access-token".into(), route.token.to_owned()),
            ],
            body: encode(&body)?,
            // The API route is the better second attempt.
            resend: Resend::Never,
            deadline: self.deadline,
            connect_limit: self.limits.connect,
        };
        let secrets = [route.token, self.session.agb().api_key()];
        match self.session.agb().transport().send(&request).await {
            Ok(reply) => read_link_reply(&reply, &request_id, &secrets),
            Err(error) => Err(failed_link(error, &request_id)),
        }
    }
}

fn encode(body: &impl serde::Serialize) -> Result<Bytes> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("the request can't be written: {error}")))
}

/// A connection that could not be made keeps its kind, for the caller that has another route.
fn failed_link(error: Error, request_id: &str) -> Error {
    let error = if error.request_id().is_empty() { error.with_request_id(request_id) } else { error };
    error.prefixed("HTTP request failed")
}

fn read_api(answer: &Answer) -> Result<ToolReply> {
    let output = ToolOutput::read(answer.data());
    if output.is_error {
        let refusal = answer.refusal(OPERATION, Fallback::Tool(FAILED));
        // A refusal of the service may carry a tool result, too; what the service says about the session counts more.
        return Err(if refusal.kind() == ErrorKind::Api {
            answer.error(ErrorKind::Tool, refusal.message(), OPERATION)
        } else {
            refusal
        });
    }
    if !answer.is_success() {
        return Err(answer.refusal(OPERATION, Fallback::Tool(FAILED)));
    }
    Ok(ToolReply { request_id: answer.request_id.clone(), text: output.text })
}

fn read_link_reply(reply: &Reply, own_request_id: &str, secrets: &[&str]) -> Result<ToolReply> {
    let mut answer = Answer::read(reply.status, &reply.request_id, reply.attempts, &reply.body);
    if answer.request_id.is_empty() {
        own_request_id.clone_into(&mut answer.request_id);
    }
    let clean = |error: Error| Err(without_secrets(error, &answer, secrets));
    if !(200..300).contains(&reply.status) {
        return clean(refused_link(&answer));
    }
    let Some(envelope) = answer.object() else {
        return clean(answer.refusal(OPERATION, Fallback::Tool(FAILED)).prefixed("HTTP request failed"));
    };
    match read_link(envelope) {
        Ok(output) if output.is_error => {
            let text = output.text.filter(|text| !text.is_empty()).or(output.error_message);
            Err(answer.error(ErrorKind::Tool, text.unwrap_or_else(|| FAILED.to_owned()), OPERATION))
        }
        Ok(output) => Ok(ToolReply { request_id: answer.request_id.clone(), text: output.text }),
        // A refusal comes without data: then the envelope says why.
        Err(_) if !answer.message().is_empty() && envelope.get("success") != Some(&Value::Bool(true)) => {
            clean(answer.refusal(OPERATION, Fallback::Tool(FAILED)))
        }
        Err(problem) => clean(answer.error(ErrorKind::Protocol, problem.to_string(), OPERATION)),
    }
}

fn refused_link(answer: &Answer) -> Error {
    let status = answer.http_status;
    let refusal = answer.refusal(OPERATION, Fallback::Tool(""));
    let said = answer.message();
    let text = format!("HTTP request failed with code: {status}");
    let text = if said.is_empty() { text } else { format!("{text}: {said}") };
    answer.error(refusal.kind(), text, OPERATION)
}

fn without_secrets(error: Error, answer: &Answer, secrets: &[&str]) -> Error {
    match redact::without(error.message(), secrets) {
        std::borrow::Cow::Borrowed(_) => error,
        std::borrow::Cow::Owned(clean) => answer.error(error.kind(), clean, OPERATION),
    }
}

/// `link-<epoch ms>-<nine digits>`.
fn link_request_id() -> String {
    let epoch_ms = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_millis()).unwrap_or_default();
    format!("link-{epoch_ms}-{:09}", fastrand::u32(0..1_000_000_000))
}

#[cfg(test)]
mod tests;
