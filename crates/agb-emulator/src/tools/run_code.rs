//! The tool `run_code`: code in the session's live interpreter (docs/protocol.md, section Code).

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::kernels::{Kernel, RunRequest, in_tenths};
pub(crate) use super::kernels::{Outcome, Piece};
use super::{ToolArgs, ToolLimits, ToolOutput};
use crate::sandbox::{Language, Sandbox};

/// The service's own default.
const DEFAULT_TIMEOUT_S: f64 = 60.0;

/// What a run may take beyond its time limit, with the wait for the runs before it: clients wait 15 s longer than the
/// limit, and must not be gone when it begins.
const QUEUE: Duration = Duration::from_secs(10);

/// A run that has waited, and has less than this left, is refused: it would only be interrupted, half done perhaps.
const LEAST_LEFT: Duration = Duration::from_secs(1);

/// Runs `code` in the interpreter of `language`, which keeps its state between the calls of a session.
///
/// Answers `{"result","stdout","stderr","execution_count","execution_time","executionError"}` as JSON text, also when the
/// code fails. Over its time limit (`timeout_s`, default 60, at most that of `limits`) a run is interrupted; an
/// interpreter that does not stop within 2 s more is killed, and the answer says that its state is lost. Runs wait for each
/// other; one that waited for longer than 10 s has that much less time, or is refused where less than 1 s would be left. Output and results that one answer
/// has no room for are cut or dropped, with a note.
pub async fn call(sandbox: &Sandbox, args: &ToolArgs, limits: &ToolLimits) -> ToolOutput {
    let (language, request) = match read(args, "timeout_s", limits) {
        Ok(request) => request,
        Err(problem) => return ToolOutput::error(problem),
    };
    let sandbox = sandbox.clone();
    // In a task of its own: a caller that goes away must not leave the interpreter in the middle of a run.
    let work = tokio::spawn(async move { run(&sandbox, language, request, QUEUE).await });
    match work.await {
        Ok(Ok(outcome)) => ToolOutput::ok(answer(outcome).to_string()),
        Ok(Err(problem)) => ToolOutput::error(problem),
        Err(error) => ToolOutput::error(format!("the code could not be run: {error}")),
    }
}

/// Runs code as [`call`] does, telling `live` what it prints and shows as it comes; the outcome has only what is left.
/// `cancel` interrupts it. The time limit is called `timeoutS` here.
pub(crate) async fn stream(
    sandbox: &Sandbox,
    args: &ToolArgs,
    limits: &ToolLimits,
    live: mpsc::Sender<Piece>,
    cancel: CancellationToken,
) -> Result<Outcome, String> {
    let (language, request) = read(args, "timeoutS", limits)?;
    run(sandbox, language, RunRequest { live: Some(live), cancel, ..request }, QUEUE).await
}

fn read(args: &ToolArgs, time: &str, limits: &ToolLimits) -> Result<(Language, RunRequest), String> {
    let code = read_string(args, "code")?;
    if code.trim().is_empty() {
        return Err("`code` is empty: there is nothing to run".to_owned());
    }
    let language = read_language(read_string(args, "language")?)?;
    let limit: Duration = super::read_time(args, time, DEFAULT_TIMEOUT_S, 1.0)?.min(limits.time);
    let (shortened, live, cancel) = (None, None, CancellationToken::new());
    Ok((language, RunRequest { code: code.to_owned(), limit, shortened, limits: *limits, live, cancel }))
}

fn read_string<'a>(args: &'a ToolArgs, name: &str) -> Result<&'a str, String> {
    match args.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("`{name}` must be a string, not {}", super::type_name(other))),
        None => Err(format!("`{name}` is missing")),
    }
}

fn read_language(given: &str) -> Result<Language, String> {
    match given.trim().to_lowercase().as_str() {
        "python" | "python3" | "py" => Ok(Language::Python),
        "javascript" | "js" | "node" | "nodejs" => Ok(Language::JavaScript),
        "java" => Ok(Language::Java),
        "r" => Ok(Language::R),
        _ => Err(format!("Unsupported language: {given}. Supported: java, javascript, python, r")),
    }
}

async fn run(
    sandbox: &Sandbox,
    language: Language,
    mut request: RunRequest,
    queue: Duration,
) -> Result<Outcome, String> {
    let slot = sandbox.kernels().slot(language);
    let patience = request.limit.saturating_add(queue);
    let begun = Instant::now();
    let mut slot = tokio::select! {
        biased;
        () = request.cancel.cancelled() => return Err("the run was cancelled before it began".to_owned()),
        slot = timeout(patience, slot.lock()) => slot.map_err(|_| busy(patience))?,
    };
    let waited = begun.elapsed();
    let left = patience.saturating_sub(waited);
    if left < request.limit {
        if left < LEAST_LEFT {
            return Err(busy(waited));
        }
        request.shortened = Some((waited, left));
    }
    if sandbox.is_released() {
        return Err(sandbox.released_error().to_string());
    }
    let kernel = match slot.as_mut() {
        Some(kernel) => kernel,
        None => slot.insert(Kernel::start(sandbox, language, request.limits.output_bytes).await?),
    };
    let outcome = kernel.run(&request, sandbox).await;
    if outcome.is_lost {
        *slot = None;
    }
    if outcome.is_released || (outcome.is_lost && sandbox.is_released()) {
        return Err(format!("{}; the run was ended", sandbox.released_error()));
    }
    Ok(outcome)
}

fn busy(waited: Duration) -> String {
    let seconds = in_tenths(waited);
    format!("the interpreter was busy with other runs of this session for {seconds} s: this one was not started")
}

fn answer(outcome: Outcome) -> Value {
    json!({
        "result": outcome.results,
        "stdout": chunks(outcome.stdout),
        "stderr": chunks(outcome.stderr),
        "execution_count": outcome.count,
        "execution_time": outcome.seconds,
        "executionError": outcome.error,
    })
}

/// Clients join the chunks with or without a line break between them: one chunk for everything suits both.
fn chunks(text: String) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { vec![text] }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::super::kernels::RunRequest;
    use crate::sandbox::testing::{eventually, in_both_modes, in_both_modes_with, main_result, text};
    use crate::sandbox::{HostOptions, Language, Sandbox, testing::Session};

    #[tokio::test]
    async fn python_keeps_its_state_and_shows_the_last_value() {
        in_both_modes(|session| async move {
            let first = session.python("x = 42\nprint('set', x)").await;
            assert_eq!((text(&first, "stdout").as_str(), first["execution_count"].as_u64()), ("set 42\n", Some(1)));
            assert_eq!(first["result"], json!([]));
            assert_eq!(first["executionError"], json!(null));
            let second = session.python("x + 1").await;
            assert_eq!((main_result(&second), second["execution_count"].as_u64()), ("43", Some(2)));
            assert!(second["execution_time"].as_f64().unwrap() >= 0.0);
            let comment = session.python("# Just a comment").await;
            assert_eq!(
                (&comment["result"], &comment["stdout"], &comment["executionError"]),
                (&json!([]), &json!([]), &json!(null))
            );
        })
        .await;
    }

    #[tokio::test]
    async fn python_output_comes_from_every_level_and_errors_name_themselves() {
        in_both_modes(|session| async move {
            let output = session
                .python("import os, sys\nprint('py')\nos.system('echo shell; echo err >&2')\nsys.stderr.write('ä\\n')\nNone")
                .await;
            assert_eq!(text(&output, "stdout"), "py\nshell\n");
            assert_eq!(text(&output, "stderr"), "err\nä\n");
            let error = session.python("def f():\n    return 1 / 0\nf()").await;
            assert_eq!(error["executionError"], "ZeroDivisionError: division by zero");
            let trace = text(&error, "stderr");
            assert!(trace.contains("<cell 2>\", line 2, in f") && trace.contains("return 1 / 0"), "{trace}");
            assert!(!trace.contains("run_cell") && !trace.contains("<string>"), "{trace}");
            for (code, part) in [
                ("def foo(\n  pass", "SyntaxError"),
                ("import nonexistent_module_xyz", "ModuleNotFoundError"),
                ("nope", "NameError: name 'nope' is not defined"),
                ("input('?')", "EOFError"),
                ("import sys; sys.exit(3)", "SystemExit: 3"),
                ("raise Exception('\\0' * 2_000_000)", "Exception: \0\0"),
            ] {
                let answer = session.python(code).await;
                assert!(answer["executionError"].as_str().unwrap().contains(part), "{code}: {answer}");
            }
            assert_eq!(session.python("exit()").await["executionError"], json!(null));
            assert_eq!(main_result(&session.python("f.__module__").await), "'__main__'");
        })
        .await;
    }

    #[tokio::test]
    async fn python_shows_rich_objects() {
        in_both_modes(|session| async move {
            let code = r"
from IPython.display import display, HTML, Markdown, Latex, SVG, JSON, Image
display(HTML('<h1>Hello</h1>')); display(Markdown('# M')); display(Latex(r'\frac{1}{2}'))
display(SVG('<svg xmlns=\'http://www.w3.org/2000/svg\'></svg>')); display(JSON({'a': [1]})); display(Image(data=b'\x89PNG\r\n\x1a\n' + b'0' * 30))
class Chart:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {'application/vnd.vegalite.v4+json': {'mark': 'bar'}}
Chart()";
            let answer = session.python(code).await;
            assert_eq!(answer["executionError"], json!(null), "{answer}");
            let items = answer["result"].as_array().unwrap();
            let keys = ["text/html", "text/markdown", "text/latex", "image/svg+xml", "application/json", "image/png", "application/vnd.vegalite.v4+json"];
            assert_eq!(items.len(), keys.len(), "{answer}");
            for (item, key) in items.iter().zip(keys) {
                assert!(!item[key].is_null(), "{key}: {item}");
            }
            assert_eq!(items[0]["text/html"], "<h1>Hello</h1>");
            assert_eq!((&items[0]["isMainResult"], &items[6]["isMainResult"]), (&json!(false), &json!(true)));
            assert_eq!(items[4]["application/json"], json!({ "a": [1] }));
        })
        .await;
    }

    #[tokio::test]
    async fn python_shows_through_an_installed_ipython_and_says_nothing_of_its_own() {
        in_both_modes(|session| async move {
            let core = "import warnings\ndef __getattr__(name):\n    if name.startswith('__'): raise AttributeError(name)\n    \
                        warnings.warn(f'{name} has moved', DeprecationWarning, stacklevel=2)\n    return print\n";
            let functions = "def display(*values): print('theirs')\ndef publish_display_data(data): print('theirs')\n\
                             def clear_output(wait=False): print('\\x1b[2K')\n";
            let code = format!(
                "import os, sys\nos.makedirs('lib/IPython/core')\nfor name, text in {{'__init__': '', 'core/__init__': '', \
                 'core/display': {core:?}, 'core/display_functions': {functions:?}, 'display': \
                 'from .core import display as _\\nfrom .core.display_functions import *'}}.items():\n    \
                 open(f'lib/IPython/{{name}}.py', 'w').write(text)\nsys.path.insert(0, 'lib')"
            );
            assert_eq!(session.python(&code).await["executionError"], json!(null));
            let answer = session.python("from IPython.display import display, clear_output\ndisplay('ours')\nclear_output()").await;
            assert_eq!(answer["executionError"], json!(null), "{answer}");
            assert_eq!((text(&answer, "stdout"), text(&answer, "stderr")), (String::new(), String::new()));
            assert_eq!(answer["result"][0]["text/plain"], "'ours'");
        })
        .await;
    }

    #[tokio::test]
    async fn a_run_that_waits_too_long_for_others_is_refused_and_not_done() {
        in_both_modes(|session| async move {
            let request = |code: &str| {
                let args = json!({"code": code, "language": "python", "timeout_s": 60});
                super::read(args.as_object().unwrap(), "timeout_s", &session.limits).unwrap().1
            };
            let run = |request, queue| super::run(&session.sandbox, Language::Python, request, queue);
            session.python("import os, time").await;
            let first =
                run(request("open('begun', 'w'); \nwhile not os.path.exists('end'): time.sleep(0.01)"), super::QUEUE);
            let others = async {
                while session.shell("test -e begun").await["exit_code"] != 0 {}
                let late = RunRequest { limit: Duration::from_millis(100), ..request("late = 1") };
                let refusal = run(late, Duration::from_millis(100)).await.unwrap_err();
                let text =
                    "the interpreter was busy with other runs of this session for 0.2 s: this one was not started";
                assert_eq!(refusal, text);
                session.shell("touch end").await;
            };
            let (first, ()) = tokio::join!(first, others);
            assert_eq!(first.unwrap().error, None);
            assert_eq!(main_result(&session.python("'late' in dir()").await), "False");
        })
        .await;
    }

    #[tokio::test]
    async fn a_run_that_waited_has_less_time_and_says_so_or_is_refused() {
        in_both_modes(|session| async move {
            let run = async |code: &str, limit: f64, wait: Duration| {
                let args = json!({"code": code, "language": "python", "timeout_s": limit});
                let request = super::read(args.as_object().unwrap(), "timeout_s", &session.limits).unwrap().1;
                let slot = session.sandbox.kernels().slot(Language::Python);
                let before = slot.lock().await;
                let others = async {
                    tokio::time::sleep(wait).await;
                    drop(before);
                };
                let run = super::run(&session.sandbox, Language::Python, request, Duration::ZERO);
                tokio::join!(run, others).0
            };
            session.python("1").await;
            let wait = Duration::from_millis(300);
            let error = run("while True: pass", 4.0, wait).await.unwrap().error.unwrap();
            let rest =
                error.strip_prefix("Execution timeout after 4 s (it had waited for other runs of this session for ");
            let rest = rest.and_then(|rest| rest.strip_suffix(" s left)")).unwrap_or_else(|| panic!("{error}"));
            let (waited, left) = rest.split_once(" s, and had ").unwrap();
            let [waited, left] = [waited, left].map(|seconds| seconds.parse::<f64>().unwrap());
            assert!(waited >= 0.3 && (waited + left - 4.0).abs() < 0.11, "{error}");

            let refusal = run("late = 1", 1.2, wait).await.unwrap_err();
            assert!(refusal.ends_with("this one was not started"), "{refusal}");
            assert_eq!(main_result(&session.python("'late' in dir()").await), "False");
        })
        .await;
    }

    #[tokio::test]
    async fn a_limit_may_be_longer_than_time_lasts() {
        in_both_modes(|mut session| async move {
            session.limits.time = Duration::MAX;
            for limit in [1e19, 1e300] {
                assert_eq!(main_result(&session.run_for("python", "1 + 1", limit).await), "2");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn python_shows_no_method_that_is_there_by_accident() {
        in_both_modes(|session| async move {
            for name in ["Mock", "MagicMock"] {
                let answer = session.python(&format!("from unittest.mock import {name}\n{name}(name='it')")).await;
                let result = &answer["result"][0];
                assert_eq!(answer["executionError"], json!(null), "{answer}");
                assert!(result["text/plain"].as_str().unwrap().contains("it"), "{answer}");
                assert_eq!(result.get("image/png"), None, "{answer}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn python_magics_within_a_string_are_text() {
        in_both_modes(|session| async move {
            let answer = session.python("!echo said\ntext = '''\n%d\n!x\n'''\n%matplotlib inline\ntext").await;
            assert_eq!(
                (text(&answer, "stdout").as_str(), main_result(&answer)),
                ("said\n", r"'\n%d\n!x\n'"),
                "{answer}"
            );
        })
        .await;
    }

    #[tokio::test]
    async fn python_magics_have_no_value() {
        in_both_modes(|session| async move {
            session.python("7").await;
            let answer = session.python("!echo said; exit 3").await;
            assert_eq!((text(&answer, "stdout").as_str(), &answer["result"]), ("said\n", &json!([])), "{answer}");
            assert_eq!(session.python("%pip --version").await["result"], json!([]));
            assert_eq!(main_result(&session.python("_").await), "7");
        })
        .await;
    }

    #[tokio::test]
    async fn python_shows_charts() {
        // The system's Python may have it where the first on PATH does not.
        let has_it = |python: &&str| {
            let asked = std::process::Command::new(python).args(["-c", "import matplotlib"]).output();
            asked.is_ok_and(|answer| answer.status.success())
        };
        let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(has_it) else {
            eprintln!("skipped: needs matplotlib");
            return;
        };
        let python = python.starts_with('/').then(|| python.into());
        in_both_modes_with(HostOptions { python, ..HostOptions::default() }, |session| async move {
            let code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.plot([2, 1])\nplt.savefig('/tmp/agb-plot.png')\n'shown'";
            // Its first import makes a list of the machine's fonts.
            let answer = session.run_for("python", code, 120.0).await;
            let items = answer["result"].as_array().unwrap();
            assert_eq!(items.iter().filter(|item| item["image/png"].as_str().is_some_and(|png| png.starts_with("iVBOR"))).count(), 2);
            assert_eq!(main_result(&answer), "'shown'");
            session.shell("rm /tmp/agb-plot.png").await;
        })
        .await;
    }

    #[tokio::test]
    async fn python_awaits_at_the_top_and_survives_forks() {
        in_both_modes(|session| async move {
            let answer = session.python("import asyncio\nawait asyncio.sleep(0, 'done')").await;
            assert_eq!(main_result(&answer), "'done'");
            let forked = session
                .python("import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nprint('parent' if pid else 'child')")
                .await;
            assert_eq!(text(&forked, "stdout"), "child\nparent\n");
            let shell = session.python("!echo from-shell").await;
            assert_eq!(text(&shell, "stdout"), "from-shell\n");
            let odd = session.python("float('nan'), '\\udc80'").await;
            assert_eq!(odd["executionError"], json!(null));
        })
        .await;
    }

    /// Whether the machine has the language; says so on standard error where it has not.
    fn has(session: &Session, language: Language, need: &str) -> bool {
        let found = session.host.interpreter(language);
        if let Err(reason) = &found {
            eprintln!("skipped: needs {need}: {reason}");
        }
        found.is_ok()
    }

    /// Runs code that goes on until it is interrupted. Where a busy machine left it no time to print what it begins with, all
    /// is done again with twice the time.
    async fn run_over_its_limit(session: &Session, language: &str, setup: &str, code: &str, begins: &str) -> String {
        let mut limit_s = 3;
        loop {
            session.run(language, setup).await;
            let answer = session.run_for(language, code, f64::from(limit_s)).await;
            if text(&answer, "stdout") == begins {
                let error = answer["executionError"].as_str().unwrap();
                let rest = error.strip_prefix(&format!("Execution timeout after {limit_s} s"));
                return rest.unwrap_or_else(|| panic!("{code}: {answer}")).to_owned();
            }
            limit_s *= 2;
            assert!(limit_s <= 24, "{code}: {answer}");
        }
    }

    #[tokio::test]
    async fn java_keeps_its_state_and_shows_the_last_value() {
        in_both_modes(|session| async move {
            if !has(&session, Language::Java, "jdk") {
                return;
            }
            let java = async |code: &str| session.run("java", code).await;
            let first = java("System.out.println(\"Java is supported: ä\");\nint counter = 42;").await;
            assert_eq!(text(&first, "stdout"), "Java is supported: ä\n");
            assert_eq!((&first["result"], &first["executionError"]), (&json!([]), &json!(null)));
            assert_eq!(java("counter = 50;").await["result"], json!([]));
            assert_eq!(
                main_result(&java("import java.time.*;\nfor (int i = 0; i < 2; i++) { counter++; }\ncounter").await),
                "52"
            );
            let program =
                "public class Main { public static void main(String[] args) { System.out.println(\"main\"); } }";
            assert_eq!(text(&java(program).await, "stdout"), "main\n");
            for (code, part) in [
                ("int z = 1 / 0;", "java.lang.ArithmeticException: / by zero"),
                ("nope", "cannot find symbol"),
                ("foo(", "error: "),
                ("throw new Error(\"ä\".repeat(2_000_000));", "java.lang.Error: ää"),
            ] {
                let answer = java(code).await;
                assert!(answer["executionError"].as_str().unwrap().contains(part), "{code}: {answer}");
                assert!(!text(&answer, "stderr").is_empty(), "{code}: {answer}");
            }
            let code = "System.out.println(\"begun\"); while (true) {} System.out.println(\"more\");";
            assert_eq!(run_over_its_limit(&session, "java", "int x = 5;", code, "begun\n").await, "");
            assert_eq!(main_result(&java("x").await), "5");
            let gone = java("System.exit(3);").await;
            assert!(gone["executionError"].as_str().unwrap().contains("its state is lost"), "{gone}");
            assert_eq!(main_result(&java("1 + 1").await), "2");
        })
        .await;
    }

    #[tokio::test]
    async fn r_keeps_its_state_and_shows_the_last_value() {
        in_both_modes(|session| async move {
            if !has(&session, Language::R, "r") {
                return;
            }
            let r = async |code: &str| session.run("r", code).await;
            let first = r("y <- 99\ncat('R ä\\n')").await;
            assert_eq!((text(&first, "stdout").as_str(), &first["executionError"]), ("R ä\n", &json!(null)));
            assert_eq!(text(&r("cat(y)").await, "stdout"), "99");
            let values = r("y + 1\nmean(c(1, 2, 6))").await;
            assert_eq!((text(&values, "stdout").as_str(), main_result(&values)), ("[1] 100\n", "[1] 3"));
            assert_eq!(r("# Just a comment").await["result"], json!([]));
            assert!(main_result(&r("lm(mpg ~ wt, data = mtcars)").await).contains("37.285"));
            let plot = r("plot(1:10)").await;
            assert!(plot["result"][0]["image/png"].as_str().unwrap().starts_with("iVBOR"), "{plot}");
            for (code, part) in [
                ("nope", "object 'nope' not found"),
                ("log('a')", "non-numeric argument"),
                ("1 +", "unexpected end of input"),
                ("readline('?')", "no standard input"),
                ("stop(strrep('ab', 1e6))", "Error: abab"),
            ] {
                let answer = r(code).await;
                assert!(answer["executionError"].as_str().unwrap().contains(part), "{code}: {answer}");
                assert!(text(&answer, "stderr").contains(part), "{code}: {answer}");
            }
            assert!(text(&r("warning('careful')").await, "stderr").contains("careful"));
            assert_eq!(r("quit()").await["executionError"], json!(null));
            for code in ["cat('begun\\n'); while (TRUE) {}", "cat('begun\\n'); system('sleep 100')"] {
                assert_eq!(run_over_its_limit(&session, "r", "x <- 5", code, "begun\n").await, "", "{code}");
                assert_eq!(text(&r("cat(x)").await, "stdout"), "5");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn javascript_keeps_its_state_and_redeclares() {
        in_both_modes(|session| async move {
            let first = session.javascript("const data = { value: 21 };\nconsole.log('hi');\ndata.value * 2;").await;
            assert_eq!((text(&first, "stdout").as_str(), main_result(&first)), ("hi\n", "42"));
            let again = session.javascript("const data = await Promise.resolve([1, 'zwei']); data").await;
            assert_eq!(main_result(&again), "[ 1, 'zwei' ]");
            assert_eq!(again["result"][0]["application/json"], json!([1, "zwei"]));
            let mixed = session
                .javascript("const fs = require('fs'); const os = await import('os');\nimport path, { join as j } from 'node:path';\nrequire('child_process').execSync('echo sub', { stdio: 'inherit' }); [typeof fs.readFileSync, os.EOL, j('a', 'b'), path.sep, \"import('x')\"]")
                .await;
            assert_eq!(main_result(&mixed), "[ 'function', '\\n', 'a/b', '/', \"import('x')\" ]", "{mixed}");
            assert_eq!(text(&mixed, "stdout"), "sub\n");
            let asynchronous = session.javascript("async function main() { await null; console.log('in main'); return 7 }\nmain()").await;
            assert_eq!((text(&asynchronous, "stdout").as_str(), main_result(&asynchronous)), ("in main\n", "7"));
            assert_eq!(session.javascript("// nothing").await["result"], json!([]));
            assert_eq!(session.javascript("display({ 'text/html': '<b>' })").await["result"][0]["text/html"], "<b>");
        })
        .await;
    }

    #[tokio::test]
    async fn javascript_imports_beside_any_text() {
        in_both_modes(|session| async move {
            let code = r#"
const quotes = /['"`]\/[/'"]/g; // it's
const half = (4 + 4) / 2, other = half / 2; let n = 2; const ratio = n++ / 2 / 1;
const split = 'a"b'.split(/* " */ /"/), kind = typeof /import('x')/;
const nested = `${`it's ${(await import('os')).EOL.length} {`} import('y') ${{ a: '}' }.a}`;
import { sep } from 'path';
[half, other, ratio, split.length, kind, nested, sep, quotes.source, (await import("os")).EOL]"#;
            let answer = session.javascript(code).await;
            let expected = json!([4, 2, 1, 2, "object", "it's 1 { import('y') }", "/", r#"['"`]\/[/'"]"#, "\n"]);
            assert_eq!(answer["result"][0]["application/json"], expected, "{answer}");
        })
        .await;
    }

    #[tokio::test]
    async fn javascript_may_do_with_global_names_what_it_likes() {
        in_both_modes(|session| async move {
            session.javascript("var kept = 7").await;
            let names = "JSON Buffer Object Array Promise Error Number String process performance ArrayBuffer Atomics";
            for name in names.split(' ') {
                session.run_for("javascript", &format!("const kept{name} = {name}; {name} = null; 1"), 30.0).await;
            }
            let answer = session.run_for("javascript", "display('shown'); [kept]", 30.0).await;
            assert_eq!((&answer["executionError"], main_result(&answer)), (&json!(null), "[ 7 ]"), "{answer}");
            let hostile = "throw Object.defineProperty(new keptError('x'), 'stack', { get() { throw 1 } })";
            let code = format!("Object = keptObject; {hostile}");
            let answer = session.run_for("javascript", &code, 30.0).await;
            assert_eq!(answer["executionError"], "the error cannot be told");
            assert_eq!(main_result(&session.run_for("javascript", "kept", 30.0).await), "7");
        })
        .await;
    }

    #[tokio::test]
    async fn javascript_errors_name_themselves_and_late_ones_are_reported() {
        in_both_modes(|session| async move {
            let error = session.javascript("function f() { throw new TypeError('boo') }\nf()").await;
            assert_eq!(error["executionError"], "TypeError: boo");
            let stack = text(&error, "stderr");
            assert!(stack.contains("cell-1.js:1:22") && !stack.contains("node:inspector"), "{stack}");
            for (code, part) in [("let q = (", "SyntaxError"), ("throw 5", "Uncaught 5"), ("nope", "nope is not defined"), ("process.exit(3)", "process.exit(3)")] {
                let answer = session.javascript(code).await;
                assert!(answer["executionError"].as_str().unwrap().contains(part), "{code}: {answer}");
            }
            assert_eq!(session.javascript("process.exit(0)").await["executionError"], json!(null));
            let late = session.javascript("setTimeout(() => { throw new Error('late') }); Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 50)); 1").await;
            assert_eq!(main_result(&late), "1");
            assert!(text(&late, "stderr").contains("late") && text(&late, "stderr").contains("lost"), "{late}");
            // Last, as Node may write what is that long on standard error when the run has ended.
            let long = session.javascript("throw new Error('\\0'.repeat(2e6))").await;
            assert!(long["executionError"].as_str().unwrap().starts_with("Error: \0\0"), "{long}");
        })
        .await;
    }

    #[tokio::test]
    async fn a_run_over_its_limit_is_interrupted_and_keeps_the_state() {
        in_both_modes(|session| async move {
            for (language, setup, code) in [
                ("python", "x = 5", "print('so far')\nwhile True: pass"),
                ("python", "x = 5", "print('so far')\nimport os; os.system('sleep 100')\nimport time; time.sleep(100)"),
                // As after gevent's patch: what is started as a thread does not run beside the cell.
                (
                    "python",
                    "import threading; x = 5; threading.Thread.start = lambda self: None",
                    "print('so far')\nwhile True: pass",
                ),
                ("javascript", "let x = 5", "console.log('so far'); while (true) {}"),
                ("javascript", "let x = 5", "console.log('so far'); await new Promise((r) => setTimeout(r, 1e6))"),
                ("javascript", "let x = 5", "console.log('so far'); require('child_process').execSync('sleep 100')"),
            ] {
                let end = run_over_its_limit(&session, language, setup, code, "so far\n").await;
                assert_eq!(end, "", "{code}");
                assert_eq!(main_result(&session.run(language, "x").await), "5");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn an_interrupt_is_not_lost_before_its_run_and_hits_no_other() {
        in_both_modes(|session| async move {
            // What hogs the interpreter keeps a run from beginning before its interrupt comes.
            let hog = "import sys, threading\nx = 5\nsys.setswitchinterval(0.01)\ndef hog():\n    while True: pass\n\
                       threading.Thread(target=hog, daemon=True).start()";
            for (language, setup, code) in [
                ("python", hog, "while True: pass"),
                ("javascript", "let x = 5", "await new Promise((r) => setTimeout(r, 1e6))"),
            ] {
                session.run(language, setup).await;
                for round in 0..5 {
                    let answer = session.run_for(language, code, 0.001).await;
                    assert_eq!(answer["executionError"], "Execution timeout after 0.001 s", "{round}");
                    assert_eq!(main_result(&session.run(language, "x").await), "5");
                }
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_run_that_resists_the_interruption_is_killed_and_the_state_is_lost() {
        in_both_modes(|session| async move {
            let code = "import time\nprint('here', flush=True)\nwhile True:\n    try:\n        time.sleep(100)\n    except KeyboardInterrupt: pass";
            let end = run_over_its_limit(&session, "python", "x = 5", code, "here\n").await;
            assert!(end.contains("state is lost"), "{end}");
            let next = session.python("'x' in globals()").await;
            assert_eq!((main_result(&next), next["execution_count"].as_u64()), ("False", Some(1)));
        })
        .await;
    }

    #[tokio::test]
    async fn an_interpreter_that_dies_says_so_and_a_new_one_starts() {
        in_both_modes(|session| async move {
            for (language, code) in [
                ("python", "import os\nprint('last words', flush=True)\nos._exit(3)"),
                ("python", "import os, subprocess\nsubprocess.Popen(['sleep', '300'])\nprint('last words', flush=True)\nos.kill(os.getpid(), 11)"),
                ("javascript", "console.log('last words'); process.kill(process.pid, 'SIGKILL')"),
            ] {
                let answer = session.run(language, code).await;
                let error = answer["executionError"].as_str().unwrap();
                assert!(error.contains("ended during the run") && error.contains("state is lost"), "{error}");
                assert_eq!(text(&answer, "stdout"), "last words\n");
                assert_eq!(main_result(&session.run(language, "1 + 1").await), "2");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn output_and_results_are_cut_at_the_limit() {
        in_both_modes(|mut session| async move {
            session.limits.output_bytes = 20_000;
            let code = "import sys\nprint('\\0' * 50_000)\nprint('so', file=sys.stderr)\nfor n in range(99):\n    display('y' * 4_000)\n'z' * 4_000";
            let output = session.run_with(json!({ "language": "python", "code": code })).await;
            assert!(!output.is_error && output.text.len() <= 20_000, "{}", output.text.len());
            let answer: serde_json::Value = serde_json::from_str(&output.text).unwrap();
            assert!(text(&answer, "stdout").contains("\0\0\n[output cut at the limit of 20000 bytes; "), "{answer}");
            assert_eq!(text(&answer, "stderr"), "so\n");
            let results = answer["result"].as_array().unwrap();
            // Two that had room, ten notes of others, and one of the main result.
            assert_eq!(results.len(), 13, "{answer}");
            assert!(results[11]["text/plain"].as_str().unwrap().contains("was dropped"), "{answer}");
            assert!(main_result(&answer).contains("was dropped"), "{answer}");
            let last = session.python("'z' * 90_000").await;
            assert!(last["result"][0]["text/plain"].as_str().unwrap().contains("was dropped"), "{last}");
            assert_eq!(main_result(&session.python("'kept'").await), "'kept'");
        })
        .await;
    }

    #[tokio::test]
    async fn half_a_character_costs_no_state() {
        in_both_modes(|session| async move {
            session.javascript("var kept = 7").await;
            for (code, part) in [
                ("throw new Error('🙂'.repeat(6000))", "Error: 🙂"),
                ("throw new Error('x' + '🙂'.repeat(6000))", "Error: x🙂"),
                ("throw new Error('\\ud83d')", "Error: \u{fffd}"),
                ("throw '🙂'.repeat(6000)", "Uncaught '🙂"),
            ] {
                let answer = session.javascript(code).await;
                assert!(answer["executionError"].as_str().unwrap().starts_with(part), "{code}: {answer}");
            }
            let halves = session.javascript(r"[{ '\ud83d': '\udc00' }, '\\ud83d', '\\\ud83d', '🙂']").await;
            let data = &halves["result"][0]["application/json"];
            assert_eq!(data, &json!([{ "\u{fffd}": "\u{fffd}" }, r"\ud83d", "\\\u{fffd}", "🙂"]), "{halves}");
            assert_eq!(main_result(&session.javascript("kept").await), "7");
            if !has(&session, Language::Java, "jdk") {
                return;
            }
            session.run("java", "int kept = 7;").await;
            for code in ["\"🙂\".repeat(6000)", "\"x\" + \"🙂\".repeat(6000)", r#""\ud83d""#] {
                let answer = session.run("java", &format!("throw new Error({code});")).await;
                assert!(answer["executionError"].as_str().unwrap().starts_with("java.lang.Error: "), "{answer}");
            }
            assert_eq!(main_result(&session.run("java", r#""\ud83d""#).await), "\"\u{fffd}\"");
            assert_eq!(main_result(&session.run("java", "kept").await), "7");
        })
        .await;
    }

    #[tokio::test]
    async fn what_no_answer_can_hold_is_named_and_costs_no_state() {
        in_both_modes(|session| async move {
            let deep = session.javascript("var kept = []; for (let n = 0; n < 500; n++) kept = [kept]; kept").await;
            assert!(deep["result"][0]["text/plain"].as_str().unwrap().contains("could not be read"), "{deep}");
            assert_eq!(main_result(&session.javascript("kept.length").await), "1");
        })
        .await;
    }

    #[tokio::test]
    async fn a_failure_is_told_where_an_answer_has_little_room() {
        in_both_modes(|mut session| async move {
            session.limits.output_bytes = 1_500;
            let answer = session.python("print('x' * 900)\nraise ValueError('y' * 900)").await;
            assert!(answer["executionError"].as_str().unwrap().starts_with("ValueError: yyy"), "{answer}");
            assert!(text(&answer, "stdout").starts_with("xxx"), "{answer}");
        })
        .await;
    }

    #[tokio::test]
    async fn arguments_are_checked() {
        in_both_modes(|session| async move {
            for (args, part) in [
                (json!({ "language": "python" }), "`code` is missing"),
                (json!({ "code": 1, "language": "python" }), "`code` must be a string"),
                (json!({ "code": "  ", "language": "python" }), "`code` is empty"),
                (json!({ "code": "1" }), "`language` is missing"),
                (json!({ "code": "1", "language": "ruby" }), "Unsupported language: ruby"),
                (json!({ "code": "1", "language": "python", "timeout_s": "5" }), "`timeout_s` must be a number"),
                (json!({ "code": "1", "language": "python", "timeout_s": 0 }), "more than 0"),
            ] {
                let output = session.run_with(args.clone()).await;
                assert!(output.is_error && output.text.contains(part), "{args}: {}", output.text);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_release_ends_a_run_and_names_the_session() {
        in_both_modes(|session| async move {
            let args = json!({ "code": "print(open('/proc/self/stat').read() if False else 1)\nimport time\nopen('started', 'w').close()\ntime.sleep(300)", "language": "python" });
            let running = { let session = session.clone(); tokio::spawn(async move { session.run_with(args).await }) };
            eventually("the run has started", async || session.shell("test -e started").await["exit_code"] == 0).await;
            session.sandbox.stop().await;
            let output = running.await.unwrap();
            assert!(output.is_error && output.text.contains("session s-test has been released"), "{}", output.text);
            let after = session.run_with(json!({ "code": "1", "language": "python" })).await;
            assert!(after.text.contains("session s-test has been released"), "{}", after.text);
        })
        .await;
    }

    #[tokio::test]
    async fn two_hundred_runs_in_ten_sessions() {
        in_both_modes(|session| async move {
            let sandboxes: Vec<Sandbox> =
                (0..10).map(|index| Sandbox::new(session.host.clone(), &format!("s-{index}"))).collect();
            let mut runs = tokio::task::JoinSet::new();
            for number in 0..200 {
                let session = Session { sandbox: sandboxes[number % 10].clone(), ..session.clone() };
                runs.spawn(async move {
                    let answer = session.python(&format!("print('a{number}')\n{number} * 2")).await;
                    assert_eq!(main_result(&answer), (number * 2).to_string());
                    assert_eq!(text(&answer, "stdout"), format!("a{number}\n"));
                });
            }
            while let Some(run) = runs.join_next().await {
                run.unwrap();
            }
            for sandbox in &sandboxes {
                sandbox.stop().await;
            }
        })
        .await;
    }

    #[tokio::test]
    async fn languages_run_side_by_side_and_one_language_in_turn() {
        in_both_modes(|session| async move {
            session.python("order = []").await;
            session.javascript("1").await;
            let started = Instant::now();
            let (first, second, other) = tokio::join!(
                session.python("import time; order.append(1); time.sleep(0.5); order.append(2)"),
                session.python("order.append(3); order"),
                session.javascript("await new Promise((r) => setTimeout(r, 300)); 'js'"),
            );
            assert_eq!(first["executionError"], json!(null));
            assert_eq!((main_result(&second), main_result(&other)), ("[1, 2, 3]", "'js'"));
            assert!(started.elapsed() < Duration::from_secs(20));
        })
        .await;
    }
}
