//! The command line.

use std::{
    ffi::OsString,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use agb_emulator::cli;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::support::{CODE_IMAGE, http, send, until};

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs to the end without ever being asked to stop.
async fn finished(args: &[&str]) -> (u8, String, String) {
    let (out, err) = (Written::default(), Written::default());
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let code = cli::run_on(args, std::future::pending(), out.clone(), err.clone()).await;
    (code, out.text(), err.text())
}

#[tokio::test]
async fn serves_until_it_is_asked_to_stop_and_logs_every_request() {
    let (out, err) = (Written::default(), Written::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let args = ["--port", "0", "--json", "--api-key=ako-test", "--isolation", "plain", "--max-sessions", "1"];
    let stopped = async move { drop(stopped.await) };
    let run = tokio::spawn(cli::run_on(args.map(OsString::from), stopped, out.clone(), err.clone()));
    until("it is ready", || out.text().ends_with('\n')).await;
    let ready: Value = serde_json::from_str(&out.text()).unwrap();
    assert_eq!(ready["apiKey"], "ako-test");
    assert_eq!(ready["isolation"], "plain");

    let http = http();
    let (url, key) = (ready["url"].as_str().unwrap(), [("authorization", "Bearer ako-test".to_owned())]);
    let create = format!("{url}/mcp/createSession?imageId={CODE_IMAGE}");
    let created = send(&http, Method::POST, &create, Vec::new(), &key).await;
    let id = created.data()["sessionId"].as_str().unwrap().to_owned();
    send(&http, Method::POST, &create, Vec::new(), &key).await.failed(400, "QuotaExceeded");
    send(&http, Method::GET, &format!("{url}/no%0Awhere"), Vec::new(), &key).await;
    let tool = format!(r#"{{"sessionId":"{id}","name":"no_tool"}}"#);
    send(&http, Method::POST, &format!("{url}/mcp"), tool.into(), &key).await;

    stop.send(()).unwrap();
    assert_eq!(run.await.unwrap(), 0);
    let log = err.text();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 5, "{log}");
    let short = &id["session-".len()..][..8];
    assert!(lines[0].contains(&format!(" createSession {short} 200 ")) && lines[0].ends_with(" ms"), "{log}");
    assert!(lines[1].contains(" createSession 400 QuotaExceeded "), "{log}");
    assert!(lines[2].contains("/no%0Awhere 501 NotImplemented"), "{log}");
    assert!(lines[3].contains(&format!(" callTool no_tool {short} 200 tool failed ")), "{log}");
    assert_eq!(lines[4], "agb-emulator: stopped, and released 1 session");
    assert_eq!(out.text().lines().count(), 1, "one ready line and nothing else");
    assert!(!log.contains("ako-test"), "{log}");
}

#[tokio::test]
async fn faults_strike_from_the_start_and_the_log_tells_of_them() {
    let (out, err) = (Written::default(), Written::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let faults = ["createSession:status=503,count=1", r#"{"operation":"createSession","kind":"status","status":429}"#];
    let args = ["--port=0", "--json", "--api-key=k", "--fault", faults[0], "--fault", faults[1]].map(OsString::from);
    let run = tokio::spawn(cli::run_on(args, async move { drop(stopped.await) }, out.clone(), err.clone()));
    until("it is ready", || out.text().ends_with('\n')).await;
    let ready: Value = serde_json::from_str(&out.text()).unwrap();
    let create = format!("{}/mcp/createSession?imageId={CODE_IMAGE}", ready["url"].as_str().unwrap());
    let key = [("authorization", "Bearer k".to_owned())];
    send(&http(), Method::POST, &create, Vec::new(), &key).await.failed(503, "ServiceUnavailable");
    send(&http(), Method::POST, &create, Vec::new(), &key).await.failed(429, "TooManyRequests");
    send(&http(), Method::POST, &create, Vec::new(), &key).await.data();
    drop(stop);
    assert_eq!(run.await.unwrap(), 0);
    let log = err.text();
    assert!(log.contains(" createSession 503 ServiceUnavailable (fault status, work not done) "), "{log}");
}

#[tokio::test]
async fn prints_two_lines_to_paste() {
    let out = Written::default();
    let (stop, stopped) = oneshot::channel::<()>();
    let args = ["--port=0", "--api-key", "it's"].map(OsString::from);
    let run = tokio::spawn(cli::run_on(args, async move { drop(stopped.await) }, out.clone(), Written::default()));
    until("it is ready", || out.text().contains("Ctrl-C")).await;
    let text = out.text();
    assert!(text.contains("\n  export AGB_ENDPOINT=http://127.0.0.1:"), "{text}");
    assert!(text.contains("\n  export AGB_API_KEY='it'\\''s'\n"), "{text}");
    assert!(text.contains("isolation"), "{text}");
    drop(stop);
    assert_eq!(run.await.unwrap(), 0);
}

#[tokio::test]
async fn a_taken_port_is_one_line_that_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, out, err) = finished(&["--port", &port]).await;
    assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1));
    assert!(err.contains(&format!("port {port} is taken")), "{err}");
}

#[tokio::test]
async fn a_wrong_option_is_one_line_with_a_hint() {
    for (args, says) in [
        (&["--prot", "1"][..], "--prot"),
        (&["--port", "many"], "--port must be a number from 0 to 65535, not 'many'"),
        (&["--port", "70000"], "70000"),
        (&["--port"], "--port"),
        (&["--isolation", "chroot"], "namespace or plain"),
        (&["--max-sessions", "-1"], "--max-sessions"),
        (&["--fault", "callTool:rest"], "the kind must be status, delay, reset"),
        (&["--fault", "{}"], "operation must be createSession"),
        (&["serve"], "serve"),
    ] {
        let (code, out, err) = finished(args).await;
        assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{err}");
        assert!(err.contains(says) && err.contains("--help"), "{err}");
    }
}

#[tokio::test]
async fn help_and_version_go_to_standard_output() {
    let (code, out, err) = finished(&["--help"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    for option in ["--port", "--api-key", "--json", "--isolation", "--max-sessions", "--fault", "half-open", "8931"] {
        assert!(out.contains(option), "{option}");
    }
    let (code, out, _) = finished(&["--version"]).await;
    assert_eq!((code, out), (0, format!("agb-emulator {}\n", env!("CARGO_PKG_VERSION"))));
}

#[cfg(unix)]
#[test]
fn the_program_stops_with_success_on_either_signal() {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    for signal in ["-TERM", "-INT"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_agb-emulator"))
            .args(["--port=0", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(program.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("\"apiKey\""), "{ready}");
        assert!(Command::new("kill").args([signal, &program.id().to_string()]).status().unwrap().success());
        assert_eq!(program.wait().unwrap().code(), Some(0), "{signal}");
    }
}
