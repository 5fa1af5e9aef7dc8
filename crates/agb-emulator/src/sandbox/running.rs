//! A started sandbox: runs commands where the session lives, and ends them all.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::fchown;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Pid;
use tokio::process::Command;

use super::base::remove_tree;
use super::host::Host;
use super::namespace::{Namespace, Plan, search_path};
use super::plain::Plain;
use super::process::{Invocation, START};
use super::{NAMESPACE_HOME, SandboxFiles, USER_NAME};

#[derive(Debug)]
enum Kind {
    Namespace(Namespace),
    Plain(Plain),
}

/// A sandbox whose processes may be started.
#[derive(Debug)]
pub(crate) struct Running {
    kind: Kind,
    user: Option<(u32, u32)>,
    /// The session's own directory, on the host.
    directory: PathBuf,
    /// As the session sees it.
    home: PathBuf,
    /// As the session sees it.
    tmp: PathBuf,
    search_path: OsString,
    /// What later commands find in their environment beside the usual.
    variables: Mutex<Vec<(&'static str, String)>>,
}

impl Running {
    pub(super) async fn start(host: &Host, session_id: &str) -> io::Result<Running> {
        let directory = host.base().session_directory(session_id)?;
        let started = Running::start_in(host, &directory).await;
        if started.is_err() {
            remove_tree(&directory);
        }
        started
    }

    async fn start_in(host: &Host, directory: &Path) -> io::Result<Running> {
        let interpreters = host.interpreters();
        let search_path = search_path(&interpreters);
        let user = host.user();
        let Some(programs) = host.programs() else {
            let (home, tmp) = (directory.join("home").join(USER_NAME), directory.join("tmp"));
            for path in [directory.join("home"), home.clone(), tmp.clone()] {
                host.make_owned(&path)?;
            }
            let kind = Kind::Plain(Plain::start()?);
            let (directory, variables) = (directory.to_owned(), Mutex::default());
            return Ok(Running { kind, user, directory, home, tmp, search_path, variables });
        };
        let plan = Plan { programs, user, directory, base: host.base().path(), interpreters: &interpreters };
        let namespace = Namespace::start(plan).await?;
        Ok(Running { search_path, ..Running::trial(namespace, user, directory.to_owned()) })
    }

    /// Namespaces of which it is not known yet whether they work.
    pub(super) fn trial(namespace: Namespace, user: Option<(u32, u32)>, directory: PathBuf) -> Running {
        Running {
            kind: Kind::Namespace(namespace),
            user,
            directory,
            home: PathBuf::from(NAMESPACE_HOME),
            tmp: PathBuf::from("/tmp"),
            search_path: super::SYSTEM_PATH.into(),
            variables: Mutex::default(),
        }
    }

    pub(super) fn files(&self) -> SandboxFiles {
        let (home, user) = (self.home.clone(), self.user);
        match &self.kind {
            Kind::Namespace(namespace) => SandboxFiles::Namespace { root: Arc::clone(&namespace.root), user, home },
            Kind::Plain(_) => SandboxFiles::Plain { home, tmp: self.tmp.clone(), user },
        }
    }

    /// A command in the session, with the session's environment only and a process group of its own.
    pub(crate) fn command(&self, invocation: &Invocation) -> Command {
        let mut words: Vec<OsString> = match &self.kind {
            Kind::Namespace(namespace) => namespace.entrance(invocation.as_ordinary_user),
            Kind::Plain(_) => Vec::new(),
        };
        if invocation.interruptible && !words.is_empty() {
            // nsenter only waits for the process inside; an interrupt is not meant for it.
            words.splice(0..0, ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh"].map(OsString::from));
        }
        words.extend(["/bin/sh", "-c", START, "sh"].map(OsString::from));
        words.extend([invocation.no_directory.clone().into(), self.start_directory(invocation).into()]);
        words.extend(invocation.argv.iter().cloned());

        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env_clear().process_group(0).current_dir("/");
        self.set_environment(&mut command);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn start_directory(&self, invocation: &Invocation) -> PathBuf {
        match &invocation.directory {
            Some(directory) => self.home.join(directory),
            None => self.home.clone(),
        }
    }

    fn set_environment(&self, command: &mut Command) {
        command
            .env("HOME", &self.home)
            .env("TMPDIR", &self.tmp)
            .env("PATH", &self.search_path)
            .env("USER", USER_NAME)
            .env("LOGNAME", USER_NAME)
            .env("SHELL", "/bin/sh")
            .env("LANG", "C.UTF-8");
        command.envs(self.variables.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
        if let Kind::Plain(plain) = &self.kind {
            let (name, value) = plain.marker();
            command.env(name, value);
        }
    }

    /// Lets the session's user open a pipe by its name below `/dev/fd`, which asks for the rights of a file.
    pub(crate) fn give(&self, pipe: &impl AsFd) -> io::Result<()> {
        let Some((user, group)) = self.user else { return Ok(()) };
        fchown(pipe, Some(user), Some(group))
    }

    /// Sets variables for the commands that are started from now on.
    pub(crate) fn set_variables<const N: usize>(&self, variables: [(&'static str, String); N]) {
        *self.variables.lock().unwrap_or_else(PoisonError::into_inner) = variables.into();
    }

    /// A text that only the environments of this session's processes have, as far as the session sees processes.
    pub(crate) fn marker(&self) -> String {
        match &self.kind {
            // It sees no others; and all of its processes have a home.
            Kind::Namespace(_) => "HOME=".to_owned(),
            Kind::Plain(plain) => {
                let (name, value) = plain.marker();
                format!("{name}={value}")
            }
        }
    }

    pub(super) fn group_started(&self, group: Pid) {
        if let Kind::Plain(plain) = &self.kind {
            plain.started(group);
        }
    }

    pub(super) fn group_ended(&self) {
        if let Kind::Plain(plain) = &self.kind {
            plain.ended();
        }
    }

    /// Ends every process, then removes the session's directory.
    pub(super) async fn stop(&self) {
        match &self.kind {
            Kind::Namespace(namespace) => namespace.stop().await,
            Kind::Plain(plain) => plain.stop().await,
        }
        let directory = self.directory.clone();
        // Large trees take their time; nothing else has to wait for it.
        if let Err(error) = tokio::task::spawn_blocking(move || remove_tree(&directory)).await {
            tracing::warn!("the removal of a session's directory failed: {error}");
        }
    }
}
