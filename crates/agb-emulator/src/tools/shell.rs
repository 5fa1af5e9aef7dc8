//! The tool `shell`: one command in a fresh shell (docs/protocol.md, section Commands).

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{ToolArgs, ToolLimits, ToolOutput};
use crate::sandbox::{self, Invocation, OutputPipe, Process, Running, Sandbox};

/// The service's own default.
const DEFAULT_TIMEOUT_MS: f64 = 1000.0;

/// Runs a command with `/bin/sh -c`, in the session's home and environment unless `cwd` and `envs` say otherwise.
///
/// Answers `{"stdout","stderr","exit_code"}` as JSON text, as an error with a `traceId` when the code is not 0. Over its
/// time limit (`timeout_ms`, default 1,000, at most that of `limits`) the whole process group is killed. What the
/// command left in the background goes on. Output that one answer has no room for is cut, with a note.
pub async fn call(sandbox: &Sandbox, args: &ToolArgs, limits: &ToolLimits) -> ToolOutput {
    let request = match Request::read(args, limits) {
        Ok(request) => request,
        Err(problem) => return ToolOutput::error(problem),
    };
    let (sandbox, limits) = (sandbox.clone(), *limits);
    // In a task of its own: a caller that goes away must not leave the command without its time limit.
    let work = tokio::spawn(async move { run(&sandbox, request, &limits).await });
    work.await.unwrap_or_else(|error| ToolOutput::error(format!("the command could not be run: {error}")))
}

#[derive(Debug, PartialEq)]
struct Request {
    command: String,
    limit: Duration,
    directory: Option<String>,
    environment: Vec<(String, String)>,
}

impl Request {
    fn read(args: &ToolArgs, limits: &ToolLimits) -> Result<Request, String> {
        let command = match args.get("command") {
            Some(Value::String(command)) if !command.trim().is_empty() => without_nul("command", command)?,
            Some(Value::String(_)) => return Err("`command` is empty".to_owned()),
            Some(other) => return Err(wrong_type("command", "a string", other)),
            None => return Err("`command` is missing".to_owned()),
        };
        let directory = match args.get("cwd") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if path.is_empty() => return Err("`cwd` is empty".to_owned()),
            Some(Value::String(path)) => Some(without_nul("cwd", path)?),
            Some(other) => return Err(wrong_type("cwd", "a string", other)),
        };
        let environment = match args.get("envs") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(envs)) => read_environment(envs)?,
            Some(other) => return Err(wrong_type("envs", "an object of strings", other)),
        };
        let limit = super::read_time(args, "timeout_ms", DEFAULT_TIMEOUT_MS, 1000.0)?.min(limits.time);
        Ok(Request { command, limit, directory, environment })
    }
}

fn read_environment(envs: &Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    envs.iter()
        .map(|(name, value)| {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(format!("`envs` has a name that no environment variable can have: {name:?}"));
            }
            match value {
                Value::String(value) => Ok((name.clone(), without_nul(&format!("envs.{name}"), value)?)),
                other => Err(wrong_type(&format!("envs.{name}"), "a string", other)),
            }
        })
        .collect()
}

fn without_nul(name: &str, text: &str) -> Result<String, String> {
    if text.contains('\0') {
        return Err(format!("`{name}` contains a NUL character"));
    }
    Ok(text.to_owned())
}

fn wrong_type(name: &str, wanted: &str, value: &Value) -> String {
    format!("`{name}` must be {wanted}, not {}", super::type_name(value))
}

async fn run(sandbox: &Sandbox, request: Request, limits: &ToolLimits) -> ToolOutput {
    let running = match sandbox.running().await {
        Ok(running) => running,
        Err(error) => return ToolOutput::error(error.to_string()),
    };
    let trace_id = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let started = start(running, &request, &trace_id, limits.output_bytes);
    let (mut process, stdout, stderr) = match started {
        Ok(started) => started,
        Err(error) => return ToolOutput::error(format!("the shell could not be started: {error}")),
    };
    let status = tokio::select! {
        biased;
        status = process.wait() => status,
        () = sandbox.released() => {
            process.kill().await;
            return ToolOutput::error(format!("{}; the command was ended", sandbox.released_error()));
        }
        () = tokio::time::sleep(request.limit) => {
            process.kill().await;
            return ToolOutput::error(timeout_text(request.limit));
        }
    };
    if sandbox.is_released() {
        return ToolOutput::error(format!("{}; the command was ended", sandbox.released_error()));
    }
    match status {
        Ok(status) => {
            let (stdout, stderr) = sandbox::share(stdout.take(), stderr.take(), limits.room());
            answer(&request, status, &stdout, &stderr, &trace_id)
        }
        Err(error) => ToolOutput::error(format!("the shell's end could not be seen: {error}")),
    }
}

type Started = (Process, Arc<OutputPipe>, Arc<OutputPipe>);

fn start(running: Arc<Running>, request: &Request, nonce: &str, output_bytes: usize) -> std::io::Result<Started> {
    let (stdout, stdout_writer) = OutputPipe::new(output_bytes)?;
    let (stderr, stderr_writer) = OutputPipe::new(output_bytes)?;
    let mut command = running.command(&invocation(request, nonce));
    command.stdin(Stdio::null()).stdout(Stdio::from(stdout_writer)).stderr(Stdio::from(stderr_writer));
    let process = Process::start(running, command)?;
    for pipe in [&stdout, &stderr] {
        tokio::spawn(Arc::clone(pipe).read_to_end());
    }
    Ok((process, stdout, stderr))
}

/// The variables reach the shell through `env`, inside the sandbox: set on the process that enters it, one like
/// `LD_PRELOAD` would work outside.
fn invocation(request: &Request, nonce: &str) -> Invocation {
    let mut argv: Vec<OsString> = Vec::new();
    if !request.environment.is_empty() {
        argv.extend(["/usr/bin/env", "--"].map(OsString::from));
        argv.extend(request.environment.iter().map(|(name, value)| format!("{name}={value}").into()));
    }
    argv.extend(["/bin/sh", "-c", request.command.as_str()].map(OsString::from));
    Invocation { directory: request.directory.clone(), no_directory: nonce.to_owned(), ..Invocation::of(argv) }
}

fn answer(request: &Request, status: ExitStatus, stdout: &str, stderr: &str, trace_id: &str) -> ToolOutput {
    if let (Some(125), Some(directory), true) = (status.code(), &request.directory, stderr == trace_id) {
        return ToolOutput::error(format!(
            "`cwd` can't be entered: {directory} (no such directory, not a directory, or no permission)"
        ));
    }
    let exit_code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    if exit_code == 0 {
        return ToolOutput::ok(json!({ "stdout": stdout, "stderr": stderr, "exit_code": 0 }).to_string());
    }
    let body = json!({ "stdout": stdout, "stderr": stderr, "exit_code": exit_code, "traceId": trace_id });
    ToolOutput::error(body.to_string())
}

fn timeout_text(limit: Duration) -> String {
    let milliseconds = limit.as_millis();
    format!(
        "Execution failed. Error code:-1 Error message: [timeout] the command was killed at its time limit of \
         {milliseconds} ms"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;
    use crate::sandbox::testing::{LIMITS, eventually, in_both_modes, processes_with, unique_word};

    fn read(args: Value) -> Result<Request, String> {
        Request::read(args.as_object().unwrap(), &LIMITS)
    }

    #[test]
    fn arguments_are_checked() {
        for (args, part) in [
            (json!({}), "`command` is missing"),
            (json!({ "command": 7 }), "`command` must be a string, not a number"),
            (json!({ "command": " " }), "`command` is empty"),
            (json!({ "command": "a\u{0}b" }), "NUL"),
            (json!({ "command": "a", "cwd": 1 }), "`cwd` must be a string"),
            (json!({ "command": "a", "cwd": "" }), "`cwd` is empty"),
            (json!({ "command": "a", "envs": [] }), "`envs` must be an object"),
            (json!({ "command": "a", "envs": { "A": 1 } }), "`envs.A` must be a string"),
            (json!({ "command": "a", "envs": { "A=B": "x" } }), "A=B"),
            (json!({ "command": "a", "timeout_ms": "x" }), "`timeout_ms` must be a number"),
            (json!({ "command": "a", "timeout_ms": -1 }), "more than 0"),
        ] {
            let problem = read(args.clone()).unwrap_err();
            assert!(problem.contains(part), "{args}: {problem}");
        }
    }

    #[test]
    fn the_time_limit_is_a_second_by_default_and_capped() {
        assert_eq!(read(json!({ "command": "a" })).unwrap().limit, Duration::from_secs(1));
        assert_eq!(read(json!({ "command": "a", "timeout_ms": 1e18 })).unwrap().limit, LIMITS.time);
    }

    #[tokio::test]
    async fn output_and_exit_code_are_reported() {
        in_both_modes(|session| async move {
            let fine = session.shell_with(json!({ "command": "echo out; echo err >&2" , "timeout_ms": 60_000})).await;
            assert_eq!(fine, ToolOutput::ok(r#"{"stdout":"out\n","stderr":"err\n","exit_code":0}"#));
            let failing = session.shell_with(json!({ "command": "nonexistent_cmd_xyz", "timeout_ms": 60_000 })).await;
            assert!(failing.is_error);
            let body: Value = serde_json::from_str(&failing.text).unwrap();
            assert_eq!(body["exit_code"], 127);
            assert!(body["stderr"].as_str().unwrap().contains("nonexistent_cmd_xyz"), "{body}");
            assert_eq!(body["traceId"].as_str().unwrap().len(), 32);
            assert_eq!(session.shell("kill -9 $$").await["exit_code"], 137);
            assert_eq!(session.shell("exit 125").await["exit_code"], 125);
        })
        .await;
    }

    #[tokio::test]
    async fn every_call_is_a_fresh_shell_that_sees_the_same_files() {
        in_both_modes(|session| async move {
            session.stdout("export V=1; echo kept >file; cd /; sleep 300 >/dev/null 2>&1 &").await;
            let home = session.stdout("pwd").await;
            assert!(home.ends_with("/wuying"), "{home}");
            assert_eq!(session.stdout("echo \"[$V]$(cat file)[$HOME]\"").await, format!("[]kept[{home}]"));
            assert_ne!(session.stdout("whoami").await, "");
        })
        .await;
    }

    #[tokio::test]
    async fn directory_and_variables_are_taken_as_they_are() {
        in_both_modes(|session| async move {
            session.stdout("mkdir -p 'with spaces; and $(x)/-n'").await;
            let home = session.stdout("pwd").await;
            let path = format!("{home}/with spaces; and $(x)/-n");
            let hostile = "it's \"$(id)\"; `ls`\nüñ -- =";
            let args = json!({ "command": "pwd; printf %s \"$TEST_VAR\"", "cwd": path, "envs": { "TEST_VAR": hostile, "-x.y": "1" }, "timeout_ms": 60_000 });
            let output = session.shell_with(args).await;
            let body: Value = serde_json::from_str(&output.text).unwrap();
            assert_eq!(body["stdout"], format!("{path}\n{hostile}"));
            for cwd in ["/no/such place", "/etc/passwd", "-"] {
                let output = session.shell_with(json!({ "command": "pwd", "cwd": cwd, "timeout_ms": 60_000 })).await;
                assert!(output.is_error && output.text.contains(&format!("`cwd` can't be entered: {cwd}")), "{output:?}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn over_its_time_limit_the_whole_group_is_killed() {
        in_both_modes(|session| async move {
            session.stdout("true").await;
            let word = unique_word();
            let command = format!("sh -c 'sleep 300; : {word}' & sh -c 'sleep 300; : {word}'; echo never >after");
            let output = session.shell_with(json!({ "command": command, "timeout_ms": 500 })).await;
            assert!(output.is_error);
            assert!(
                output.text.starts_with("Execution failed. Error code:-1 Error message: [timeout]"),
                "{}",
                output.text
            );
            assert!(output.text.contains("500 ms"), "{}", output.text);
            eventually("the group is gone", async || processes_with(&word).is_empty()).await;
            assert_eq!(session.shell("test -e after").await["exit_code"], 1);
        })
        .await;
    }

    #[tokio::test]
    async fn what_goes_on_in_the_background_neither_holds_the_call_nor_dies_with_it() {
        in_both_modes(|session| async move {
            let started = Instant::now();
            // Holds the pipes and goes on writing to them.
            let command = "nohup sh -c 'while [ ! -e go ]; do sleep 0.05; done; echo into the pipe; echo done >result' & echo said";
            let output = session.stdout(command).await;
            assert_eq!(output.lines().next_back(), Some("said"));
            assert!(started.elapsed() < Duration::from_secs(30));
            session.stdout("touch go").await;
            eventually("the background process goes on", async || session.shell("cat result").await["stdout"] == "done\n").await;
        })
        .await;
    }

    #[tokio::test]
    async fn output_is_cut_at_the_limit() {
        in_both_modes(|mut session| async move {
            session.limits.output_bytes = 10_000;
            for byte in ["x", "\\0", "\""] {
                let command = format!("echo before >&2; head -c 300000 /dev/zero | tr '\\0' '{byte}'; exit 3");
                let output = session.shell_with(json!({ "command": command, "timeout_ms": 60_000 })).await;
                assert!(output.is_error && output.text.len() <= 10_000, "{}", output.text.len());
                assert!(output.text.len() > 5_000, "{}", output.text.len());
                let answer: Value = serde_json::from_str(&output.text).unwrap();
                assert_eq!((answer["exit_code"].as_i64(), answer["stderr"].as_str()), (Some(3), Some("before\n")));
                let stdout = answer["stdout"].as_str().unwrap();
                assert!(stdout.contains("[output cut at the limit of 10000 bytes; 29"), "{stdout}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_release_ends_a_command_and_names_the_session() {
        in_both_modes(|session| async move {
            let running = {
                let session = session.clone();
                tokio::spawn(async move {
                    session.shell_with(json!({ "command": "touch started; sleep 300", "timeout_ms": 100_000 })).await
                })
            };
            eventually("the command has started", async || session.shell("test -e started").await["exit_code"] == 0)
                .await;
            session.sandbox.stop().await;
            let output = running.await.unwrap();
            assert!(output.is_error && output.text.contains("session s-test has been released"), "{}", output.text);
        })
        .await;
    }
}
