//! The browser agent without a model: it answers what a test has told it to.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::tools::ToolOutput;

/// What every agent's tool says when nobody has told it what to answer.
const NO_MODEL: &str =
    "the browser agent needs a model, which this emulator has not; tell it what to answer with `scriptBrowserAgent`";

/// What an agent is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentTool {
    /// Do something on a page.
    Act,
    /// Find what can be acted on.
    Observe,
    /// Read data.
    Extract,
}

impl fmt::Display for AgentTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Act => "act",
            Self::Observe => "observe",
            Self::Extract => "extract",
        })
    }
}

impl FromStr for AgentTool {
    type Err = String;

    /// Reads a name; the error is what stands behind the name of the member.
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "act" => Ok(Self::Act),
            "observe" => Ok(Self::Observe),
            "extract" => Ok(Self::Extract),
            other => Err(format!("must be \"act\", \"observe\" or \"extract\", got {other:?}")),
        }
    }
}

/// What the agent answers to some of its calls.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentAnswer {
    /// To which.
    pub tool: AgentTool,
    /// Only to those whose action or instruction contains this.
    pub containing: Option<String>,
    /// The answer: JSON of the tool, or the text of its failure.
    pub answer: Result<Value, String>,
    /// How often a task says "not yet" first.
    pub pending_looks: u32,
    /// How often it is given; `None`: always.
    pub times: Option<u32>,
}

/// The answers, in the order in which they are tried.
#[derive(Debug, Default)]
pub(crate) struct Script(Mutex<Vec<AgentAnswer>>);

impl Script {
    /// Replaces all answers.
    pub(crate) fn set(&self, mut answers: Vec<AgentAnswer>) {
        for answer in answers.iter_mut().filter(|answer| answer.tool == AgentTool::Observe) {
            arguments_to_text(answer);
        }
        *self.lock() = answers;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<AgentAnswer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first answer that fits; it counts as given.
    fn take(&self, tool: AgentTool, words: &str) -> Option<AgentAnswer> {
        let mut answers = self.lock();
        let fits = |answer: &&mut AgentAnswer| {
            answer.tool == tool
                && answer.times != Some(0)
                && answer.containing.as_deref().is_none_or(|part| words.contains(part))
        };
        let found = answers.iter_mut().find(fits)?;
        found.times = found.times.map(|times| times.saturating_sub(1));
        Some(found.clone())
    }

    /// Without a script everything fails.
    fn answer(&self, tool: AgentTool, words: &str) -> AgentAnswer {
        self.take(tool, words).unwrap_or_else(|| {
            let answer = Err(NO_MODEL.to_owned());
            AgentAnswer { tool, containing: None, answer, pending_looks: 0, times: None }
        })
    }

    /// Answers at once.
    pub(crate) fn call(&self, tool: AgentTool, words: &str) -> ToolOutput {
        match self.answer(tool, words).answer {
            Ok(Value::String(text)) => ToolOutput::ok(text),
            Ok(answer) => ToolOutput::ok(answer.to_string()),
            Err(reason) => ToolOutput::error(reason),
        }
    }
}

/// The arguments of observed elements as JSON text: every client reads that, and the Python SDK nothing else.
fn arguments_to_text(answer: &mut AgentAnswer) {
    let Ok(Value::Array(elements)) = &mut answer.answer else { return };
    for arguments in elements.iter_mut().filter_map(|element| element.get_mut("arguments")) {
        if arguments.is_object() {
            *arguments = Value::String(arguments.to_string());
        }
    }
}

/// The tasks of a session.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<(u64, HashMap<String, AgentAnswer>)>);

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<String, AgentAnswer>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a task. One that would fail does not start.
    pub(crate) fn start(&self, script: &Script, tool: AgentTool, words: &str) -> ToolOutput {
        let answer = script.answer(tool, words);
        if let Err(reason) = &answer.answer {
            return ToolOutput::error(reason.clone());
        }
        let mut tasks = self.lock();
        tasks.0 += 1;
        let id = format!("{tool}-task-{}", tasks.0);
        tasks.1.insert(id.clone(), answer);
        ToolOutput::ok(json!({ "task_id": id }).to_string())
    }

    /// How a task stands. Its result may be asked for again.
    pub(crate) fn look(&self, tool: AgentTool, id: &str) -> ToolOutput {
        let mut tasks = self.lock();
        let Some(task) = tasks.1.get_mut(id).filter(|task| task.tool == tool) else {
            return ToolOutput::error(format!("there is no {tool} task {id}"));
        };
        if task.pending_looks > 0 {
            task.pending_looks -= 1;
            let not_yet = json!({ "steps": [], "is_done": false, "success": false });
            return ToolOutput::ok(if tool == AgentTool::Act { not_yet.to_string() } else { String::new() });
        }
        match &task.answer {
            Ok(answer) if tool == AgentTool::Act => ToolOutput::ok(finished(answer).to_string()),
            Ok(answer) => ToolOutput::ok(answer.to_string()),
            Err(reason) => ToolOutput::error(reason.clone()),
        }
    }
}

/// The result of an action: the answer where it has the shape of one, else one that succeeded with it as its only step.
fn finished(answer: &Value) -> Value {
    let mut result = match answer {
        Value::Object(result) if result.contains_key("steps") => result.clone(),
        other => json!({ "steps": [other] }).as_object().cloned().unwrap_or_default(),
    };
    for member in ["is_done", "success"] {
        result.entry(member).or_insert(Value::Bool(true));
    }
    Value::Object(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(tool: AgentTool, containing: Option<&str>, answer: Result<Value, &str>) -> AgentAnswer {
        AgentAnswer {
            tool,
            containing: containing.map(str::to_owned),
            answer: answer.map_err(str::to_owned),
            pending_looks: 0,
            times: None,
        }
    }

    fn script(answers: Vec<AgentAnswer>) -> Script {
        let script = Script::default();
        script.set(answers);
        script
    }

    #[test]
    fn without_a_script_it_needs_a_model() {
        let script = Script::default();
        for tool in [AgentTool::Act, AgentTool::Observe, AgentTool::Extract] {
            let output = script.call(tool, "x");
            assert!(output.is_error && output.text.contains("needs a model"), "{output:?}");
            assert!(Tasks::default().start(&script, tool, "x").is_error);
        }
    }

    #[test]
    fn the_first_answer_that_fits_is_given_as_often_as_it_says() {
        let once = AgentAnswer { times: Some(1), ..answer(AgentTool::Act, Some("buy"), Ok(json!("bought"))) };
        let script = script(vec![
            once,
            answer(AgentTool::Act, Some("buy"), Err("sold out")),
            answer(AgentTool::Extract, None, Ok(json!({"n": 1}))),
        ]);
        assert_eq!(script.call(AgentTool::Act, "buy it"), ToolOutput::ok("bought"));
        assert_eq!(script.call(AgentTool::Act, "buy it"), ToolOutput::error("sold out"));
        assert!(script.call(AgentTool::Act, "sell it").text.contains("needs a model"));
        assert_eq!(script.call(AgentTool::Extract, "any"), ToolOutput::ok(r#"{"n":1}"#));
    }

    #[test]
    fn a_task_is_pending_as_often_as_its_answer_says() {
        let pending = |tool, value| AgentAnswer { pending_looks: 1, ..answer(tool, None, Ok(value)) };
        let script = script(vec![
            pending(AgentTool::Act, json!("clicked")),
            pending(AgentTool::Extract, json!({"steps": "mine"})),
        ]);
        let tasks = Tasks::default();
        tasks.start(&script, AgentTool::Act, "x");
        tasks.start(&script, AgentTool::Extract, "x");
        assert!(tasks.look(AgentTool::Act, "act-task-1").text.contains(r#""is_done":false"#));
        let done = r#"{"steps":["clicked"],"is_done":true,"success":true}"#;
        assert_eq!(tasks.look(AgentTool::Act, "act-task-1"), ToolOutput::ok(done));
        assert_eq!(tasks.look(AgentTool::Extract, "extract-task-2"), ToolOutput::ok(""));
        assert_eq!(tasks.look(AgentTool::Extract, "extract-task-2"), ToolOutput::ok(r#"{"steps":"mine"}"#));
        assert!(tasks.look(AgentTool::Act, "extract-task-2").is_error);
        assert!(tasks.look(AgentTool::Act, "none").is_error);
    }

    #[test]
    fn arguments_of_observed_elements_are_sent_as_text() {
        let elements = json!([{"method": "click", "arguments": {"n": 1}}, {"arguments": "{}"}, {"method": "none"}, 7]);
        let script = script(vec![answer(AgentTool::Observe, None, Ok(elements))]);
        let sent = r#"[{"method":"click","arguments":"{\"n\":1}"},{"arguments":"{}"},{"method":"none"},7]"#;
        assert_eq!(script.call(AgentTool::Observe, "x"), ToolOutput::ok(sent));
        let tasks = Tasks::default();
        tasks.start(&script, AgentTool::Observe, "x");
        assert_eq!(tasks.look(AgentTool::Observe, "observe-task-1"), ToolOutput::ok(sent));
    }

    #[test]
    fn an_action_may_say_that_it_failed() {
        let failed = finished(&json!({"steps": [], "success": false}));
        assert_eq!(failed, json!({"steps": [], "success": false, "is_done": true}));
    }
}
