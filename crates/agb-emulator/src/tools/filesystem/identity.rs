//! Blocking file work off the async runtime, in time, and as the session's user.

use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use super::error::FileError;

/// File jobs at work at one time, over all sessions: each holds a thread.
const CONCURRENT_JOBS: usize = 64;

static SLOTS: Semaphore = Semaphore::const_new(CONCURRENT_JOBS);

/// When a job has to be done, in real time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    end: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn after(limit: Duration) -> Self {
        let now = Instant::now();
        Self { end: now.checked_add(limit).unwrap_or(now), limit }
    }

    /// An error once the time is over; long loops ask it so that they end although nobody waits for them any more.
    pub(super) fn check(&self) -> Result<(), FileError> {
        if Instant::now() < self.end { Ok(()) } else { Err(self.missed()) }
    }

    fn missed(&self) -> FileError {
        FileError::new(format!("Timed out: the file tool took longer than {} ms", self.limit.as_millis()))
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

/// Runs a job on a thread of its own that takes the identity `user` (uid, gid) first, so that the kernel checks
/// permissions exactly as it does for the session's processes.
///
/// The thread ends with the job, so no identity outlives it.
pub(super) async fn run<T: Send + 'static>(
    user: Option<(u32, u32)>,
    deadline: Deadline,
    job: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let work = async {
        let slot = SLOTS.acquire().await.map_err(|_| FileError::new("File tools are shut down"))?;
        let (done, result) = oneshot::channel();
        let body = move || {
            let _slot = slot;
            let _ = done.send(become_user(user).and_then(|()| job()));
        };
        std::thread::Builder::new()
            .name("agb-file-tool".to_owned())
            .spawn(body)
            .map_err(|error| FileError::new(format!("No thread for file work: {error}")))?;
        result.await.unwrap_or_else(|_| Err(FileError::new("Internal error: the file tool broke off")))
    };
    tokio::time::timeout(deadline.left(), work).await.unwrap_or_else(|_| Err(deadline.missed()))
}

#[cfg(target_os = "linux")]
fn become_user(user: Option<(u32, u32)>) -> Result<(), FileError> {
    use rustix::process::{Gid, Uid};
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

    let Some((uid, gid)) = user else { return Ok(()) };
    if uid == u32::MAX || gid == u32::MAX {
        return Err(FileError::new("The session's user has no valid id"));
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    // Groups first: after the user id is gone, neither may be changed any more. These calls act on this thread only.
    set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .map_err(|errno| FileError::new(format!("Can't take the identity of the session's user: {errno}")))
}

#[cfg(not(target_os = "linux"))]
fn become_user(user: Option<(u32, u32)>) -> Result<(), FileError> {
    match user {
        None => Ok(()),
        Some(_) => Err(FileError::new("File work as another user needs Linux")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_job_answers_its_result() {
        assert_eq!(run(None, Deadline::after(LONG), || Ok(7)).await.expect("a result"), 7);
    }

    #[tokio::test]
    async fn a_job_that_hangs_is_given_up() {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (report, heard) = std::sync::mpsc::channel();
        let job = move || {
            let _ = released.recv();
            let _ = report.send(());
            Ok(())
        };
        let error = run(None, Deadline::after(Duration::from_millis(30)), job).await.expect_err("a time-out");
        assert!(error.text.contains("30 ms"), "{}", error.text);
        drop(release);
        heard.recv_timeout(LONG).expect("the job goes on by itself");
    }

    #[tokio::test]
    async fn a_long_loop_learns_that_its_time_is_over() {
        let deadline = Deadline::after(Duration::from_millis(5));
        let (report, heard) = std::sync::mpsc::channel();
        let job = move || {
            let mut result = Ok(());
            while result.is_ok() {
                result = deadline.check();
            }
            let _ = report.send(());
            result
        };
        let error = run(None, deadline, job).await.expect_err("a time-out");
        assert!(error.text.contains("Timed out"), "{}", error.text);
        heard.recv_timeout(LONG).expect("the loop ends");
    }

    #[tokio::test]
    async fn a_job_that_breaks_off_is_an_error() {
        let error = run::<()>(None, Deadline::after(LONG), || panic!("on purpose")).await.expect_err("an error");
        assert!(error.text.contains("Internal error"), "{}", error.text);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_job_runs_as_the_user_and_others_do_not() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let read = || Ok((rustix::process::geteuid().as_raw(), std::fs::read("/etc/shadow").is_ok()));
        let seen = run(Some((54_321, 54_321)), Deadline::after(LONG), read).await.expect("a result");
        assert_eq!(seen, (54_321, false));
        assert_eq!(run(None, Deadline::after(LONG), read).await.expect("a result").0, 0);
    }
}
