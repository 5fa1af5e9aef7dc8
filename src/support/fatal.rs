//! The net under every end of the process: whatever way it ends, the sessions of the registry are released first.
//!
//! | end                                             | caught by                                                   |
//! | ----------------------------------------------- | ----------------------------------------------------------- |
//! | the loop drains, `process.exit()`, errors        | a handler of the C library's `exit`                         |
//! | a signal that nobody listens to                  | a handler that tells the release thread, which ends by it   |
//! | `process.abort()`, V8 out of memory              | a handler of SIGABRT that waits for the release thread      |
//!
//! The release thread sleeps in a read of a pipe. The handlers of signals write one byte to it and at most wait; they
//! neither allocate nor lock nor call JavaScript, because they interrupt any thread anywhere.
//!
//! A signal with a listener in JavaScript is not caught: libuv's handler replaces ours when the first listener comes. When
//! the last one goes, libuv restores the default, and [`arm_signals`] has to be called again: the facade does so at once
//! where it sees the listener go, and the release thread looks every second, for listeners that nobody sees go, as those of
//! a main thread that does not have the package.
//!
//! The first process of a PID namespace, a container's, is not ended by a signal that it does not handle: the kernel drops
//! it. There nothing is caught but SIGABRT, and that only counts when the process has raised it by itself: `abort` ends it
//! in another way then.
//!
//! This file is one of the two that may hold unsafe code: signals are an interface of C.

#![allow(unsafe_code, reason = "signal handlers and exit handlers are an interface of C")]

use std::ffi::{c_int, c_void};
use std::io::{Error, PipeReader, PipeWriter, Read, Result, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::panic::catch_unwind;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use agb_client::Unreleased;
use agb_client::lifecycle::release::release_all;

/// The byte that asks for the release and an answer; all others are numbers of signals.
const AND_ANSWER: u8 = 0;
/// What the thread that ends the process waits beyond the limit, so that what was not released can be named.
const MARGIN_MS: u32 = 800;
/// A signal within this time after the first is the same wish once more: from a terminal it comes to a program directly,
/// and again through the program that started it.
const REPEAT_MS: i64 = 250;
/// How often the release thread looks for signals that are not caught any more.
const LOOK_MS: c_int = 1_000;

/// No end has begun.
const RUNNING: c_int = 0;
/// `exit` was called.
const EXITING: c_int = -1;

/// [`RUNNING`], [`EXITING`], or the signal that ends the process. Whatever comes first decides how it ends.
static PHASE: AtomicI32 = AtomicI32::new(RUNNING);
/// When the first signal came, on the monotonic clock; 0: none did.
static FIRST_SIGNAL_MS: AtomicI64 = AtomicI64::new(0);
/// Where the release thread is told what to do.
static COMMANDS: AtomicI32 = AtomicI32::new(-1);
/// Becomes readable, for good, when everything was released.
static DONE: AtomicI32 = AtomicI32::new(-1);
/// The longest limit of all clients.
static LIMIT_MS: AtomicU32 = AtomicU32::new(0);
/// The process that has the release thread.
static PROCESS: AtomicI32 = AtomicI32::new(0);
/// The signals to catch, as bits.
static WANTED: AtomicU32 = AtomicU32::new(0);
/// What was there before our handlers, by signal. Never freed: a handler may be reading it.
static BEFORE: [AtomicPtr<libc::sigaction>; 32] = [const { AtomicPtr::new(ptr::null_mut()) }; 32];

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

static STARTED: Mutex<bool> = Mutex::new(false);

/// Sees to it that the sessions of the registry are released before the process ends, in any way and by any of
/// `signals`, for which it then waits at most as long as the longest `limit` that was given.
pub(crate) fn watch_ends(limit: Duration, signals: &[c_int]) -> Result<()> {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*started {
        start()?;
        *started = true;
    }
    drop(started);
    LIMIT_MS.fetch_max(u32::try_from(limit.as_millis()).unwrap_or(u32::MAX - MARGIN_MS), Ordering::SeqCst);
    let bits = signals.iter().filter_map(|signal| bit(*signal)).fold(0, |all, one| all | one);
    WANTED.fetch_or(bits, Ordering::SeqCst);
    arm_signals();
    Ok(())
}

/// Catches those of the wanted signals that would end the process now.
pub(crate) fn arm_signals() {
    if is_first_process() {
        return;
    }
    let wanted = WANTED.load(Ordering::SeqCst);
    for signal in (1..32).filter(|signal| bit(*signal).is_some_and(|bit| wanted & bit != 0)) {
        catch(signal, on_signal);
    }
}

fn bit(signal: c_int) -> Option<u32> {
    (1..32).contains(&signal).then(|| 1 << signal)
}

fn start() -> Result<()> {
    let (commands, to_thread) = std::io::pipe()?;
    let (from_thread, done) = std::io::pipe()?;
    thread::Builder::new().name("agb-exit".to_owned()).spawn(move || serve(commands, done))?;
    COMMANDS.store(to_thread.into_raw_fd(), Ordering::SeqCst);
    DONE.store(from_thread.into_raw_fd(), Ordering::SeqCst);
    PROCESS.store(process_id(), Ordering::SeqCst);
    // SAFETY: the handler lives as long as the process: the library is never unloaded.
    if unsafe { libc::atexit(on_exit) } != 0 {
        return Err(Error::other("the C library takes no more exit handlers"));
    }
    catch(libc::SIGABRT, on_abort);
    Ok(())
}

/// The release thread.
fn serve(mut commands: PipeReader, mut done: PipeWriter) {
    loop {
        while !is_readable(commands.as_raw_fd(), LOOK_MS) {
            arm_signals();
        }
        let mut command = [AND_ANSWER];
        if commands.read_exact(&mut command).is_err() {
            return;
        }
        let [command] = command;
        // A panic would leave whoever waits without an answer.
        if let Ok(unreleased) = catch_unwind(release_all) {
            report(&unreleased);
        }
        match command {
            AND_ANSWER => {
                // Fails only when nobody can be waiting.
                let _ = done.write_all(&[1]);
            }
            signal => {
                end_by(signal.into());
                // It did not: another handler was installed in between, or the kernel dropped it. An end is still to come.
                FIRST_SIGNAL_MS.store(0, Ordering::SeqCst);
                PHASE.store(RUNNING, Ordering::SeqCst);
            }
        }
    }
}

/// Names what was not released, on one line.
fn report(unreleased: &Unreleased) {
    if unreleased.is_empty() {
        return;
    }
    let Unreleased { session_ids, creating, limit } = unreleased;
    let mut parts = Vec::new();
    if !session_ids.is_empty() {
        parts.push(session_ids.join(", "));
    }
    if *creating > 0 {
        parts.push(format!("{creating} still being created"));
    }
    let line = format!(
        "agbcloud-native: sessions not released within {} ms, which stay until their idle timeout: {}\n",
        limit.as_millis(),
        parts.join(", ")
    );
    // Whoever closed standard error does not want to know.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Ends the process by a signal, as it would have ended without us.
fn end_by(signal: c_int) {
    restore(signal);
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is made before it is used; the signal may be blocked in this thread only if it was so in the thread
    // that started it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut());
        libc::raise(signal);
    }
}

/// Is there something to read within the time?
fn is_readable(descriptor: c_int, within_ms: c_int) -> bool {
    let mut waits = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor, valid during the call.
    unsafe { libc::poll(&raw mut waits, 1, within_ms) > 0 }
}

/// Puts `handler` in place of an action that ends the process. What a program handles or ignores stays as it is.
fn catch(signal: c_int, handler: Handler) {
    let mut current = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: `current` is valid, and is written before it is read.
    let current = unsafe {
        if libc::sigaction(signal, ptr::null(), current.as_mut_ptr()) != 0 {
            return;
        }
        current.assume_init()
    };
    if !ends_process(&current) {
        return;
    }
    remember(signal, current);
    // SAFETY: an action of zeros is one without flags; handler and mask are set before it is used, and the handler does
    // only what a handler may.
    unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK | libc::SA_SIGINFO;
        libc::sigemptyset(&raw mut action.sa_mask);
        let mut replaced = current;
        libc::sigaction(signal, &raw const action, &raw mut replaced);
        // A handler that another thread has installed since the look.
        if !ends_process(&replaced) {
            libc::sigaction(signal, &raw const replaced, ptr::null_mut());
        }
    }
}

/// The default, or Node's own handler, which puts the terminal right and raises the signal once more: it is the only one
/// that is meant for one time.
fn ends_process(action: &libc::sigaction) -> bool {
    let is_handler = action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN;
    action.sa_sigaction == libc::SIG_DFL || (is_handler && action.sa_flags & libc::SA_RESETHAND != 0)
}

/// The first action counts: later ones are what libuv left behind.
fn remember(signal: c_int, action: libc::sigaction) {
    let Some(slot) = usize::try_from(signal).ok().and_then(|index| BEFORE.get(index)) else { return };
    if slot.load(Ordering::SeqCst).is_null() {
        slot.store(Box::into_raw(Box::new(action)), Ordering::SeqCst);
    }
}

/// Puts back what was there before our handler. May be called in a handler.
fn restore(signal: c_int) {
    let Some(slot) = usize::try_from(signal).ok().and_then(|index| BEFORE.get(index)) else { return };
    let before = slot.load(Ordering::SeqCst);
    if !before.is_null() {
        // SAFETY: made by `remember`, and never freed.
        unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
    }
}

/// Handler: a signal that nobody listens to.
extern "C" fn on_signal(signal: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    if !is_own_process() {
        return die(signal);
    }
    let error = Error::last_os_error().raw_os_error();
    let now = now_ms();
    let is_first_end = PHASE.compare_exchange(RUNNING, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    let first = FIRST_SIGNAL_MS.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
    match first {
        _ if is_first_end => send(u8::try_from(signal).unwrap_or(AND_ANSWER)),
        // Whoever sends it again does not want to wait.
        Err(first_ms) if now - first_ms >= REPEAT_MS => die(signal),
        // The process is about to exit anyway, with a code that the signal does not change.
        _ => {}
    }
    set_error(error);
}

/// Handler: the process aborts.
extern "C" fn on_abort(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    if is_first_process() && !is_raised(info) {
        return;
    }
    if is_own_process() {
        send(AND_ANSWER);
        wait_until_done();
    }
    // Also for a process that did not call `abort` but was sent the signal.
    die(signal);
}

/// Exit handler of the C library.
extern "C" fn on_exit() {
    if !is_own_process() {
        return;
    }
    match PHASE.compare_exchange(RUNNING, EXITING, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => {
            send(AND_ANSWER);
            wait_until_done();
        }
        Err(EXITING) => {}
        // The release thread ends the process, by the signal that came first.
        Err(_) => thread::sleep(Duration::from_millis(longest_wait_ms().into())),
    }
}

/// Has the signal do what it did before, as soon as its handler, which this is called in, returns.
fn die(signal: c_int) {
    restore(signal);
    // SAFETY: raising is allowed in a handler.
    unsafe { libc::raise(signal) };
}

/// Tells the release thread. May be called in a handler.
fn send(command: u8) {
    // SAFETY: writes one byte that is there; the pipe is never closed.
    unsafe { libc::write(COMMANDS.load(Ordering::SeqCst), ptr::from_ref(&command).cast(), 1) };
}

/// Waits for the answer of the release thread. May be called in a handler.
fn wait_until_done() {
    let end = now_ms() + i64::from(longest_wait_ms());
    let mut done = libc::pollfd { fd: DONE.load(Ordering::SeqCst), events: libc::POLLIN, revents: 0 };
    loop {
        let left = c_int::try_from(end - now_ms()).unwrap_or_default();
        if left <= 0 {
            return;
        }
        // SAFETY: one descriptor, valid during the call.
        let found = unsafe { libc::poll(&raw mut done, 1, left) };
        // Interrupted by another signal: once more.
        if found >= 0 {
            return;
        }
    }
}

fn longest_wait_ms() -> u32 {
    LIMIT_MS.load(Ordering::SeqCst).saturating_add(MARGIN_MS)
}

/// The monotonic clock, never 0.
fn now_ms() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is valid; the clock exists everywhere.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000 + 1
}

/// Not in a fork, which has the handlers and the pipes, but not the release thread.
fn is_own_process() -> bool {
    PROCESS.load(Ordering::SeqCst) == process_id()
}

/// Is it the first of its PID namespace? May be called in a handler.
fn is_first_process() -> bool {
    process_id() == 1
}

/// Has the process raised the signal, and nobody sent it? May be called in a handler.
#[cfg(target_os = "linux")]
fn is_raised(info: *mut libc::siginfo_t) -> bool {
    // SAFETY: the kernel hands every handler what it knows of the signal.
    unsafe { (*info).si_code == libc::SI_TKILL }
}

/// As above. The first process of such a system is no program of ours.
#[cfg(not(target_os = "linux"))]
fn is_raised(_: *mut libc::siginfo_t) -> bool {
    true
}

fn process_id() -> c_int {
    // SAFETY: has no preconditions.
    unsafe { libc::getpid() }
}

/// Leaves the error number to the interrupted thread as it was.
fn set_error(number: Option<i32>) {
    let Some(number) = number else { return };
    #[cfg(target_os = "linux")]
    // SAFETY: the address is that of this thread's own number.
    unsafe {
        *libc::__errno_location() = number;
    }
    #[cfg(target_os = "macos")]
    // SAFETY: as above.
    unsafe {
        *libc::__error() = number;
    }
}
