//! What sandboxes promise, in every isolation that this machine has.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::testing::{eventually, host, in_both_modes, in_session, main_result, processes_with, unique_word};
use super::*;

const HELPER: &str = "AGB_TEST_EMULATOR_TO_BE_KILLED";

/// A process that carries a word on its command line, and kept neither the session's process groups nor its environment
/// nor its files.
fn stray_process(word: &str) -> String {
    format!("setsid env -i /bin/sh -c 'touch {word}; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null &")
}

#[tokio::test]
async fn stop_leaves_no_process_and_no_directory() {
    in_both_modes(|session| async move {
        let word = unique_word();
        session.stdout(&stray_process(&word)).await;
        session.python(&format!("import subprocess; subprocess.Popen(['sh', '-c', 'sleep 1000; : {word}'])\n1")).await;
        session.javascript("1").await;
        eventually("the stray process runs", async || {
            session.shell(&format!("test -e {word}")).await["exit_code"] == 0
        })
        .await;
        assert!(cfg!(not(target_os = "linux")) || !processes_with(&word).is_empty());
        session.sandbox.stop().await;
        session.sandbox.stop().await;
        eventually("no process is left", async || processes_with(&word).is_empty()).await;
        let left: Vec<PathBuf> =
            std::fs::read_dir(session.host.base().path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.iter().all(|path| path.is_file()), "{left:?}");
        let base = session.host.base().path().to_owned();
        session.host.close().await;
        assert!(!base.exists());
        assert!(matches!(session.sandbox.files().await, Err(SandboxError::Released(id)) if id == "s-test"));
    })
    .await;
}

#[tokio::test]
async fn a_session_has_no_root_rights_over_the_host() {
    in_both_modes(|session| async move {
        assert_ne!(session.shell("cat /etc/shadow").await["exit_code"], 0);
        for path in ["/etc/agb-test", "/usr/agb-test", "/agb-test"] {
            assert_ne!(session.shell(&format!("touch {path}")).await["exit_code"], 0, "{path}");
            assert!(!Path::new(path).exists());
        }
        if session.host.isolation() == Isolation::Plain {
            assert_ne!(session.shell("kill -9 1").await["exit_code"], 0);
        }
        let python = session.python("open('/etc/agb-test', 'w')").await;
        assert!(python["executionError"].as_str().unwrap().contains("Permission"), "{python}");
        assert_eq!(session.stdout("echo \"[$AGB_API_KEY][$CARGO_MANIFEST_DIR]\"").await, "[][]");
    })
    .await;
}

#[tokio::test]
async fn a_namespace_has_its_own_temporary_directory_home_and_processes() {
    let Some(host) = host(Isolation::Namespace, HostOptions::default()).await else { return };
    in_session(host, |session| async move {
        let word = unique_word();
        std::fs::write(std::env::temp_dir().join(&word), "").unwrap();
        session
            .stdout(&format!(
                "test ! -e {}/{word} && touch /tmp/inside-{word} /home/x /var/tmp/y",
                std::env::temp_dir().display()
            ))
            .await;
        std::fs::remove_file(std::env::temp_dir().join(&word)).unwrap();
        assert!(!Path::new(&format!("/tmp/inside-{word}")).exists());
        assert_eq!(session.stdout("pwd").await, "/home/wuying");
        assert_eq!(
            session.stdout("cd /proc; ls -d [0-9]* | wc -l").await.parse::<u32>().map(|count| count < 12),
            Ok(true)
        );
        assert_ne!(session.shell("umount /tmp").await["exit_code"], 0);
        // Nobody inside can end the session's first process, or what keeps it.
        session.shell("kill -9 -1; kill -9 1").await;
        eventually("the session goes on", async || session.shell("echo alive").await["stdout"] == "alive\n").await;
        let other = Sandbox::new(Arc::clone(&session.host), "s-other");
        let SandboxFiles::Namespace { root, home, .. } = other.files().await.unwrap() else {
            panic!("not a namespace")
        };
        assert_eq!(home, Path::new("/home/wuying"));
        assert!(rustix::fs::statat(&*root, "home/x", rustix::fs::AtFlags::empty()).is_err());
        let SandboxFiles::Namespace { root, .. } = session.sandbox.files().await.unwrap() else {
            panic!("not a namespace")
        };
        assert!(rustix::fs::statat(&*root, "home/x", rustix::fs::AtFlags::empty()).is_ok());
        other.stop().await;
    })
    .await;
}

#[tokio::test]
async fn orphans_are_reaped() {
    let Some(host) = host(Isolation::Namespace, HostOptions::default()).await else { return };
    in_session(host, |session| async move {
        session.stdout("for i in 1 2 3; do (sleep 0.01 &) ; done; sleep 0.2").await;
        eventually("no zombie is left", async || {
            session.shell("grep -l '^State:.Z' /proc/[0-9]*/status").await["stdout"] == ""
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn an_interpreter_below_the_temporary_directory_is_visible_and_read_only() {
    let directory = tempfile::Builder::new().prefix("agb venv ").tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let made =
        Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(directory.path().join("v")).status().await;
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: needs python3-venv");
        return;
    }
    let python = directory.path().join("v/bin/python");
    let options = HostOptions { python: Some(python.clone()), ..HostOptions::default() };
    let Some(host) = host(Isolation::Namespace, options).await else { return };
    in_session(host, |session| async move {
        let answer = session.python("import sys; sys.executable").await;
        assert!(main_result(&answer).contains(&*directory.path().join("v/bin/").to_string_lossy()), "{answer}");
        let path = directory.path().join("v");
        assert_ne!(session.shell(&format!("touch '{}/x'", path.display())).await["exit_code"], 0);
        assert_eq!(session.stdout("command -v python").await, python.to_string_lossy());
    })
    .await;
}

#[tokio::test]
async fn an_interpreter_that_does_not_work_is_passed_over_and_named() {
    let options = HostOptions {
        isolation: Some(Isolation::Plain),
        python: Some("/bin/false".into()),
        node: Some("/nonexistent/node".into()),
        ..HostOptions::default()
    };
    let host = Host::probe(options).await.unwrap();
    let summary = host.summary();
    assert!(summary.starts_with("isolation: plain\n"), "{summary}");
    assert!(summary.contains("Python: /bin/false does not work"), "{summary}");
    assert!(summary.contains("namespaces were not tried"), "{summary}");
    host.close().await;
}

#[tokio::test]
#[ignore = "helper: the process that the next test kills"]
async fn helper_that_starts_processes_and_waits() {
    let Ok(spec) = std::env::var(HELPER) else { return };
    let (mode, word) = spec.split_once(' ').unwrap();
    let isolation = if mode == "plain" { Isolation::Plain } else { Isolation::Namespace };
    let host = host(isolation, HostOptions::default()).await.unwrap();
    in_session(host, |session| async move {
        session.stdout(&stray_process(word)).await;
        session.python(&format!("import os, subprocess; subprocess.Popen(['sh', '-c', 'sleep 1000; : {word}'])")).await;
        println!("base {}", session.host.base().path().display());
        let args = json!({ "command": format!("sleep 1000; : {word}"), "timeout_ms": 1e6 });
        session.shell_with(args).await;
    })
    .await;
}

#[tokio::test]
async fn a_killed_emulator_leaves_no_process_and_its_directory_is_swept() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    in_both_modes(|session| async move {
        let (mode, word) = (session.host.isolation(), unique_word());
        let place = tempfile::tempdir().unwrap();
        let mut helper = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "sandbox::tests::helper_that_starts_processes_and_waits"])
            .env(HELPER, format!("{mode} {word}"))
            // A place of its own: any other emulator on this machine would sweep what the helper leaves behind.
            .env("TMPDIR", place.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(helper.stdout.take().unwrap()).lines();
        let base = loop {
            let line = lines.next_line().await.unwrap().expect("the helper ended early");
            if let Some((_, base)) = line.split_once("base ") {
                break PathBuf::from(base);
            }
        };
        let helper_pid = helper.id().unwrap().to_string();
        let others = || processes_with(&word).into_iter().filter(|pid| *pid != helper_pid).count();
        eventually("all processes run", async || others() >= 3).await;
        helper.kill().await.unwrap();
        eventually("no process is left", async || others() == 0).await;
        assert!(base.exists());
        let base_directory = Some(place.path().to_owned());
        let next = host(mode, HostOptions { base_directory, ..HostOptions::default() }).await.unwrap();
        assert!(!base.exists());
        next.close().await;
    })
    .await;
}
