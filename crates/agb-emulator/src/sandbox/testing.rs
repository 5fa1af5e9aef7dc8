//! What the tests of sandboxes and tools share.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Host, HostOptions, Isolation, Sandbox};
use crate::tools::{ToolLimits, ToolOutput, run_code, shell};

pub(crate) const LIMITS: ToolLimits = ToolLimits { output_bytes: 1 << 20, time: Duration::from_secs(120) };

/// A session of its own for a test, and how to call its tools.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) host: Arc<Host>,
    pub(crate) sandbox: Sandbox,
    pub(crate) limits: ToolLimits,
}

/// Runs a test in every isolation that this machine has.
pub(crate) async fn in_both_modes<F: Future<Output = ()>>(test: impl Fn(Session) -> F) {
    in_both_modes_with(HostOptions::default(), test).await;
}

/// The same on a machine as `options` say.
pub(crate) async fn in_both_modes_with<F: Future<Output = ()>>(options: HostOptions, test: impl Fn(Session) -> F) {
    for isolation in [Isolation::Namespace, Isolation::Plain] {
        if let Some(host) = host(isolation, options.clone()).await {
            eprintln!("--- {isolation}");
            in_session(host, &test).await;
        }
    }
}

/// The machine in a given isolation; `None`, said on standard error, where it has no namespaces.
pub(crate) async fn host(isolation: Isolation, options: HostOptions) -> Option<Arc<Host>> {
    match Host::probe(HostOptions { isolation: Some(isolation), ..options }).await {
        Ok(host) => Some(host),
        Err(error) if isolation == Isolation::Namespace => {
            eprintln!("skipped: needs namespaces ({error})");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn in_session<F: Future<Output = ()>>(host: Arc<Host>, test: impl FnOnce(Session) -> F) {
    let sandbox = Sandbox::new(Arc::clone(&host), "s-test");
    test(Session { host: Arc::clone(&host), sandbox: sandbox.clone(), limits: LIMITS }).await;
    sandbox.stop().await;
    host.close().await;
}

impl Session {
    pub(crate) async fn shell_with(&self, args: Value) -> ToolOutput {
        shell::call(&self.sandbox, args.as_object().unwrap(), &self.limits).await
    }

    /// A command with a generous limit; its answer as JSON.
    pub(crate) async fn shell(&self, command: &str) -> Value {
        let output = self.shell_with(json!({ "command": command, "timeout_ms": 60_000 })).await;
        serde_json::from_str(&output.text).unwrap_or_else(|_| panic!("{command}: {}", output.text))
    }

    /// What a command that has to succeed prints, without the line's end.
    pub(crate) async fn stdout(&self, command: &str) -> String {
        let answer = self.shell(command).await;
        assert_eq!(answer["exit_code"], 0, "{command}: {answer}");
        answer["stdout"].as_str().unwrap().trim_end().to_owned()
    }

    pub(crate) async fn run_with(&self, args: Value) -> ToolOutput {
        run_code::call(&self.sandbox, args.as_object().unwrap(), &self.limits).await
    }

    pub(crate) async fn run(&self, language: &str, code: &str) -> Value {
        self.run_for(language, code, 60.0).await
    }

    pub(crate) async fn run_for(&self, language: &str, code: &str, timeout_s: f64) -> Value {
        let output = self.run_with(json!({ "language": language, "code": code, "timeout_s": timeout_s })).await;
        assert!(!output.is_error, "{code}: {}", output.text);
        serde_json::from_str(&output.text).unwrap()
    }

    pub(crate) async fn python(&self, code: &str) -> Value {
        self.run("python", code).await
    }

    pub(crate) async fn javascript(&self, code: &str) -> Value {
        self.run("javascript", code).await
    }
}

/// The text of a stream of a run's answer.
pub(crate) fn text(answer: &Value, stream: &str) -> String {
    answer[stream].as_array().unwrap().iter().map(|chunk| chunk.as_str().unwrap()).collect()
}

/// The main result's plain text.
pub(crate) fn main_result(answer: &Value) -> &str {
    let main = answer["result"].as_array().unwrap().iter().find(|item| item["isMainResult"] == true);
    main.unwrap_or_else(|| panic!("no main result: {answer}"))["text/plain"].as_str().unwrap()
}

/// A word that nothing else on this machine has on its command line.
pub(crate) fn unique_word() -> String {
    format!("agbtest{:016x}", fastrand::u64(..))
}

/// The host's processes whose command line holds `word`; none where there is no `/proc`.
pub(crate) fn processes_with(word: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id().to_string();
    let pids = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|pid| pid.parse::<u32>().is_ok() && *pid != own)
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(word)
        })
        .collect()
}

/// Writes a script that can be run at once: by another process, as a program forked here meanwhile would hold the file open
/// for writing, and then it can't be run.
pub(crate) fn write_program(path: &Path, script: &str) {
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\""]).arg(path).arg(script);
    assert!(shell.status().unwrap().success());
}

/// Waits, within a bound, until something is the case. The bound is above those of the work that is waited for.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(90), "not within 90 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
