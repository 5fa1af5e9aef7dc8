//! Persistent contexts: storage that sessions mount (docs/protocol.md, section "Contexts").

use std::time::Duration;

use tokio::time::Instant;

use crate::agb::Agb;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::endpoint::{self, Endpoint};
use crate::wire::envelope::{Answer, Fallback};
use crate::wire::{Query, context as wire, js};

pub use crate::wire::context::{Context, ContextFile, ContextStatus};

/// Contexts in one page of a list that asks for no number.
const DEFAULT_PAGE: f64 = 10.0;
/// The second look at a context that is being cleared.
const CLEAR_FIRST_PAUSE: Duration = Duration::from_millis(30);

/// One context to mount into a new session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextMount {
    /// The context's id; may be empty.
    pub context_id: String,
    /// Where in the session the context appears.
    pub path: String,
    /// The synchronisation policy as JSON text (docs/protocol.md, section "Policies").
    pub policy_json: String,
}

/// How the first synchronisation of a new session's mounts came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountReport {
    /// `true` when every mount reached its end, good or bad, within 300 s.
    pub finished: bool,
    /// The last state seen of each mount, in the service's order.
    pub items: Vec<ContextStatus>,
    /// What the last look at the mounts failed with, if it failed.
    pub error: Option<String>,
}

impl MountReport {
    /// The mounts that ended in `Failed`.
    pub fn failed(&self) -> impl Iterator<Item = &ContextStatus> {
        self.items.iter().filter(|item| item.status == "Failed")
    }
}

/// One context.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextRecord {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The context.
    pub context: Context,
}

/// One page of contexts.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextPage {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The contexts in the service's order.
    pub contexts: Vec<Context>,
    /// The token of the next page; empty on the last.
    pub next_token: String,
    /// The page's size, where the service tells it.
    pub max_results: Option<f64>,
    /// The number of contexts over all pages, where the service tells it.
    pub total_count: Option<f64>,
}

/// One page of a folder of a context.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextFilePage {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// What lies in the folder, in the service's order.
    pub files: Vec<ContextFile>,
    /// The number of entries over all pages, where the service tells it.
    pub count: Option<f64>,
}

/// A URL under which one file of a context can be read or written without a key. Whoever has it has access.
#[derive(Clone, PartialEq)]
pub struct FileUrl {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// The URL; empty where the service sent none.
    pub url: String,
    /// When it expires, in seconds since 1970, where the service tells it.
    pub expire_time: Option<f64>,
}

impl std::fmt::Debug for FileUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileUrl")
            .field("request_id", &self.request_id)
            .field("expire_time", &self.expire_time)
            .finish_non_exhaustive()
    }
}

/// How far clearing a context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearState {
    /// The service's request id, or an empty text.
    pub request_id: String,
    /// `clearing`, or `available` when it is done.
    pub state: String,
}

/// Which context to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContextQuery {
    /// By this name; unless there is an id.
    pub name: Option<String>,
    /// By this id.
    pub id: Option<String>,
    /// Make it when there is none of that name.
    pub create: bool,
    /// In this region; the service's default is `cn-hangzhou`.
    pub region: Option<String>,
}

/// The contexts of an [`Agb`].
#[derive(Debug, Clone)]
pub struct Contexts {
    agb: Agb,
}

impl Agb {
    /// The contexts that belong to the API key.
    pub fn contexts(&self) -> Contexts {
        Contexts { agb: self.clone() }
    }
}

impl Contexts {
    /// One page of contexts, newest first; `max_results` is 10 by default.
    ///
    /// # Errors
    /// What the service said.
    pub async fn list(&self, max_results: Option<f64>, next_token: Option<&str>) -> Result<ContextPage> {
        let max_results = max_results.unwrap_or(DEFAULT_PAGE);
        let mut query = vec![("maxResults", js::number_text(max_results))];
        if let Some(token) = next_token.filter(|token| !token.is_empty()) {
            query.push(("nextToken", token.to_owned()));
        }
        let answer = self.ask(&endpoint::LIST_CONTEXTS, &query, Fallback::Status).await?;
        let paging = answer.object().map(wire::Paging::read).unwrap_or_default();
        Ok(ContextPage {
            contexts: wire::read_contexts(answer.data()),
            next_token: paging.next_token,
            max_results: paging.max_results,
            total_count: paging.count,
            request_id: answer.request_id,
        })
    }

    /// Finds a context by name or id, or makes one of that name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] without name and id, and when one with an id shall be made; what the service said
    /// otherwise.
    pub async fn get(&self, wanted: &ContextQuery) -> Result<ContextRecord> {
        let endpoint = &endpoint::GET_CONTEXT;
        let (name, id) = (trimmed(wanted.name.as_deref()), trimmed(wanted.id.as_deref()));
        if name.is_empty() && id.is_empty() {
            let text = "Either context_id or name must be provided (cannot both be empty)";
            return Err(invalid(endpoint, text));
        }
        if wanted.create && !id.is_empty() {
            let text = "context_id cannot be provided when create=True (only name is allowed when creating)";
            return Err(invalid(endpoint, text));
        }
        let region = wanted.region.as_deref().unwrap_or_default();
        let given = [("id", id), ("name", name), ("loginRegionId", region)];
        let mut query: Query = given
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key, value.to_owned()))
            .collect();
        query.push(("allowCreate", wanted.create.to_string()));
        let answer = self.ask(endpoint, &query, Fallback::Plain).await?;
        let Some(data) = answer.data_object() else {
            return Err(answer.error(ErrorKind::Protocol, "No context data in response", endpoint.operation));
        };
        let mut context = Context::read(data);
        if !data.get("id").is_some_and(serde_json::Value::is_string) {
            id.clone_into(&mut context.id);
        }
        if !data.get("name").is_some_and(serde_json::Value::is_string) {
            name.clone_into(&mut context.name);
        }
        Ok(ContextRecord { context, request_id: answer.request_id })
    }

    /// The context of that name; made if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a blank name; what the service said otherwise.
    pub async fn create(&self, name: &str) -> Result<ContextRecord> {
        if name.trim().is_empty() {
            return Err(invalid(&endpoint::GET_CONTEXT, "name cannot be empty or None"));
        }
        self.get(&ContextQuery { name: Some(name.to_owned()), create: true, ..ContextQuery::default() }).await
    }

    /// Gives a context another name, and gives the request id.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a blank id or name; what the service said otherwise.
    pub async fn rename(&self, id: &str, name: &str) -> Result<String> {
        let endpoint = &endpoint::MODIFY_CONTEXT;
        let id = required(endpoint, id, "context.id cannot be empty or None")?;
        let name = required(endpoint, name, "context.name cannot be empty or None")?;
        Ok(self.ask(endpoint, &vec![("id", id), ("name", name)], Fallback::Plain).await?.request_id)
    }

    /// Deletes a context with everything in it, and gives the request id.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a blank id; what the service said otherwise.
    pub async fn delete(&self, id: &str) -> Result<String> {
        let endpoint = &endpoint::DELETE_CONTEXT;
        let id = required(endpoint, id, "context.id cannot be empty or None")?;
        Ok(self.ask(endpoint, &vec![("id", id)], Fallback::Plain).await?.request_id)
    }

    /// A URL that reads a file.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a blank context or path; what the service said otherwise.
    pub async fn download_url(&self, context_id: &str, path: &str) -> Result<FileUrl> {
        self.file_url(&endpoint::DOWNLOAD_URL, context_id, path).await
    }

    /// A URL that writes a file.
    ///
    /// # Errors
    /// As [`download_url`](Self::download_url).
    pub async fn upload_url(&self, context_id: &str, path: &str) -> Result<FileUrl> {
        self.file_url(&endpoint::UPLOAD_URL, context_id, path).await
    }

    async fn file_url(&self, endpoint: &Endpoint, context_id: &str, path: &str) -> Result<FileUrl> {
        let answer = self.ask(endpoint, &file_query(endpoint, context_id, path)?, Fallback::Plain).await?;
        let data = answer.data_object();
        Ok(FileUrl {
            url: data.map(|data| js::text(data, "url")).unwrap_or_default().to_owned(),
            expire_time: data.and_then(|data| wire::number(data, "expireTime")),
            request_id: answer.request_id,
        })
    }

    /// Deletes a file, and gives the request id.
    ///
    /// # Errors
    /// As [`download_url`](Self::download_url).
    pub async fn delete_file(&self, context_id: &str, path: &str) -> Result<String> {
        let endpoint = &endpoint::DELETE_CONTEXT_FILE;
        Ok(self.ask(endpoint, &file_query(endpoint, context_id, path)?, Fallback::Plain).await?.request_id)
    }

    /// One page of what lies in a folder. Pages count from 1 (the default) and have 50 entries by default.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a blank context; what the service said otherwise.
    pub async fn list_files(
        &self,
        context_id: &str,
        folder: &str,
        page_number: Option<f64>,
        page_size: Option<f64>,
    ) -> Result<ContextFilePage> {
        let endpoint = &endpoint::LIST_CONTEXT_FILES;
        let context_id = required(endpoint, context_id, "context_id cannot be empty or None")?;
        let query = vec![
            ("contextId", context_id),
            ("parentFolderPath", folder.trim().to_owned()),
            ("pageNumber", js::number_text(page_number.unwrap_or(1.0))),
            ("pageSize", js::number_text(page_size.unwrap_or(50.0))),
        ];
        let answer = self.ask(endpoint, &query, Fallback::Status).await?;
        let count = answer.object().and_then(|envelope| wire::number(envelope, "count"));
        Ok(ContextFilePage { files: wire::read_files(answer.data()), count, request_id: answer.request_id })
    }

    /// Starts to delete everything in a context.
    ///
    /// # Errors
    /// What the service said.
    pub async fn start_clearing(&self, id: &str) -> Result<ClearState> {
        let answer = self.ask(&endpoint::CLEAR_CONTEXT, &vec![("id", id.to_owned())], Fallback::Plain).await?;
        Ok(ClearState { request_id: answer.request_id, state: "clearing".to_owned() })
    }

    /// How far clearing is.
    ///
    /// # Errors
    /// What the service said.
    pub async fn clear_state(&self, id: &str) -> Result<ClearState> {
        let mut query = Query::new();
        if !id.is_empty() {
            query.push(("id", id.to_owned()));
        }
        query.push(("allowCreate", "false".to_owned()));
        let answer = self.ask(&endpoint::GET_CONTEXT, &query, Fallback::Plain).await?;
        let state = answer.data_object().and_then(|data| data.get("state")).and_then(|state| state.as_str());
        let state = state.unwrap_or("clearing").to_owned();
        Ok(ClearState { request_id: answer.request_id, state })
    }

    /// Deletes everything in a context and waits until that is done. The first looks follow quickly, then one each
    /// `interval`.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when it takes longer than `limit`, and at once when `limit` is shorter than `interval`; what
    /// the service said otherwise.
    pub async fn clear(&self, id: &str, limit: Duration, interval: Duration) -> Result<ClearState> {
        let began = Instant::now();
        let started = self.start_clearing(id).await?;
        let mut pause = CLEAR_FIRST_PAUSE.min(interval);
        while limit >= interval && !limit.is_zero() {
            // An interval of nothing would never let anybody else work.
            tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
            let now = self.clear_state(id).await?;
            if now.state == "available" {
                return Ok(ClearState { request_id: started.request_id, state: now.state });
            }
            if began.elapsed() >= limit {
                break;
            }
            pause = (pause * 2).min(interval).min(limit.saturating_sub(began.elapsed()));
        }
        let text = format!("Context clearing timed out after {:.2} seconds", began.elapsed().as_secs_f64());
        let operation = endpoint::CLEAR_CONTEXT.operation;
        Err(Error::new(ErrorKind::Timeout, text).with_operation(operation).with_request_id(started.request_id))
    }

    async fn ask(&self, endpoint: &Endpoint, query: &Query, fallback: Fallback) -> Result<Answer> {
        self.agb.call(endpoint, query, self.agb.deadline()).await?.accept(endpoint.operation, fallback)
    }
}

fn trimmed(text: Option<&str>) -> &str {
    text.unwrap_or_default().trim()
}

fn required(endpoint: &Endpoint, text: &str, fault: &str) -> Result<String> {
    match text.trim() {
        "" => Err(invalid(endpoint, fault)),
        text => Ok(text.to_owned()),
    }
}

fn file_query(endpoint: &Endpoint, context_id: &str, path: &str) -> Result<Query> {
    let context_id = required(endpoint, context_id, "context_id cannot be empty or None")?;
    let path = required(endpoint, path, "file_path cannot be empty or None")?;
    Ok(vec![("contextId", context_id), ("filePath", path)])
}

fn invalid(endpoint: &Endpoint, text: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, text).with_operation(endpoint.operation)
}

#[cfg(test)]
mod tests;
