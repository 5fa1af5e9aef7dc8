//! A session's browser: starting it, reaching it, stopping it. What a language model does in it is in [`agent`].

use serde_json::Map;
use serde_json::Value;

use super::Wording;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Session, SessionLink};
use crate::tool::{CallTool, ToolArgs, ToolLimits};
use crate::wire::endpoint::{self, Endpoint};
use crate::wire::envelope::{Answer, Fallback};
use crate::wire::{browser as wire, js};

pub mod agent;
pub mod echo;

/// A browser that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct StartedBrowser {
    /// The service's request id.
    pub request_id: String,
    /// The session that it runs in.
    pub session_id: String,
    /// The port on which the browser listens inside the session.
    pub port: f64,
}

/// Starts the session's browser with the option map of the facade (docs/protocol.md, section "Browser").
///
/// # Errors
///
/// What the service said; [`Protocol`](ErrorKind::Protocol) when it named no port.
pub async fn initialize(session: &Session, option: &Map<String, Value>) -> Result<StartedBrowser> {
    let query = wire::init_query(session.id(), option);
    let answer = exchange(session, &endpoint::INIT_BROWSER, &query).await?;
    let Some(port) = wire::read_port(answer.data_object()) else {
        return Err(protocol(&answer, &endpoint::INIT_BROWSER, "Port not found in response"));
    };
    Ok(StartedBrowser { request_id: answer.request_id, session_id: session.id().to_owned(), port })
}

/// Asks for the address at which Playwright reaches the browser. It grants access and expires, so it is asked for anew
/// each time.
///
/// # Errors
///
/// `Failed to get CDP link: …` with what the service said.
pub async fn cdp_link(session: &Session) -> Result<SessionLink> {
    ask_cdp_link(session).await.map_err(|error| error.prefixed("Failed to get CDP link"))
}

async fn ask_cdp_link(session: &Session) -> Result<SessionLink> {
    let query = vec![("sessionId", session.id().to_owned())];
    let answer = exchange(session, &endpoint::GET_CDP_LINK, &query).await?;
    let url = answer.data_object().map(|data| js::text(data, "url")).unwrap_or_default();
    if url.is_empty() {
        return Err(protocol(&answer, &endpoint::GET_CDP_LINK, "No URL in response"));
    }
    Ok(SessionLink { url: url.to_owned(), request_id: answer.request_id.clone() })
}

/// Stops the browser of `session`, which `tools` belong to, and gives the request id.
///
/// # Errors
///
/// The tool's failure, with the text `Failed to stop browser` where it had none; of the kind
/// [`SessionNotFound`](ErrorKind::SessionNotFound) when the session is gone, and its browser with it.
pub async fn destroy<T: CallTool>(tools: &T, session: &Session) -> Result<String> {
    match stop(tools).await {
        // The link route has no code for it, and its words are not known.
        Err(error) if is_answer(&error) && session.has_gone().await => Err(error.with_kind(ErrorKind::SessionNotFound)),
        outcome => outcome,
    }
}

/// Did somebody answer, so that the service can be asked for more?
fn is_answer(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Tool | ErrorKind::Http | ErrorKind::Protocol | ErrorKind::Authentication)
}

async fn stop<T: CallTool>(tools: &T) -> Result<String> {
    let reply = tools.call_tool("stopChrome", ToolArgs::new(), ToolLimits::default()).await;
    match reply {
        Ok(reply) => Ok(reply.request_id),
        Err(error) => Err(Wording::same("Failed to stop browser").explain(error)),
    }
}

/// A call with an empty object as body that starts the idle timer anew.
async fn exchange(session: &Session, endpoint: &Endpoint, query: &crate::wire::Query) -> Result<Answer> {
    let agb = session.agb();
    let call = async {
        let answer = agb.post_empty_object(endpoint, query, agb.deadline()).await?;
        answer.accept(endpoint.operation, Fallback::Plain)
    };
    session.life().using(call).await
}

fn protocol(answer: &Answer, endpoint: &Endpoint, text: &str) -> Error {
    answer.error(ErrorKind::Protocol, text, endpoint.operation)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fake::FakeTools;
    use super::*;
    use crate::testing::{Server, not_found, ok, refuse};

    #[tokio::test]
    async fn initialising_sends_session_path_and_options_and_reads_the_port() {
        let server = Server::start(|_| ok(&json!({"port": 7}))).await;
        let option = json!({"useStealth": true, "cmdArgs": ["--a"]});
        let started = initialize(&server.session(), option.as_object().unwrap()).await.unwrap();
        assert_eq!(started, StartedBrowser { request_id: "r-1".into(), session_id: "s-1".into(), port: 7.0 });
        let seen = &server.seen()[0];
        assert_eq!((seen.path.as_str(), seen.body.as_str()), ("/browser/init", "{}"));
        assert_eq!(seen.query["sessionId"], "s-1");
        assert_eq!(seen.query["persistentPath"], "/tmp/agb_browser_data");
        assert_eq!(seen.query["browserOption"], r#"{"useStealth":true,"cmdArgs":["--a"]}"#);
    }

    #[tokio::test]
    async fn a_start_that_failed_says_why() {
        let server = Server::start(|_| refuse(400, "B.1", "no browser in this image")).await;
        let error = initialize(&server.session(), &Map::new()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Api, "no browser in this image"));
        assert_eq!(server.seen().len(), 1);

        let server = Server::start(|_| ok(&json!({}))).await;
        let error = initialize(&server.session(), &Map::new()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Protocol, "Port not found in response"));
        assert!(!server.seen()[0].query.contains_key("browserOption"));
    }

    #[tokio::test]
    async fn the_cdp_link_is_asked_for_each_time() {
        let server = Server::start(|seen| ok(&json!({"url": format!("ws://x/{}", seen.nth)}))).await;
        let session = server.session();
        assert_eq!(cdp_link(&session).await.unwrap().url, "ws://x/0");
        assert_eq!(cdp_link(&session).await.unwrap().url, "ws://x/1");
        let seen = &server.seen()[0];
        assert_eq!((seen.path.as_str(), seen.raw_query.as_str()), ("/internet/getCdpLink", "sessionId=s-1"));
    }

    #[tokio::test]
    async fn a_browser_that_does_not_stop_has_ended_only_with_its_session() {
        let refusal = || FakeTools::new(|_, _| Err(Error::new(ErrorKind::Tool, "no such session")));
        let alive = Server::start(|_| ok(&json!({"status": "RUNNING"}))).await;
        let broken = Server::start(|_| refuse(500, "X", "broken")).await;
        for server in [alive, broken] {
            let error = destroy(&refusal(), &server.session()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Tool);
        }
        for server in [Server::start(|_| not_found()).await, Server::start(|_| ok(&json!({"status": "FINISH"}))).await]
        {
            let error = destroy(&refusal(), &server.session()).await.unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::SessionNotFound, "no such session"));
            assert_eq!(server.seen().len(), 1);
        }
        // Where nobody answers, nobody is asked.
        let server = Server::start(|_| not_found()).await;
        let tools = FakeTools::new(|_, _| Err(Error::new(ErrorKind::Timeout, "late")));
        assert_eq!(destroy(&tools, &server.session()).await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(server.seen().is_empty());
    }

    #[tokio::test]
    async fn a_missing_cdp_link_says_so_in_the_words_of_the_surface() {
        for (server, text) in [
            (Server::start(|_| ok(&json!({"url": ""}))).await, "Failed to get CDP link: No URL in response"),
            (Server::start(|_| not_found()).await, "Failed to get CDP link: Resource [McpSession] is not found"),
        ] {
            assert_eq!(cdp_link(&server.session()).await.unwrap_err().message(), text);
        }
    }

    #[tokio::test]
    async fn stopping_calls_the_tool_and_words_a_silent_failure() {
        let tools = FakeTools::silent();
        assert_eq!(stop(&tools).await.unwrap(), "r-1");
        assert_eq!((tools.calls()[0].tool.as_str(), &tools.calls()[0].args), ("stopChrome", &json!({})));

        let said = stop(&FakeTools::failing(ErrorKind::Tool, "it hangs")).await.unwrap_err();
        assert_eq!(said.message(), "it hangs");
        let silent = stop(&FakeTools::failing(ErrorKind::Tool, "")).await.unwrap_err();
        assert_eq!(silent.message(), "Failed to stop browser");
    }
}
