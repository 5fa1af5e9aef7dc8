//! The session's browser and its agent: `ts/modules/browser/` on this side.

use agb_client::modules::browser::agent::{self, Acted, Page, PageScreenshot, PageText};
use agb_client::modules::browser::echo::start_header_echo as start_echo;
use agb_client::modules::browser::{self, StartedBrowser};
use napi::bindgen_prelude::PromiseRaw;
use napi::{Env, Result};
use napi_derive::napi;

use crate::session::{NativeDone, NativeRoute, NativeSession, NativeText};
use crate::support::{Outcome, json_object, outcome, promise, to_json};

/// A browser that was started.
#[napi(object, object_from_js = false)]
pub struct NativeStartedBrowser {
    /// The service's request id.
    pub request_id: String,
    /// The session that it runs in.
    pub session_id: String,
    /// Its port inside the session.
    pub port: f64,
}

impl From<StartedBrowser> for NativeStartedBrowser {
    fn from(started: StartedBrowser) -> Self {
        Self { request_id: started.request_id, session_id: started.session_id, port: started.port }
    }
}

/// Which page of which browser context a call is for.
#[napi(object, object_to_js = false)]
pub struct NativePage {
    /// The browser context.
    pub context_id: f64,
    /// A CDP target id.
    pub page_id: Option<String>,
}

impl From<NativePage> for Page {
    fn from(page: NativePage) -> Self {
        Self { context_id: page.context_id, page_id: page.page_id }
    }
}

/// What a screenshot shows.
#[napi(object, object_to_js = false)]
pub struct NativePageScreenshot {
    /// The page.
    pub page: NativePage,
    /// The whole page.
    pub full_page: bool,
    /// From 0 to 100.
    pub quality: f64,
    /// A JSON object.
    pub clip: Option<String>,
    /// Milliseconds.
    pub timeout_ms: Option<f64>,
}

impl NativePageScreenshot {
    fn read(self) -> agb_client::Result<PageScreenshot> {
        Ok(PageScreenshot {
            page: self.page.into(),
            full_page: self.full_page,
            quality: self.quality,
            clip: self.clip.as_deref().map(json_object).transpose()?,
            timeout_ms: self.timeout_ms,
        })
    }
}

impl From<PageText> for NativeText {
    fn from(text: PageText) -> Self {
        Self { request_id: text.request_id, data: text.text }
    }
}

/// Whether the service confirmed something.
#[napi(object, object_from_js = false)]
pub struct NativeConfirmation {
    /// Did it?
    pub is_confirmed: bool,
}

impl From<bool> for NativeConfirmation {
    fn from(is_confirmed: bool) -> Self {
        Self { is_confirmed }
    }
}

/// How an action went.
#[napi(object, object_from_js = false)]
pub struct NativeActed {
    /// Did it reach its aim?
    pub success: bool,
    /// What was done, or why it failed.
    pub message: String,
}

impl From<Acted> for NativeActed {
    fn from(acted: Acted) -> Self {
        Self { success: acted.success, message: acted.message }
    }
}

/// What the agent found on a page.
#[napi(object, object_from_js = false)]
pub struct NativeFindings {
    /// JSON; absent where the tool failed.
    pub data: Option<String>,
}

impl NativeFindings {
    fn of(data: Option<&impl serde::Serialize>) -> Self {
        Self { data: data.map(to_json) }
    }
}

/// Starts a server on this machine that answers a browser's own headers; gives its address.
#[napi]
pub fn start_header_echo(env: &Env) -> Result<PromiseRaw<'_, Outcome<NativeHeaderEcho>>> {
    promise(env, async move { outcome(start_echo().await.map(|url| NativeHeaderEcho { url })) })
}

/// A server that answers a browser's own headers.
#[napi(object, object_from_js = false)]
pub struct NativeHeaderEcho {
    /// Its address.
    pub url: String,
}

#[napi]
impl NativeSession {
    /// Starts the browser with an option map: a JSON object.
    #[napi]
    pub fn browser_initialize<'env>(
        &self,
        env: &'env Env,
        option: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeStartedBrowser>>> {
        let session = self.session();
        promise(env, async move {
            let started = async { browser::initialize(&session, &json_object(&option)?).await };
            outcome(started.await)
        })
    }

    /// Stops the browser.
    #[napi]
    pub fn browser_destroy<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDone>>> {
        let (tools, session) = (self.tools(route), self.session());
        promise(env, async move { outcome(browser::destroy(&tools, &session).await) })
    }

    /// The address at which Playwright reaches the browser.
    #[napi]
    pub fn browser_cdp_link<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let session = self.session();
        promise(env, async move {
            let link = browser::cdp_link(&session).await;
            outcome(link.map(|link| NativeText { request_id: link.request_id, data: link.url }))
        })
    }

    /// Opens an address.
    #[napi]
    pub fn browser_navigate<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        url: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(agent::navigate(&tools, &url).await) })
    }

    /// Takes a picture of a page.
    #[napi]
    pub fn browser_screenshot<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        wanted: NativePageScreenshot,
    ) -> Result<PromiseRaw<'env, Outcome<NativeText>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let taken = async { agent::screenshot(&tools, &wanted.read()?).await };
            outcome(taken.await)
        })
    }

    /// Ends the agent's work.
    #[napi]
    pub fn browser_close<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
    ) -> Result<PromiseRaw<'env, Outcome<NativeConfirmation>>> {
        let tools = self.tools(route);
        promise(env, async move { outcome(agent::close(&tools).await) })
    }

    /// Does something on a page; `input` is a JSON object: options, or an observed element.
    #[napi]
    pub fn browser_act<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        input: String,
        page: NativePage,
    ) -> Result<PromiseRaw<'env, Outcome<NativeActed>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let acted = async { agent::act(&tools, &json_object(&input)?, &page.into()).await };
            outcome(acted.await)
        })
    }

    /// The same, as a task that is polled.
    #[napi]
    pub fn browser_act_async<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        input: String,
        page: NativePage,
    ) -> Result<PromiseRaw<'env, Outcome<NativeActed>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let acted = async { agent::act_async(&tools, &json_object(&input)?, &page.into()).await };
            outcome(acted.await)
        })
    }

    /// What can be acted on, on a page; `options` is a JSON object.
    #[napi]
    pub fn browser_observe<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        options: String,
        page: NativePage,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFindings>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let observed = async { agent::observe(&tools, &json_object(&options)?, &page.into()).await };
            outcome(observed.await.map(|found| NativeFindings::of(found.as_ref())))
        })
    }

    /// The same, as a task that is polled.
    #[napi]
    pub fn browser_observe_async<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        options: String,
        page: NativePage,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFindings>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let observed = async { agent::observe_async(&tools, &json_object(&options)?, &page.into()).await };
            outcome(observed.await.map(|found| NativeFindings::of(Some(&found))))
        })
    }

    /// Reads data from a page; `options` is a JSON object.
    #[napi]
    pub fn browser_extract<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        options: String,
        page: NativePage,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFindings>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let extracted = async { agent::extract(&tools, &json_object(&options)?, &page.into()).await };
            outcome(extracted.await.map(|data| NativeFindings::of(data.as_ref())))
        })
    }

    /// The same, as a task that is polled.
    #[napi]
    pub fn browser_extract_async<'env>(
        &self,
        env: &'env Env,
        route: Option<NativeRoute>,
        options: String,
        page: NativePage,
    ) -> Result<PromiseRaw<'env, Outcome<NativeFindings>>> {
        let tools = self.tools(route);
        promise(env, async move {
            let extracted = async { agent::extract_async(&tools, &json_object(&options)?, &page.into()).await };
            outcome(extracted.await.map(|data| NativeFindings::of(Some(&data))))
        })
    }
}
