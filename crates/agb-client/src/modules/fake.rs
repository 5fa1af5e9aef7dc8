//! The peer of the modules' tests: answers tool calls by a closure and keeps a journal of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::tool::{CallTool, ToolArgs, ToolLimits, ToolReply};

/// One call that was made.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) tool: String,
    pub(super) args: Value,
    pub(super) limits: ToolLimits,
}

type Answer = Box<dyn Fn(&str, &Value) -> Result<Option<String>> + Send + Sync>;

/// Answers with the request ids `r-1`, `r-2` … in the order of the calls.
pub(super) struct FakeTools {
    answer: Answer,
    journal: Mutex<Vec<Call>>,
}

impl FakeTools {
    /// Answers each call by what `answer` makes of the tool's name and arguments.
    pub(super) fn new(answer: impl Fn(&str, &Value) -> Result<Option<String>> + Send + Sync + 'static) -> Self {
        Self { answer: Box::new(answer), journal: Mutex::default() }
    }

    /// Answers each call with the same text.
    pub(super) fn saying(text: &str) -> Self {
        let text = text.to_owned();
        Self::new(move |_, _| Ok(Some(text.clone())))
    }

    /// Answers each call without any text.
    pub(super) fn silent() -> Self {
        Self::new(|_, _| Ok(None))
    }

    /// Fails each call.
    pub(super) fn failing(kind: ErrorKind, text: &str) -> Self {
        let text = text.to_owned();
        Self::new(move |_, _| Err(Error::new(kind, text.clone())))
    }

    /// The calls so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.journal.lock().unwrap().clone()
    }

    /// The names of the tools called so far.
    pub(super) fn tools(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.tool).collect()
    }
}

impl CallTool for FakeTools {
    async fn call_tool(&self, name: &str, args: ToolArgs, limits: ToolLimits) -> Result<ToolReply> {
        let args = Value::Object(args);
        let request_id = {
            let mut journal = self.journal.lock().unwrap();
            journal.push(Call { tool: name.to_owned(), args: args.clone(), limits });
            format!("r-{}", journal.len())
        };
        // Concurrent calls take turns, so that their order is tested and not assumed.
        tokio::task::yield_now().await;
        match (self.answer)(name, &args) {
            Ok(text) => Ok(ToolReply { request_id, text }),
            Err(error) => Err(error.with_request_id(request_id)),
        }
    }
}

/// A refusal by the tool itself.
pub(super) fn refused(text: &str) -> Error {
    Error::new(ErrorKind::Tool, text)
}

/// Only compiles for a future that may move between threads.
pub(super) fn assert_send<F: Future + Send>(future: F) -> F {
    future
}

/// The files behind the file tools.
#[derive(Clone, Default)]
pub(super) struct FakeDisk {
    files: Arc<Mutex<BTreeMap<String, FakeFile>>>,
}

/// One file.
#[derive(Clone, Default)]
pub(super) struct FakeFile {
    pub(super) content: Vec<u8>,
    /// What the service says as its permissions.
    pub(super) mode: String,
    /// What the service says as its size, where that isn't the content's.
    pub(super) size: Option<String>,
}

impl FakeDisk {
    /// Puts a file.
    pub(super) fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.put_file(path, FakeFile { content: content.into(), mode: "0644".into(), size: None });
    }

    /// Puts a file with attributes of its own.
    pub(super) fn put_file(&self, path: &str, file: FakeFile) {
        self.files.lock().unwrap().insert(path.to_owned(), file);
    }

    /// The content of a file.
    pub(super) fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.files.lock().unwrap().get(path).map(|file| file.content.clone())
    }

    /// All paths.
    pub(super) fn paths(&self) -> Vec<String> {
        self.files.lock().unwrap().keys().cloned().collect()
    }

    /// The tools over this disk; `fault` is asked before each call whether it fails.
    pub(super) fn tools(&self, fault: impl Fn(&str, &Value) -> Option<Error> + Send + Sync + 'static) -> FakeTools {
        let disk = self.clone();
        FakeTools::new(move |tool, args| match fault(tool, args) {
            Some(error) => Err(error),
            None => disk.answer(tool, args),
        })
    }

    /// What the service does with the call, without any fault.
    pub(super) fn answer(&self, tool: &str, args: &Value) -> Result<Option<String>> {
        let mut files = self.files.lock().unwrap();
        let text = |key: &str| args[key].as_str().unwrap().to_owned();
        match tool {
            "get_file_info" => {
                let file = files.get(&text("path")).ok_or_else(|| refused("File not found"))?;
                let size = file.size.clone().unwrap_or_else(|| file.content.len().to_string());
                Ok(Some(format!("size: {size}\nisDirectory: false\nmode: {}", file.mode)))
            }
            "read_file" => {
                let file = files.get(&text("path")).ok_or_else(|| refused("File not found"))?;
                let number = |key: &str| usize::try_from(args[key].as_u64().unwrap()).unwrap();
                let start = number("offset").min(file.content.len());
                let end = (start + number("length")).min(file.content.len());
                Ok(Some(BASE64_STANDARD.encode(&file.content[start..end])))
            }
            "write_file" => {
                let (path, content) = (text("path"), text("content").into_bytes());
                match args["mode"].as_str().unwrap() {
                    "create_new" if files.contains_key(&path) => return Err(refused("File already exists")),
                    "append" => files.entry(path).or_default().content.extend(content),
                    _ => {
                        let file = files.entry(path).or_default();
                        file.content = content;
                        if file.mode.is_empty() {
                            file.mode = "0644".into();
                        }
                    }
                }
                Ok(None)
            }
            "move_file" => {
                if files.contains_key(&text("destination")) {
                    return Err(refused("Destination exists"));
                }
                let file = files.remove(&text("source")).ok_or_else(|| refused("Source file not found"))?;
                files.insert(text("destination"), file);
                Ok(None)
            }
            "delete_file" => files.remove(&text("path")).map(|_| None).ok_or_else(|| refused("File not found")),
            other => panic!("no such tool: {other}"),
        }
    }
}
