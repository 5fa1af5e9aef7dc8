//! Contexts: only what creating and deleting a session without mounts needs.

use serde_json::json;

use super::Call;
use crate::envelope::Answer;

/// Synchronises all contexts of a session. There are none, so there is nothing to do.
pub(crate) async fn sync(call: Call) -> Result<Answer, Answer> {
    let _in_use = call.use_session()?;
    refuse_one_context(&call)?;
    Ok(Answer::ok())
}

/// The synchronisation tasks of a session. There are none.
pub(crate) async fn info(call: Call) -> Result<Answer, Answer> {
    let _in_use = call.use_session()?;
    refuse_one_context(&call)?;
    Ok(Answer::data(json!({"contextStatus": "[]"})))
}

fn refuse_one_context(call: &Call) -> Result<(), Answer> {
    if call.query("contextId").is_none() && call.query("path").is_none() {
        return Ok(());
    }
    Err(Answer::not_here("contexts are not available in this emulator yet"))
}
