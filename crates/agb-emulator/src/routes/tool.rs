//! Tool calls on the API route, and what both routes share.

use serde_json::{Map, Value};

use super::{Call, kind, object_in_text, session::tools_image};
use crate::{
    app::Service,
    envelope::{Answer, NO_SESSION_FOR_TOOL, tool_result},
    state::{EndReason, InUse, MAXIMUM_LIFETIME},
    tools::{self, ToolArgs, ToolOutput},
};

pub(crate) async fn call(call: Call) -> Result<Answer, Answer> {
    let name = tool_name(&call, "name")?;
    let id = call.session_id()?;
    let args = match call.member("args") {
        None => Map::new(),
        Some(Value::String(text)) => object_in_text("args", text)?,
        Some(other) => {
            return Err(Answer::invalid(format!("args must be a string that holds JSON, not {}", kind(other))));
        }
    };
    let in_use = call.use_session_for(id, name).ok_or_else(Answer::no_session_for_tool)?;
    match run(&call, &in_use, name, &args).await {
        Ok(output) => Ok(Answer::data(tool_result(output.is_error, output.text))),
        Err(ended) => Err(Answer::failure(
            axum::http::StatusCode::OK,
            NO_SESSION_FOR_TOOL,
            format!("Resource [Session] is not found: {ended}"),
        )),
    }
}

/// The tool that a call names in the member `member`.
pub(crate) fn tool_name<'a>(call: &'a Call, member: &str) -> Result<&'a str, Answer> {
    let name = call.text(member)?.ok_or_else(|| Answer::invalid(format!("{member} is required")))?;
    call.trace.note().tool = Some(name.to_owned());
    Ok(name)
}

/// Runs a tool until it is done or its session ends; then `Err` says why the session ended.
pub(crate) async fn run(call: &Call, in_use: &InUse, name: &str, args: &ToolArgs) -> Result<ToolOutput, String> {
    let session = &in_use.session;
    let limits = &call.service.tool_limits;
    tokio::select! {
        biased;
        () = session.ended.cancelled() => Err(why_ended(&call.service, &session.id)),
        output = tools::call(session, tools_image(&session.image_id), name, args, limits) => {
            call.trace.note().tool_failed = output.is_error;
            Ok(output)
        }
    }
}

/// Why a session ended under a call.
pub(crate) fn why_ended(service: &Service, id: &str) -> String {
    let why = match service.sessions.end_reason(id) {
        Some(EndReason::ApiCall) => "was released by another call".to_owned(),
        Some(EndReason::MaximumLifetime) => {
            format!("reached its maximum lifetime of {} s", MAXIMUM_LIFETIME.as_secs())
        }
        Some(EndReason::EmulatorClosed) => "ended with the emulator".to_owned(),
        Some(EndReason::IdleTimeout) | None => "has expired".to_owned(),
    };
    format!("session {id} {why} while the call was running")
}
