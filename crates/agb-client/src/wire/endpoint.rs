//! The table of the service's endpoints that the client uses (docs/protocol.md, section "Endpoints").

/// GET or POST: the service knows no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    /// With a JSON object as body, at least `{}`.
    PostJson,
    /// With a body of length 0.
    PostEmpty,
}

/// One endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Its name in errors and logs.
    pub(crate) operation: &'static str,
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    /// May the request be sent again although the service may have executed it?
    pub(crate) repeatable: bool,
}

const fn repeatable(operation: &'static str, verb: Verb, path: &'static str) -> Endpoint {
    Endpoint { operation, verb, path, repeatable: true }
}

const fn once(operation: &'static str, verb: Verb, path: &'static str) -> Endpoint {
    Endpoint { operation, verb, path, repeatable: false }
}

pub(crate) const CREATE_SESSION: Endpoint = once("createSession", Verb::PostJson, "mcp/createSession");
pub(crate) const GET_SESSION: Endpoint = repeatable("getSession", Verb::PostJson, "mcp/getSession");
pub(crate) const SESSION_STATUS: Endpoint = repeatable("getSessionInfo", Verb::PostJson, "mcp/getSessionInfo");
/// Releasing twice is releasing once: the second answer is "not found", which the caller reads as released.
pub(crate) const RELEASE_SESSION: Endpoint = repeatable("releaseSession", Verb::PostJson, "mcp/releaseSessionAsync");
/// The older way; no other method of this client uses it.
pub(crate) const RELEASE_SESSION_AT_ONCE: Endpoint = repeatable("releaseSession", Verb::PostJson, "mcp/releaseSession");
pub(crate) const KEEP_ALIVE: Endpoint = repeatable("keepAlive", Verb::PostJson, "mcp/refreshSessionIdleTime");
pub(crate) const LIST_SESSIONS: Endpoint = repeatable("listSessions", Verb::Get, "sdk/ListSession");
/// Replaces all labels, so that twice is the same as once.
pub(crate) const SET_LABELS: Endpoint = repeatable("setLabels", Verb::PostEmpty, "sdk/SetLabel");
pub(crate) const GET_LABELS: Endpoint = repeatable("getLabels", Verb::Get, "sdk/GetLabel");
pub(crate) const SESSION_RESOURCE: Endpoint = repeatable("getMcpResource", Verb::PostJson, "mcp/getMcpResource");
pub(crate) const GET_LINK: Endpoint = repeatable("getLink", Verb::Get, "internet/getLink");
pub(crate) const CALL_TOOL: Endpoint = once("callMcpTool", Verb::PostJson, "mcp");
pub(crate) const LIST_TOOLS: Endpoint = repeatable("listMcpTools", Verb::PostJson, "mcp/listTools");
pub(crate) const CONTEXT_INFO: Endpoint = repeatable("getContextInfo", Verb::Get, "sdk/GetContextInfo");
pub(crate) const LIST_CONTEXTS: Endpoint = repeatable("listContexts", Verb::Get, "sdk/ListContexts");
/// Makes the context where that is allowed; a second time it is found.
pub(crate) const GET_CONTEXT: Endpoint = repeatable("getContext", Verb::Get, "sdk/GetContext");
pub(crate) const MODIFY_CONTEXT: Endpoint = repeatable("modifyContext", Verb::PostEmpty, "sdk/ModifyContext");
pub(crate) const DELETE_CONTEXT: Endpoint = once("deleteContext", Verb::PostEmpty, "sdk/DeleteContext");
pub(crate) const CLEAR_CONTEXT: Endpoint = repeatable("clearContext", Verb::PostEmpty, "sdk/ClearContext");
/// Starts a synchronisation; two of them do what one does.
pub(crate) const SYNC_CONTEXT: Endpoint = repeatable("syncContext", Verb::PostEmpty, "sdk/SyncContext");
pub(crate) const DOWNLOAD_URL: Endpoint =
    repeatable("getContextFileDownloadUrl", Verb::PostEmpty, "sdk/GetContextFileDownloadUrl");
pub(crate) const UPLOAD_URL: Endpoint =
    repeatable("getContextFileUploadUrl", Verb::PostEmpty, "sdk/GetContextFileUploadUrl");
pub(crate) const DELETE_CONTEXT_FILE: Endpoint = once("deleteContextFile", Verb::PostEmpty, "sdk/DeleteContextFile");
pub(crate) const LIST_CONTEXT_FILES: Endpoint =
    repeatable("describeContextFiles", Verb::PostEmpty, "sdk/DescribeContextFiles");
pub(crate) const INTERNAL_CONTEXT: Endpoint =
    repeatable("getAndLoadInternalContext", Verb::PostEmpty, "sdk/GetAndLoadInternalContext");
/// Starting a browser twice may be more than starting it once.
pub(crate) const INIT_BROWSER: Endpoint = once("initBrowser", Verb::PostJson, "browser/init");
pub(crate) const GET_CDP_LINK: Endpoint = repeatable("getCdpLink", Verb::PostJson, "internet/getCdpLink");

/// Every endpoint of the service.
const ALL: [&Endpoint; 27] = [
    &CREATE_SESSION,
    &GET_SESSION,
    &SESSION_STATUS,
    &RELEASE_SESSION,
    &RELEASE_SESSION_AT_ONCE,
    &KEEP_ALIVE,
    &LIST_SESSIONS,
    &SET_LABELS,
    &GET_LABELS,
    &SESSION_RESOURCE,
    &GET_LINK,
    &CALL_TOOL,
    &LIST_TOOLS,
    &CONTEXT_INFO,
    &LIST_CONTEXTS,
    &GET_CONTEXT,
    &MODIFY_CONTEXT,
    &DELETE_CONTEXT,
    &CLEAR_CONTEXT,
    &SYNC_CONTEXT,
    &DOWNLOAD_URL,
    &UPLOAD_URL,
    &DELETE_CONTEXT_FILE,
    &LIST_CONTEXT_FILES,
    &INTERNAL_CONTEXT,
    &INIT_BROWSER,
    &GET_CDP_LINK,
];

/// The endpoint of a path, which has no slash in front.
pub(crate) fn find(path: &str) -> Option<&'static Endpoint> {
    ALL.into_iter().find(|endpoint| endpoint.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_path_and_no_other() {
        for endpoint in ALL {
            assert_eq!(find(endpoint.path), Some(endpoint));
        }
        for other in ["", "/mcp", "mcp/", "mcp/getsession"] {
            assert_eq!(find(other), None, "{other}");
        }
    }
}
