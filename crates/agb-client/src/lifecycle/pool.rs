//! A pool of sessions that are kept ready: handed out one at a time, checked before, given back or replaced after.
//!
//! Whoever gets, makes or deletes a session has a permit of a fair semaphore meanwhile; an idle session needs none. As an
//! idle session is always taken where there is one, and the caretaker makes one only where idle sessions and permits in
//! use leave room, there are never more than `max` sessions. The caretaker is one task that does what nobody waits for:
//! it deletes, replaces and refills.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::life::LIFETIME_NOTICE;
use super::{Expiring, KeepAliveMode, KeepAliveOptions, LifecycleEvent, SessionState, Subscription};
use crate::agb::{Agb, CreateParams, NotCreated};
use crate::error::{Error, ErrorKind, Result};
use crate::session::Session;

const DEFAULT_MAX: f64 = 8.0;
const DEFAULT_ACQUIRE_TIMEOUT_MS: f64 = 30_000.0;
/// The bounds of what may be asked for: more is a mistake in the program.
const MOST_SESSIONS: f64 = 10_000.0;
const MOST_USES: f64 = 1e9;
const LONGEST_ACQUIRE_MS: f64 = 86_400_000.0;
/// The pause after the first creation or deletion that failed; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_CREATE_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_DELETE_PAUSE: Duration = Duration::from_secs(5);
/// How often a drained pool tries to delete a session.
const DRAIN_ATTEMPTS: u32 = 3;
/// The caretaker's longest sleep, for what may have been missed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What a pool shall be.
#[derive(Debug, Clone, Default)]
pub struct PoolOptions {
    /// What its sessions are created with. They are created recoverably and kept alive, always, whatever this says.
    pub params: CreateParams,
    /// How many sessions there are at least, lent ones included; `None`: 0.
    pub min: Option<f64>,
    /// How many there are at most; `None`: 8, or `min` if that is more.
    pub max: Option<f64>,
    /// How often a session is lent before it is replaced; `None`: as long as it lives.
    pub max_uses: Option<f64>,
    /// How long [`SessionPool::acquire`] waits, in milliseconds; `None`: 30,000.
    pub acquire_timeout_ms: Option<f64>,
}

/// What is in a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Sessions that wait for a borrower.
    pub idle: usize,
    /// Sessions that are lent, or checked before.
    pub lent: usize,
    /// Sessions that are being created, or may still turn up as the answer of their creation got lost.
    pub creating: usize,
    /// Borrowers that wait for one of the others to give back.
    pub waiting: usize,
}

/// A pool of sessions. Clones are the same pool; when the last one is dropped, the pool is drained.
#[derive(Debug, Clone)]
pub struct SessionPool {
    owner: Arc<Owner>,
}

impl SessionPool {
    /// Makes a pool, which begins to create `min` sessions on `runtime`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for numbers that make no sense together, and as [`Agb::create`].
    pub fn new(agb: Agb, options: PoolOptions, runtime: &Handle) -> Result<Self> {
        let limits = Limits::read(&options)?;
        options.params.check()?;
        let mut params = options.params;
        let keep_alive = params.keep_alive.take().unwrap_or_default();
        params.keep_alive = Some(KeepAliveOptions { mode: KeepAliveMode::Always, max_duration: None, ..keep_alive });
        params.recover = true;
        let shared = Arc::new(Shared {
            agb,
            params,
            slots: Arc::new(Semaphore::new(limits.max)),
            limits,
            state: Mutex::default(),
            work: Arc::default(),
            changed: Notify::new(),
        });
        runtime.spawn(take_care(Arc::clone(&shared)));
        Ok(Self { owner: Arc::new(Owner { shared }) })
    }

    /// Borrows a session: an idle one that still answers, else a new one, else the next that is given back. Who asks
    /// first gets first: the place in the queue is that of the call, whenever the future is polled. The session is given
    /// back when it is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when there was none in time; [`ErrorKind::Drained`] when the pool is drained; what the
    /// service said when a session could not be checked or created.
    pub fn acquire(&self) -> impl Future<Output = Result<Lent>> + Send + use<> {
        let owner = Arc::clone(&self.owner);
        let mut place = Box::pin(permit(Arc::clone(&owner.shared)));
        let at_once = place.as_mut().now_or_never();
        async move {
            let shared = &owner.shared;
            let obtain = async {
                let permit = match at_once {
                    Some(permit) => permit,
                    None => place.await,
                };
                shared.obtain(permit?).await
            };
            let outcome = tokio::time::timeout(shared.limits.acquire_timeout, obtain).await;
            let mut lent = outcome.unwrap_or_else(|_| Err(shared.too_late()))?;
            lent.count_use();
            Ok(lent)
        }
    }

    /// What is in the pool now.
    pub fn stats(&self) -> PoolStats {
        self.owner.shared.lock().stats()
    }

    /// Hands out nothing more, deletes the idle sessions, and the lent ones as they come back; returns when all are gone.
    /// That takes a minute or more where the answer of a creation got lost: its session is looked for meanwhile, and
    /// deleted when it turns up.
    ///
    /// # Errors
    /// [`ErrorKind::Api`] when some could not be deleted; they are named, and end with their idle time-out.
    pub async fn drain(&self) -> Result<()> {
        let shared = &self.owner.shared;
        shared.close();
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if shared.lock().is_over() {
                break;
            }
            changed.await;
        }
        let left = shared.lock().left.join(", ");
        if left.is_empty() {
            return Ok(());
        }
        let text = format!("some sessions could not be deleted and stay until their idle time-out: {left}");
        Err(Error::new(ErrorKind::Api, text).with_operation("drain"))
    }
}

/// A session that is lent. Dropping it gives it back.
#[derive(Debug)]
pub struct Lent {
    session: Session,
    held: Option<(Slot, Pooled)>,
    is_unwanted: bool,
}

impl Lent {
    /// The session, for its borrower alone.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Gives the session back to be deleted, as nobody else can use it.
    pub fn discard(mut self) {
        self.is_unwanted = true;
    }

    fn count_use(&mut self) {
        if let Some((_, pooled)) = &mut self.held {
            pooled.uses += 1;
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some((slot, pooled)) = self.held.take() else { return };
        if self.is_unwanted {
            retire(slot, pooled);
        } else {
            take_back(slot, pooled);
        }
    }
}

/// What users hold; the pool ends with it.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.close();
    }
}

#[derive(Debug)]
struct Limits {
    min: usize,
    max: usize,
    max_uses: Option<u32>,
    acquire_timeout: Duration,
}

impl Limits {
    fn read(options: &PoolOptions) -> Result<Self> {
        let min = whole("min", options.min.unwrap_or(0.0), 0.0, MOST_SESSIONS)?;
        let max = whole("max", options.max.unwrap_or(DEFAULT_MAX.max(min)), 1.0, MOST_SESSIONS)?;
        if min > max {
            return Err(invalid(format!("min must not be more than max, got {min} and {max}")));
        }
        let uses = options.max_uses.map(|uses| whole("maxUses", uses, 1.0, MOST_USES)).transpose()?;
        let timeout_ms = options.acquire_timeout_ms.unwrap_or(DEFAULT_ACQUIRE_TIMEOUT_MS);
        let timeout_ms = whole("acquireTimeoutMs", timeout_ms, 1.0, LONGEST_ACQUIRE_MS)?;
        Ok(Self {
            min: min as usize,
            max: max as usize,
            max_uses: uses.map(|uses| uses as u32),
            acquire_timeout: Duration::from_millis(timeout_ms as u64),
        })
    }
}

fn whole(name: &str, value: f64, least: f64, most: f64) -> Result<f64> {
    if value.fract() == 0.0 && (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(invalid(format!("{name} must be a whole number from {least} to {most}, got {value}")))
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, text).with_operation("SessionPool")
}

#[derive(Debug)]
struct Shared {
    agb: Agb,
    params: CreateParams,
    limits: Limits,
    slots: Arc<Semaphore>,
    state: Mutex<State>,
    /// There may be something to do for the caretaker.
    work: Arc<Notify>,
    /// Something came to its end.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Pooled>,
    /// To be deleted by the caretaker.
    retired: Vec<(Slot, Pooled)>,
    lent: usize,
    creating: usize,
    deleting: usize,
    waiting: usize,
    is_closed: bool,
    /// Creations of the caretaker that failed, one after the other.
    failures: u32,
    retry_at: Option<Instant>,
    /// Sessions that a drained pool could not delete.
    left: Vec<String>,
}

/// A session of the pool.
struct Pooled {
    session: Session,
    uses: u32,
    _subscription: Subscription,
}

impl Pooled {
    /// Does it live, and long enough for somebody to begin something?
    fn is_fresh(&self) -> bool {
        let view = self.session.lifecycle();
        view.state != SessionState::Released && view.lifetime_remaining.is_none_or(|left| left > LIFETIME_NOTICE)
    }

    fn is_gone(&self) -> bool {
        self.session.life().is_gone()
    }

    /// Can somebody else have it after its borrower? Not while something of theirs still needs it.
    fn is_reusable(&self, limits: &Limits) -> bool {
        let is_used_up = limits.max_uses.is_some_and(|most| self.uses >= most);
        self.is_fresh() && !is_used_up && !self.session.life().is_needed()
    }
}

impl std::fmt::Debug for Pooled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pooled").field("id", &self.session.id()).field("uses", &self.uses).finish_non_exhaustive()
    }
}

/// What a permit is used for.
#[derive(Debug, Clone, Copy)]
enum Role {
    Lent,
    Creating,
    Deleting,
}

/// Room for one session, while it is not idle.
#[derive(Debug)]
struct Slot {
    shared: Arc<Shared>,
    role: Role,
    /// `None` in a drained pool, which makes no more sessions.
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    fn turn(&mut self, role: Role) {
        let mut state = self.shared.lock();
        *state.count(self.role) -= 1;
        *state.count(role) += 1;
        self.role = role;
        drop(state);
        self.shared.tell();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self.shared.lock().count(self.role) -= 1;
        self.permit.take();
        self.shared.tell();
    }
}

impl State {
    fn count(&mut self, role: Role) -> &mut usize {
        match role {
            Role::Lent => &mut self.lent,
            Role::Creating => &mut self.creating,
            Role::Deleting => &mut self.deleting,
        }
    }

    fn stats(&self) -> PoolStats {
        PoolStats { idle: self.idle.len(), lent: self.lent, creating: self.creating, waiting: self.waiting }
    }

    fn is_over(&self) -> bool {
        let is_empty = self.idle.is_empty() && self.retired.is_empty();
        self.is_closed && is_empty && self.lent + self.creating + self.deleting == 0
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.work.notify_one();
        self.changed.notify_waiters();
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.slots.close();
        self.tell();
    }

    /// A slot in a role, unless the pool is drained.
    fn slot(self: &Arc<Self>, permit: OwnedSemaphorePermit, role: Role) -> Result<Slot> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(drained());
        }
        *state.count(role) += 1;
        Ok(Slot { shared: Arc::clone(self), role, permit: Some(permit) })
    }

    /// Prepares a session in a task of its own: whoever stops waiting ends neither the check nor the creation, whose session
    /// goes back to the others.
    async fn obtain(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Result<Lent> {
        let slot = self.slot(permit, Role::Lent)?;
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            // Dropped where nobody waits any more, which gives it back.
            drop(sender.send(prepare(slot).await));
        });
        let gone = |_| Error::new(ErrorKind::Internal, "preparing a session of the pool ended without a result");
        receiver.await.map_err(gone)?
    }

    /// The idle session that was used last and will live on, else any; `None`: one has to be created.
    fn take_idle(&self) -> Option<Pooled> {
        let mut state = self.lock();
        match state.idle.iter().rposition(Pooled::is_fresh) {
            Some(index) => Some(state.idle.remove(index)),
            None => state.idle.pop(),
        }
    }

    async fn create(&self) -> std::result::Result<Pooled, NotCreated> {
        let session = self.agb.create_watched(self.params.clone()).await?;
        let work = Arc::clone(&self.work);
        let subscription = session.on_lifecycle(Arc::new(move |event: &LifecycleEvent| {
            let is_end = matches!(
                event,
                LifecycleEvent::Released(_) | LifecycleEvent::Expiring { what: Expiring::Lifetime, .. }
            );
            if is_end {
                work.notify_one();
            }
        }))?;
        Ok(Pooled { session, uses: 0, _subscription: subscription })
    }

    /// Deletes a session for as long as it may still be there. One that is left over by a drained pool is noted.
    async fn delete(&self, pooled: &Pooled) {
        pooled.session.stop_keep_alive();
        let mut attempt = 0;
        while !pooled.is_gone() {
            let Err(error) = pooled.session.delete().await else { return };
            // Its time is over although nobody can be asked.
            if pooled.session.lifecycle().state == SessionState::Released {
                return;
            }
            attempt += 1;
            tracing::warn!(target: "agb::pool", session = pooled.session.id(), error = error.message(), "deleting failed");
            if attempt >= DRAIN_ATTEMPTS && self.note_left(pooled) {
                return;
            }
            tokio::time::sleep(pause(attempt, LONGEST_DELETE_PAUSE)).await;
        }
    }

    /// Notes a session that can't be deleted, if the pool is drained; else it goes on trying.
    fn note_left(&self, pooled: &Pooled) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            state.left.push(pooled.session.id().to_owned());
        }
        state.is_closed
    }

    fn too_late(&self) -> Error {
        let PoolStats { lent, creating, waiting, .. } = self.lock().stats();
        let Limits { max, acquire_timeout, .. } = &self.limits;
        let text = format!(
            "no session of the pool was free within {} ms: {lent} of at most {max} are lent, {creating} are being \
             created, {waiting} others wait",
            acquire_timeout.as_millis()
        );
        Error::new(ErrorKind::Timeout, text).with_operation("acquire").with_temporary(true)
    }
}

fn drained() -> Error {
    Error::new(ErrorKind::Drained, "the pool is drained and hands out no more sessions").with_operation("acquire")
}

fn pause(failures: u32, longest: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(longest).mul_f64(0.75 + 0.25 * fastrand::f64())
}

async fn permit(shared: Arc<Shared>) -> Result<OwnedSemaphorePermit> {
    let slots = Arc::clone(&shared.slots);
    // Where one is free nobody counts as waiting.
    if let Ok(permit) = Arc::clone(&slots).try_acquire_owned() {
        return Ok(permit);
    }
    let _waiting = Waiting::start(shared);
    slots.acquire_owned().await.map_err(|_| drained())
}

/// One more that waits, until it is dropped.
struct Waiting(Arc<Shared>);

impl Waiting {
    fn start(shared: Arc<Shared>) -> Self {
        shared.lock().waiting += 1;
        Self(shared)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// Finds or makes the session of a slot.
async fn prepare(mut slot: Slot) -> Result<Lent> {
    let shared = Arc::clone(&slot.shared);
    while let Some(pooled) = shared.take_idle() {
        if !pooled.is_fresh() {
            slot.turn(Role::Deleting);
            shared.delete(&pooled).await;
            slot.turn(Role::Lent);
            continue;
        }
        match pooled.session.keep_alive().await {
            Ok(_) => return hand_out(slot, pooled),
            Err(error) if error.kind() == ErrorKind::SessionNotFound => {
                tracing::info!(target: "agb::pool", session = pooled.session.id(), "a session of the pool was gone");
            }
            Err(error) => {
                take_back(slot, pooled);
                return Err(error.prefixed("a session of the pool could not be checked"));
            }
        }
    }
    slot.turn(Role::Creating);
    match shared.create().await {
        Ok(pooled) => {
            slot.turn(Role::Lent);
            hand_out(slot, pooled)
        }
        Err(failed) => Err(keep_room(slot, failed)),
    }
}

/// Keeps the room of a session that may still turn up although its creation failed: it would be one too many.
fn keep_room(slot: Slot, NotCreated { error, late }: NotCreated) -> Error {
    if let Some(late) = late {
        tokio::spawn(async move {
            // However it ended: nobody looks for the session any more.
            let _ = late.await;
            drop(slot);
        });
    }
    error
}

fn hand_out(slot: Slot, pooled: Pooled) -> Result<Lent> {
    if slot.shared.lock().is_closed {
        retire(slot, pooled);
        return Err(drained());
    }
    Ok(Lent { session: pooled.session.another(), held: Some((slot, pooled)), is_unwanted: false })
}

/// Puts a session to the idle ones, if somebody else can use it. Its borrower may have stopped its keep-alive, or let it
/// outlive the program.
fn take_back(slot: Slot, pooled: Pooled) {
    pooled.session.register_again();
    let shared = Arc::clone(&slot.shared);
    let keep_alive = shared.params.keep_alive.clone().unwrap_or_default();
    if !pooled.is_reusable(&shared.limits) || pooled.session.start_keep_alive(keep_alive).is_err() {
        return retire(slot, pooled);
    }
    let mut state = shared.lock();
    if state.is_closed {
        drop(state);
        return retire(slot, pooled);
    }
    // Before the slot's permit is free: whoever gets it finds the session.
    state.idle.push(pooled);
    drop(state);
    drop(slot);
}

/// Has a session deleted, and keeps its room until then.
fn retire(mut slot: Slot, pooled: Pooled) {
    pooled.session.stop_keep_alive();
    if pooled.is_gone() {
        return;
    }
    slot.turn(Role::Deleting);
    let shared = Arc::clone(&slot.shared);
    shared.lock().retired.push((slot, pooled));
    shared.tell();
}

/// The caretaker, until the pool is drained and empty.
async fn take_care(shared: Arc<Shared>) {
    while !shared.lock().is_over() {
        for (slot, pooled) in take_retired(&shared) {
            tokio::spawn(async move { slot.shared.delete(&pooled).await });
        }
        for slot in slots_to_refill(&shared) {
            tokio::spawn(refill(slot));
        }
        let retry_at = shared.lock().retry_at.filter(|at| *at > Instant::now());
        let sleep = retry_at.map_or(LONGEST_SLEEP, |at| at.saturating_duration_since(Instant::now()));
        tokio::select! {
            () = shared.work.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
    shared.changed.notify_waiters();
}

/// What is to be deleted: what was retired, idle sessions that near their end, and in a drained pool all idle ones.
fn take_retired(shared: &Arc<Shared>) -> Vec<(Slot, Pooled)> {
    let mut state = shared.lock();
    let mut retired = std::mem::take(&mut state.retired);
    let is_closed = state.is_closed;
    let (stale, idle) = std::mem::take(&mut state.idle).into_iter().partition(|pooled| is_closed || !pooled.is_fresh());
    state.idle = idle;
    for pooled in stale {
        let permit = Arc::clone(&shared.slots).try_acquire_owned().ok();
        if permit.is_none() && !is_closed {
            // Somebody has the permit and is about to take a session: this one, or one whose permit comes back.
            state.idle.push(pooled);
            continue;
        }
        state.deleting += 1;
        retired.push((Slot { shared: Arc::clone(shared), role: Role::Deleting, permit }, pooled));
    }
    retired
}

/// Room for the sessions that are missing, as far as there is any, and unless a creation has just failed.
fn slots_to_refill(shared: &Arc<Shared>) -> Vec<Slot> {
    let mut slots = Vec::new();
    let mut state = shared.lock();
    if state.is_closed || state.retry_at.is_some_and(|at| at > Instant::now()) {
        return slots;
    }
    while state.idle.len() + state.lent + state.creating < shared.limits.min {
        let Ok(permit) = Arc::clone(&shared.slots).try_acquire_owned() else { break };
        if state.idle.len() > shared.slots.available_permits() {
            break;
        }
        state.creating += 1;
        slots.push(Slot { shared: Arc::clone(shared), role: Role::Creating, permit: Some(permit) });
    }
    slots
}

async fn refill(slot: Slot) {
    let shared = Arc::clone(&slot.shared);
    match shared.create().await {
        Ok(pooled) => {
            let mut state = shared.lock();
            (state.failures, state.retry_at) = (0, None);
            drop(state);
            take_back(slot, pooled);
        }
        Err(failed) => {
            let mut state = shared.lock();
            // Creations that fail together count once.
            if state.retry_at.is_none_or(|at| at <= Instant::now()) {
                state.failures += 1;
                state.retry_at = Instant::now().checked_add(pause(state.failures, LONGEST_CREATE_PAUSE));
            }
            drop(state);
            let error = keep_room(slot, failed);
            tracing::warn!(target: "agb::pool", error = error.message(), "refilling the pool failed");
        }
    }
}

#[cfg(test)]
mod tests;
