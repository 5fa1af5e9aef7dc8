//! Applications: what can be started, what runs, and its end.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::desktop::{Desktop, MARKER, USUAL_LIMIT};
use super::windows;
use crate::sandbox::OutputPipe;

const LIST: &str = include_str!("applications.sh");
const PROCESSES: &str = include_str!("processes.sh");
/// How long a started application may take to show a window; one without a window is answered after that.
const WINDOW_LIMIT: Duration = Duration::from_secs(8);
/// How long a process may take to end by itself before it is killed.
const END_LIMIT: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const ERROR_BYTES: usize = 4096;
/// Marks the processes of one started application, also those that leave their parents.
const APP_MARKER: &str = "AGB_APP";
/// The kernel cuts the names of processes.
const NAME_BYTES: usize = 15;

/// Applications that every desktop with the program has: name, program, command.
const BUILT_IN: &[(&str, &str, &str)] = &[
    ("Terminal", "xterm", "xterm"),
    ("Google Chrome", "google-chrome", "google-chrome --no-sandbox --no-first-run"),
    ("Google Chrome", "chromium", "chromium --no-sandbox --no-first-run"),
    ("System Monitor", "xterm", "xterm -T 'System Monitor' -e top"),
    ("Text Editor", "xterm", "xterm -T 'Text Editor' -e vi"),
    ("Shell with Large Letters", "xterm", "xterm -T 'Large Letters' -fs 18"),
];

/// Kept where Chromium can't make a sandbox of its own.
const NO_SANDBOX: &str = " --no-sandbox";

/// An application that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
struct App {
    name: String,
    start_command: String,
    work_directory: Option<String>,
    is_system: bool,
}

impl App {
    /// Reads a description by freedesktop.org's rules; `None` for what can't be started or is not to be seen.
    fn read(text: &str) -> Option<App> {
        let entry = text.lines().skip_while(|line| line.trim() != "[Desktop Entry]").skip(1);
        let entry: Vec<&str> = entry.take_while(|line| !line.trim_start().starts_with('[')).collect();
        let member = |name: &str| {
            let lines = entry.iter().filter_map(|line| line.split_once('='));
            lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim()).find(|value| !value.is_empty())
        };
        if member("Type").is_some_and(|kind| kind != "Application") || member("Hidden") == Some("true") {
            return None;
        }
        let command = without_field_codes(member("Exec")?);
        let in_terminal = member("Terminal") == Some("true");
        Some(App {
            name: member("Name")?.to_owned(),
            start_command: if in_terminal { format!("xterm -e {command}") } else { command },
            work_directory: member("Path").map(str::to_owned),
            is_system: member("NoDisplay") == Some("true"),
        })
    }

    /// Of our own list: what the machine describes is started as it says.
    fn keep_own_sandbox(&mut self) {
        if BUILT_IN.iter().any(|(_, _, command)| *command == self.start_command) {
            self.start_command = self.start_command.replace(NO_SANDBOX, "");
        }
    }

    fn to_json(&self) -> Value {
        match &self.work_directory {
            None => json!({"name": self.name, "start_cmd": self.start_command}),
            Some(directory) => {
                json!({"name": self.name, "start_cmd": self.start_command, "work_directory": directory})
            }
        }
    }
}

/// Leaves out what stands for files and icons, of which there are none.
fn without_field_codes(command: &str) -> String {
    let words = command.split(' ').filter(|word| {
        let mut characters = word.chars();
        !(characters.next() == Some('%') && characters.next().is_some_and(|code| code != '%'))
    });
    words.collect::<Vec<_>>().join(" ").replace("%%", "%").trim().to_owned()
}

/// The applications of the start menu and of the desktop, those that every desktop has first.
pub(super) async fn installed(
    desktop: &Desktop,
    start_menu: bool,
    on_desktop: bool,
    ignore_system: bool,
) -> Result<Vec<Value>, String> {
    let programs: Vec<&str> = BUILT_IN.iter().map(|(_, program, _)| *program).collect();
    let text = desktop.script(LIST, &programs).await?;
    let mut apps = select(&text, start_menu, on_desktop, ignore_system);
    if !desktop.is_confined {
        apps.iter_mut().for_each(App::keep_own_sandbox);
    }
    Ok(apps.iter().map(App::to_json).collect())
}

fn select(text: &str, start_menu: bool, on_desktop: bool, ignore_system: bool) -> Vec<App> {
    let (programs, descriptions) = text.split_once("=== ").unwrap_or((text, ""));
    let has = |program: &str| programs.lines().any(|line| line.strip_prefix("has ") == Some(program));
    let mut apps: Vec<App> = Vec::new();
    let mut add = |app: App| {
        if apps.iter().all(|known| known.name != app.name) {
            apps.push(app);
        }
    };
    if start_menu {
        for (name, program, command) in BUILT_IN.iter().filter(|(_, program, _)| has(program)) {
            let (name, start_command) = ((*name).to_owned(), (*command).to_owned());
            tracing::trace!("{program} is installed");
            add(App { name, start_command, work_directory: None, is_system: false });
        }
    }
    for description in descriptions.split("\n=== ") {
        let (place, description) = description.split_once('\n').unwrap_or_default();
        let is_wanted = if place == "menu" { start_menu } else { on_desktop };
        let app = App::read(description).filter(|app| is_wanted && !(app.is_system && ignore_system));
        if let Some(app) = app {
            add(app);
        }
    }
    apps
}

/// A process of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessInfo {
    pid: u32,
    name: String,
    command_line: String,
}

impl ProcessInfo {
    fn read(line: &str) -> Option<ProcessInfo> {
        let mut fields = line.splitn(3, '\t');
        let (pid, name) = (fields.next()?.parse().ok()?, fields.next()?.to_owned());
        Some(ProcessInfo { pid, name, command_line: fields.next()?.trim_end().to_owned() })
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"pname": self.name, "pid": self.pid, "cmdline": self.command_line})
    }

    /// By the name of the process, or that of its program, which may be longer.
    fn is_named(&self, name: &str) -> bool {
        let program = self.command_line.split(' ').next().unwrap_or_default();
        let cut = name.get(..NAME_BYTES).unwrap_or(name);
        self.name == name || (cut.len() < name.len() && self.name == cut) || program.rsplit('/').next() == Some(name)
    }
}

/// Starts an application and waits until it shows a window, for a while. The first of its processes is the one that
/// owns the window.
pub(super) async fn start(
    desktop: &Arc<Desktop>,
    command: &str,
    work_directory: Option<&str>,
) -> Result<Vec<ProcessInfo>, String> {
    let marker = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let (errors, ended) =
        launch(desktop, command, work_directory, &marker).map_err(|error| format!("{command}: {error}"))?;
    let marker = format!("{APP_MARKER}={marker}");
    let started = Instant::now();
    let mut last = Vec::new();
    loop {
        let has_ended = ended.borrow().clone();
        let mut processes = processes(desktop, &marker).await?;
        // The shell that only waits for the application comes last.
        processes.sort_by_key(|process| process.command_line == format!("/bin/sh -c {command}"));
        let owners: Vec<u32> = windows::list(desktop).await?.iter().map(|window| window.pid).collect();
        if processes.iter().any(|process| owners.contains(&process.pid)) {
            processes.sort_by_key(|process| !owners.contains(&process.pid));
            return Ok(processes);
        }
        if let (Some(status), true) = (has_ended, processes.is_empty()) {
            return gone_already(command, status, last, errors.take().text.trim());
        }
        if started.elapsed() > WINDOW_LIMIT {
            return Ok(processes);
        }
        last = processes;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

type Launched = (Arc<OutputPipe>, watch::Receiver<Option<Result<ExitStatus, String>>>);

fn launch(
    desktop: &Arc<Desktop>,
    command_line: &str,
    work_directory: Option<&str>,
    marker: &str,
) -> std::io::Result<Launched> {
    let mut invocation = desktop.application(command_line);
    if let Some(directory) = work_directory {
        invocation.directory = Some(directory.to_owned());
        invocation.no_directory = format!("{directory} is no directory that can be entered");
    }
    let mut command = desktop.command(&invocation);
    let (errors, writer) = OutputPipe::new(ERROR_BYTES)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(writer)).env(APP_MARKER, marker);
    let mut process = desktop.spawn(command)?;
    tokio::spawn(Arc::clone(&errors).read_to_end());
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let status = process.wait().await.map_err(|error| error.to_string());
        // Nobody may be waiting any more.
        let _ = sender.send(Some(status));
    });
    Ok((errors, receiver))
}

/// A command that has done its work at once is fine; one that failed is not.
fn gone_already(
    command: &str,
    status: Result<ExitStatus, String>,
    last: Vec<ProcessInfo>,
    errors: &str,
) -> Result<Vec<ProcessInfo>, String> {
    match status {
        Ok(status) if status.success() => Ok(last),
        Ok(status) => Err(format!("{command} ended at once ({status}): {errors}")),
        Err(error) => Err(format!("{command}: {error}")),
    }
}

async fn processes(desktop: &Desktop, marker: &str) -> Result<Vec<ProcessInfo>, String> {
    let text = desktop.script(PROCESSES, &[marker, &format!("{MARKER}=")]).await?;
    let mut processes: Vec<ProcessInfo> = text.lines().filter_map(ProcessInfo::read).collect();
    processes.sort_by_key(|process| process.pid);
    Ok(processes)
}

/// The processes that own windows, in the order of their windows.
pub(super) async fn visible(desktop: &Desktop) -> Result<Vec<ProcessInfo>, String> {
    let processes = processes(desktop, &desktop.session_marker()).await?;
    let mut visible: Vec<ProcessInfo> = Vec::new();
    for window in windows::list(desktop).await? {
        let owner = processes.iter().find(|process| process.pid == window.pid);
        visible.extend(owner.filter(|owner| !visible.contains(owner)).cloned());
    }
    Ok(visible)
}

pub(super) async fn stop_by_name(desktop: &Desktop, name: &str) -> Result<(), String> {
    stop(desktop, Meant::Name(name)).await
}

pub(super) async fn stop_by_pid(desktop: &Desktop, pid: u32) -> Result<(), String> {
    stop(desktop, Meant::Pid(pid)).await
}

/// Runs a command that is to stop something.
pub(super) async fn stop_by_command(desktop: &Desktop, command: &str) -> Result<(), String> {
    let output = desktop.output_of(&["/bin/sh", "-c", command], USUAL_LIMIT).await?;
    if output.success { Ok(()) } else { Err(format!("{command} failed: {}", output.stderr.trim())) }
}

/// Which processes are to end.
#[derive(Debug, Clone, Copy)]
enum Meant<'a> {
    Name(&'a str),
    Pid(u32),
}

impl Meant<'_> {
    async fn pids(self, desktop: &Desktop) -> Result<Vec<String>, String> {
        let is_meant = |process: &&ProcessInfo| match self {
            Meant::Name(name) => process.is_named(name),
            Meant::Pid(pid) => process.pid == pid,
        };
        let processes = processes(desktop, &desktop.session_marker()).await?;
        Ok(processes.iter().filter(is_meant).map(|process| process.pid.to_string()).collect())
    }

    fn none(self) -> String {
        match self {
            Meant::Name(name) => format!("no process of this session is named {name}"),
            Meant::Pid(pid) => format!("no process of this session has the number {pid}"),
        }
    }
}

/// Asks processes to end, then makes them.
async fn stop(desktop: &Desktop, meant: Meant<'_>) -> Result<(), String> {
    let mut pids = meant.pids(desktop).await?;
    if pids.is_empty() {
        return Err(meant.none());
    }
    let started = Instant::now();
    while !pids.is_empty() {
        if started.elapsed() > END_LIMIT * 2 {
            return Err(format!("the processes {} do not end", pids.join(", ")));
        }
        let signal = if started.elapsed() > END_LIMIT { "-KILL" } else { "-TERM" };
        let words: Vec<&str> = ["kill", signal].into_iter().chain(pids.iter().map(String::as_str)).collect();
        // Fails for one that has ended by now.
        desktop.script("\"$@\" 2>/dev/null || :", &words).await?;
        tokio::time::sleep(LOOK_EVERY).await;
        pids = meant.pids(desktop).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "has xterm
=== menu
[Desktop Entry]
Type=Application
Name=Drawing
Name[de]=Zeichnen
Exec=draw --file %f %%x %U
Path=/srv/draw
[Desktop Action other]
Exec=no

=== menu
[Desktop Entry]
Type=Application
Name=Settings
Exec=settings
NoDisplay=true

=== menu
[Desktop Entry]
Type=Link
Name=Page
URL=https://example.org

=== menu
[Desktop Entry]
Name=Mail
Exec=mutt
Terminal=true

=== desktop
[Desktop Entry]
Type=Application
Name=Notes
Exec=notes
";

    fn names(apps: &[App]) -> Vec<&str> {
        apps.iter().map(|app| app.name.as_str()).collect()
    }

    #[test]
    fn applications_are_read_by_their_descriptions() {
        let apps = select(TEXT, true, false, true);
        let built_in = ["Terminal", "System Monitor", "Text Editor", "Shell with Large Letters"];
        assert_eq!(names(&apps)[..4], built_in);
        assert_eq!(names(&apps)[4..], ["Drawing", "Mail"]);
        assert_eq!(
            apps[4].to_json(),
            json!({"name": "Drawing", "start_cmd": "draw --file %x", "work_directory": "/srv/draw"})
        );
        assert_eq!(apps[5].start_command, "xterm -e mutt");
    }

    #[test]
    fn a_browser_keeps_its_own_sandbox_where_it_can_have_one() {
        let mut apps = select("has chromium\n", true, false, true);
        assert_eq!(apps[0].start_command, "chromium --no-sandbox --no-first-run");
        apps[0].keep_own_sandbox();
        assert_eq!(apps[0].start_command, "chromium --no-first-run");
    }

    #[test]
    fn the_places_asked_for_decide() {
        assert_eq!(names(&select(TEXT, false, true, true)), ["Notes"]);
        assert_eq!(names(&select(TEXT, false, false, true)), Vec::<&str>::new());
        assert!(names(&select(TEXT, true, true, false)).contains(&"Settings"));
        assert_eq!(names(&select("", true, true, false)), Vec::<&str>::new());
        assert_eq!(names(&select("has chromium\n", true, true, false)), ["Google Chrome"]);
    }

    #[test]
    fn processes_go_by_both_their_names() {
        let process = ProcessInfo::read("7\tgnome-calculato\t/usr/bin/gnome-calculator -x ").unwrap();
        assert_eq!(
            process.to_json().to_string(),
            r#"{"pname":"gnome-calculato","pid":7,"cmdline":"/usr/bin/gnome-calculator -x"}"#
        );
        for name in ["gnome-calculato", "gnome-calculator"] {
            assert!(process.is_named(name), "{name}");
        }
        for name in ["gnome", "x", ""] {
            assert!(!process.is_named(name), "{name}");
        }
        assert_eq!(ProcessInfo::read("x\ty\tz"), None);
    }
}
