//! The life of a session: `ts/lifecycle.ts` on this side.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agb_client::lifecycle::{
    Hold, KeepAliveMode, KeepAliveOptions, KeepAliveStatus, LifecycleEvent, LifecycleView, Mark, Subscription,
};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

use crate::session::NativeSession;
use crate::support::{Callback, NativeFailure, Outcome, outcome};

/// What is known of a session's life without asking.
#[napi(object, object_from_js = false)]
pub struct NativeLifecycle {
    /// `created`, `active`, `idle` or `released`.
    pub state: String,
    /// Seconds.
    pub idle_release_timeout: Option<f64>,
    /// Milliseconds.
    pub idle_remaining_ms: Option<f64>,
    /// Milliseconds.
    pub lifetime_remaining_ms: Option<f64>,
    /// Milliseconds since 1970.
    pub created_at: Option<f64>,
    /// Milliseconds since 1970.
    pub last_activity_at: Option<f64>,
    /// Why it was released, if it is.
    pub release_reason: Option<String>,
    /// Did the service say so?
    pub confirmed: Option<bool>,
}

impl From<LifecycleView> for NativeLifecycle {
    fn from(view: LifecycleView) -> Self {
        Self {
            state: view.state.name().to_owned(),
            idle_release_timeout: view.idle_release_timeout.map(|timeout| timeout.as_secs_f64()),
            idle_remaining_ms: view.idle_remaining.map(milliseconds),
            lifetime_remaining_ms: view.lifetime_remaining.map(milliseconds),
            created_at: view.created_at.map(epoch_ms),
            last_activity_at: view.last_activity_at.map(epoch_ms),
            release_reason: view.release.map(|release| release.reason.name().to_owned()),
            confirmed: view.release.map(|release| release.confirmed),
        }
    }
}

/// How a session is kept alive.
#[napi(object, object_to_js = false)]
pub struct NativeKeepAliveOptions {
    /// `always` or `whileHeld`.
    pub mode: Option<String>,
    /// The share of the idle time-out after which a beat comes.
    pub at: Option<f64>,
    /// Seconds.
    pub max_duration: Option<f64>,
    /// Seconds; the facade ticks while it is there.
    pub stop_if_loop_stalled: Option<f64>,
    /// Seconds.
    pub idle_release_timeout: Option<f64>,
}

impl NativeKeepAliveOptions {
    /// On the JavaScript thread, whose event loop is watched where that is wanted.
    pub(crate) fn read(self) -> agb_client::Result<KeepAliveOptions> {
        let stalled = KeepAliveOptions::time("stopIfLoopStalledS", self.stop_if_loop_stalled)?;
        Ok(KeepAliveOptions {
            mode: KeepAliveMode::named(self.mode.as_deref())?,
            at: self.at,
            max_duration: KeepAliveOptions::time("maxDurationS", self.max_duration)?,
            stop_if_stalled: stalled.map(|limit| {
                let ticks = loop_ticks();
                let watch = move || now().saturating_sub(Duration::from_millis(ticks.load(Ordering::Relaxed)));
                (limit, Arc::new(watch) as Arc<dyn Fn() -> Duration + Send + Sync>)
            }),
            idle_release_timeout: KeepAliveOptions::time("idleReleaseTimeout", self.idle_release_timeout)?,
        })
    }
}

/// How a keep-alive is doing.
#[napi(object, object_from_js = false)]
pub struct NativeKeepAliveStatus {
    /// Why it no longer runs.
    pub stopped: Option<String>,
    /// `always` or `whileHeld`.
    pub mode: String,
    /// The share of the idle time-out after which a beat comes.
    pub at: f64,
    /// Seconds.
    pub idle_release_timeout: f64,
    /// Beats that the service answered.
    pub beats: f64,
    /// Beats that failed.
    pub failures: f64,
    /// Milliseconds since 1970.
    pub last_beat_at: Option<f64>,
    /// Milliseconds.
    pub next_beat_in_ms: Option<f64>,
    /// What went wrong at the last one.
    pub last_error: Option<String>,
}

impl From<KeepAliveStatus> for NativeKeepAliveStatus {
    fn from(status: KeepAliveStatus) -> Self {
        Self {
            stopped: status.stopped.map(|reason| reason.name().to_owned()),
            mode: status.mode.name().to_owned(),
            at: status.at,
            idle_release_timeout: status.idle_release_timeout.as_secs_f64(),
            beats: status.beats as f64,
            failures: status.failures as f64,
            last_beat_at: status.last_beat_at.map(epoch_ms),
            next_beat_in_ms: status.next_beat.map(milliseconds),
            last_error: status.last_error,
        }
    }
}

/// What happened; the members that belong to its kind are there.
#[napi(object, object_from_js = false)]
pub struct NativeLifecycleEvent {
    /// `active`, `idle`, `expiring`, `keepAliveFailed` or `released`.
    pub kind: String,
    /// Which time is running out: `idle` or `lifetime`.
    pub what: Option<String>,
    /// Milliseconds: of that time, or of the idle time-out.
    pub remaining_ms: Option<f64>,
    /// Why a keep-alive failed.
    pub message: Option<String>,
    /// How often it was tried.
    pub attempt: Option<u32>,
    /// Will it be tried again?
    pub will_retry: Option<bool>,
    /// Why the session was released.
    pub reason: Option<String>,
    /// Did the service say so?
    pub confirmed: Option<bool>,
}

impl From<&LifecycleEvent> for NativeLifecycleEvent {
    fn from(event: &LifecycleEvent) -> Self {
        let of = |kind: &str| Self {
            kind: kind.to_owned(),
            what: None,
            remaining_ms: None,
            message: None,
            attempt: None,
            will_retry: None,
            reason: None,
            confirmed: None,
        };
        match event {
            LifecycleEvent::Active => of("active"),
            LifecycleEvent::Idle => of("idle"),
            LifecycleEvent::Expiring { what, remaining } => Self {
                what: Some(what.name().to_owned()),
                remaining_ms: Some(milliseconds(*remaining)),
                ..of("expiring")
            },
            LifecycleEvent::KeepAliveFailed(failure) => Self {
                message: Some(failure.message.clone()),
                attempt: Some(failure.attempt),
                remaining_ms: Some(milliseconds(failure.idle_remaining)),
                will_retry: Some(failure.will_retry),
                ..of("keepAliveFailed")
            },
            LifecycleEvent::Released(release) => Self {
                reason: Some(release.reason.name().to_owned()),
                confirmed: Some(release.confirmed),
                ..of("released")
            },
        }
    }
}

/// Something that needs a session.
#[napi]
pub struct NativeHold {
    hold: Mutex<Option<Hold>>,
}

#[napi]
impl NativeHold {
    /// Lets go; calling twice is fine.
    #[napi]
    pub fn release(&self) {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A moment in the life of a session.
#[napi]
pub struct NativeMark {
    mark: Mark,
}

#[napi]
impl NativeMark {
    /// Can a call that began here, and was answered just now that the session does not exist, not have run?
    #[napi]
    pub fn is_untouched(&self) -> bool {
        self.mark.is_untouched()
    }
}

/// A listener that hears of a session's life.
#[napi]
pub struct NativeLifecycleListener {
    subscription: Mutex<Option<Subscription>>,
}

#[napi]
impl NativeLifecycleListener {
    /// Ends it; an event that is on its way may still come.
    #[napi]
    pub fn close(&self) {
        self.subscription.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[napi]
impl NativeSession {
    /// Where the session is in its life.
    #[napi]
    pub fn lifecycle(&self) -> NativeLifecycle {
        self.session().lifecycle().into()
    }

    /// The time of the session's service: milliseconds since an arbitrary moment in the life of this process.
    #[napi]
    pub fn clock_ms(&self) -> f64 {
        milliseconds(self.session().life().clock().now().saturating_duration_since(start()))
    }

    /// Keeps the session alive from now on; gives why that can't be.
    #[napi]
    pub fn start_keep_alive(&self, options: NativeKeepAliveOptions) -> Option<NativeFailure> {
        options.read().and_then(|options| self.session().start_keep_alive(options)).err().map(Into::into)
    }

    /// Ends that.
    #[napi]
    pub fn stop_keep_alive(&self) {
        self.session().stop_keep_alive();
    }

    /// Has it end when the longest time of that of the session is over whose place this one takes.
    #[napi]
    pub fn end_keep_alive_with(&self, other: &NativeSession) {
        self.session().end_keep_alive_with(&other.session());
    }

    /// How it is doing; nothing where it was never started.
    #[napi]
    pub fn keep_alive_status(&self) -> Option<NativeKeepAliveStatus> {
        self.session().keep_alive_status().map(Into::into)
    }

    /// Remembers this moment.
    #[napi]
    pub fn mark(&self) -> NativeMark {
        NativeMark { mark: self.session().life().mark() }
    }

    /// Holds the session until it is released.
    #[napi]
    pub fn hold(&self) -> NativeHold {
        NativeHold { hold: Mutex::new(Some(self.session().hold())) }
    }

    /// Calls `on_event`, which must not throw, for what happens in the session's life. It does not keep the process alive.
    #[napi(ts_args_type = "onEvent: (event: NativeLifecycleEvent) => void")]
    pub fn on_lifecycle(&self, on_event: Callback<NativeLifecycleEvent, ()>) -> Outcome<NativeLifecycleListener> {
        let listener = move |event: &LifecycleEvent| {
            // Fails when the environment has ended, and nobody can listen any more.
            on_event.call(event.into(), ThreadsafeFunctionCallMode::NonBlocking);
        };
        let subscription = self.session().on_lifecycle(Arc::new(listener));
        outcome(
            subscription.map(|subscription| NativeLifecycleListener { subscription: Mutex::new(Some(subscription)) }),
        )
    }
}

thread_local! {
    /// When this thread's event loop ran last, in milliseconds of [`now`].
    static LOOP_TICKS: RefCell<Option<Arc<AtomicU64>>> = const { RefCell::new(None) };
}

/// The event loop of the calling thread runs. Gives whether anybody still wants to know.
#[napi]
pub fn event_loop_runs() -> bool {
    let ticks = loop_ticks();
    ticks.store(u64::try_from(now().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    // One is kept for the thread, one is in hand.
    Arc::strong_count(&ticks) > 2
}

fn loop_ticks() -> Arc<AtomicU64> {
    LOOP_TICKS.with_borrow_mut(|ticks| {
        let fresh = || Arc::new(AtomicU64::new(u64::try_from(now().as_millis()).unwrap_or(u64::MAX)));
        Arc::clone(ticks.get_or_insert_with(fresh))
    })
}

/// Time since an arbitrary moment in the life of this process.
fn now() -> Duration {
    start().elapsed()
}

/// That moment.
fn start() -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round()
}

fn epoch_ms(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map(milliseconds).unwrap_or_default()
}
