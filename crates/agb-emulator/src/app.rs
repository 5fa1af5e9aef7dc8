//! The route table, and what surrounds every request.

use std::sync::Arc;

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    handler::Handler,
    http::{HeaderValue, StatusCode},
    middleware::{self, Next},
    response::Response,
    routing::{self, MethodRouter, any},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    connections::Wire,
    envelope::{Answer, AsIs},
    fault::{
        Faults,
        http::{self as faulty, Delivery, Shown},
    },
    ids::{Ids, Secret},
    journal::{Journal, JournalEntry},
    routes::{Trace, browser, cdp, context, link, object_store, screenshot, session, tool, ws},
    state::Sessions,
    tools::ToolLimits,
};

/// What every request can reach.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) base_url: String,
    pub(crate) api_key: Secret,
    pub(crate) images: Vec<String>,
    pub(crate) link_url: Option<bool>,
    pub(crate) max_body_bytes: usize,
    pub(crate) tool_limits: ToolLimits,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) journal: Journal,
    pub(crate) faults: Arc<Faults>,
    pub(crate) request_ids: Ids,
    /// Cancelled when the emulator is being closed.
    pub(crate) closing: CancellationToken,
}

/// The endpoints (docs/protocol.md, section Endpoints).
pub(crate) fn app(service: Arc<Service>) -> Router {
    let routes = Router::new()
        .route("/mcp/createSession", post(session::create))
        .route("/mcp/getSession", post(session::get))
        .route("/mcp/getSessionInfo", post(session::info))
        .route("/mcp/releaseSession", post(session::release))
        .route("/mcp/releaseSessionAsync", post(session::release_async))
        .route("/mcp/refreshSessionIdleTime", post(session::keep_alive))
        .route("/mcp/getMcpResource", post(session::resource))
        .route("/sdk/ListSession", get(session::list))
        .route("/sdk/SetLabel", post(session::set_label))
        .route("/sdk/GetLabel", get(session::get_label))
        .route("/internet/getLink", get(session::link))
        .route("/mcp/getLink", get(session::link))
        .route("/browser/init", post(browser::init))
        .route("/internet/getCdpLink", post(browser::cdp_link))
        .route("/mcp", post(tool::call))
        .route("/mcp/listTools", post(session::list_tools))
        .route("/sdk/ListContexts", get(context::list))
        .route("/sdk/GetContext", get(context::get))
        .route("/sdk/ModifyContext", post(context::modify))
        .route("/sdk/DeleteContext", post(context::delete))
        .route("/sdk/ClearContext", post(context::clear))
        .route("/sdk/SyncContext", post(context::sync))
        .route("/sdk/GetContextInfo", get(context::info))
        .route("/sdk/GetContextFileDownloadUrl", post(context::download_url))
        .route("/sdk/GetContextFileUploadUrl", post(context::upload_url))
        .route("/sdk/DeleteContextFile", post(context::delete_file))
        .route("/sdk/DescribeContextFiles", post(context::list_files))
        .route("/sdk/GetAndLoadInternalContext", post(context::internal))
        .route("/object/{context}/{*path}", only("GET or PUT", routing::get(object_store::get).put(object_store::put)))
        .route("/link/{session}/callTool", post(link::call))
        .route("/ws/{session}", any(ws::open))
        .route("/cdp/{session}", any(cdp::open));
    routes
        .fallback(unknown_route)
        .with_state(service.clone())
        .layer(middleware::from_fn_with_state(service.clone(), surround))
        // Storage, and not the service: no key, no envelope, no journal.
        .merge(Router::new().route("/screenshot/{name}", routing::get(screenshot::get)).with_state(service))
}

async fn unknown_route(request: Request) -> Answer {
    let (method, path) = (request.method(), request.uri().path());
    Answer::not_here(format!("{method} {path} is not a route of this emulator"))
}

fn get<T: 'static>(handler: impl Handler<T, Arc<Service>>) -> MethodRouter<Arc<Service>> {
    only("GET", routing::get(handler))
}

fn post<T: 'static>(handler: impl Handler<T, Arc<Service>>) -> MethodRouter<Arc<Service>> {
    only("POST", routing::post(handler))
}

/// Names the methods that there are to whoever tries another one.
fn only(methods: &'static str, routes: MethodRouter<Arc<Service>>) -> MethodRouter<Arc<Service>> {
    routes.fallback(async move |request: Request| {
        let (method, path) = (request.method(), request.uri().path());
        let problem = format!("{path} does not answer to {method}; try {methods}");
        Answer::failure(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", problem)
    })
}

/// Gives every request its id, its place in the journal and its envelope.
///
/// The work runs in a task of its own: a client that goes away does not stop what it began, as on the service, and a
/// panic costs one request.
async fn surround(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let fallback_id = service.request_ids.uuid();
    let wire = request.extensions().get::<ConnectInfo<Wire>>().map(|info| info.0.clone()).unwrap_or_default();
    let closing = service.closing.clone();
    match tokio::spawn(handle(service, request, next, fallback_id.clone())).await {
        // Here, where a client that goes away ends the wait.
        Ok(delivery) => delivery.send(&wire, &closing).await,
        Err(_) => Answer::internal().render(&fallback_id),
    }
}

async fn handle(service: Arc<Service>, mut request: Request, next: Next, own_id: String) -> Delivery {
    let started = Instant::now();
    let at = service.sessions.clock.now();
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let trace = Trace::default();
    request.extensions_mut().insert(trace.clone());
    let mut strike = None;
    let work = async {
        let (request, struck) = faulty::meet(&service, request).await;
        if let Some((by, known)) = struck {
            *trace.note() = known;
            strike = Some(by);
        }
        faulty::work(strike.clone(), request, next).await.map(Reply::of)
    };
    let (reply, is_closing) = tokio::select! {
        reply = work => (reply, false),
        () = service.closing.cancelled() => (Some(Reply::Answer(Answer::closing())), true),
    };
    let strike = strike.filter(|_| !is_closing);
    let mut traced = std::mem::take(&mut *trace.note());
    let request_id = traced.request_id.take().unwrap_or(own_id);
    let done = reply.as_ref().map(|reply| reply.shown(traced.tool_failed));
    let (shown, fault) = match &strike {
        Some(strike) => {
            let (shown, fault) = strike.shown(done);
            (Some(shown), Some(fault))
        }
        None => (done, None),
    };
    // Without a fault there always is an answer.
    let shown = shown.unwrap_or_else(|| Reply::Answer(Answer::internal()).shown(false));
    service.journal.record(JournalEntry {
        seq: 0,
        at: service.sessions.clock.wall(at),
        method,
        path,
        operation: traced.operation.unwrap_or_else(|| "unknown".to_owned()),
        tool: traced.tool,
        session_id: traced.session_id,
        request_id: request_id.clone(),
        status: shown.status,
        code: shown.code,
        success: shown.success,
        fault,
        duration_ms: started.elapsed().as_secs_f64() * 1e3,
        resets_idle_timer: traced.resets_idle_timer,
        query: traced.query,
        body: traced.body,
    });
    let response = reply.map(|reply| reply.render(&request_id));
    match (strike, response) {
        (Some(strike), response) => strike.spoil(response, &request_id),
        (None, Some(response)) => Delivery::Now(response),
        (None, None) => Delivery::Now(Answer::internal().render(&request_id)),
    }
}

/// What goes back to the client.
enum Reply {
    Answer(Answer),
    AsIs(Response),
}

impl Reply {
    fn of(response: Response) -> Self {
        // What became a WebSocket has no envelope either.
        let is_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        match response.extensions().get::<AsIs>() {
            Some(_) => Reply::AsIs(response),
            None if is_switched => Reply::AsIs(response),
            None => Reply::Answer(answer_in(response)),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Reply::Answer(answer) => answer.status,
            Reply::AsIs(response) => response.status(),
        }
    }

    fn shown(&self, tool_failed: bool) -> Shown {
        Shown {
            status: self.status().as_u16(),
            code: self.code().to_owned(),
            success: self.is_success() && !tool_failed,
        }
    }

    fn code(&self) -> &str {
        match self {
            Reply::Answer(answer) => &answer.code,
            Reply::AsIs(_) => "ok",
        }
    }

    fn is_success(&self) -> bool {
        match self {
            Reply::Answer(answer) => answer.is_success(),
            Reply::AsIs(response) => response.status().as_u16() < 300,
        }
    }

    fn render(self, request_id: &str) -> Response {
        match self {
            Reply::Answer(answer) => answer.render(request_id),
            Reply::AsIs(mut response) => {
                if let Ok(value) = HeaderValue::from_str(request_id) {
                    response.headers_mut().insert("x-request-id", value);
                }
                response
            }
        }
    }
}

/// The answer that a response carries, or one for a refusal of the framework itself.
fn answer_in(mut response: Response) -> Answer {
    response.extensions_mut().remove().unwrap_or_else(|| {
        let status = response.status();
        let status = if status.is_client_error() { status } else { StatusCode::BAD_REQUEST };
        Answer::failure(status, "InvalidRequest", format!("the request cannot be read ({status})"))
    })
}
