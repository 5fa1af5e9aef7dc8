//! The engine that looks after the sessions of this process: it sends keep-alives, and tells of times that run out.
//!
//! It has a thread, a runtime and connections of its own, so that neither a blocked event loop nor a busy shared runtime
//! delays it. What is due is decided by [`Life`]; here it is only done. Everything runs on the clock of the session's
//! service, which an emulator in this process may move.

use std::collections::{BTreeSet, HashMap};
use std::iter;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use self::lane::Lane;
use super::{Clock, Life};
use crate::agb::Agb;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Deadline;

/// After so long a beat that got no answer makes room for others: what does not answer must not keep those waiting that
/// would be answered.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest sleep, for what may have been missed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

/// What the engine has to know to look after a life, once somebody wants it to.
#[derive(Default)]
pub(crate) struct Watch(OnceLock<Watched>);

struct Watched {
    number: u64,
    agb: Agb,
    session_id: String,
}

impl Watch {
    /// Has the engine look again at this life, also when it has forgotten it meanwhile.
    pub(super) fn changed(&self, life: &Life) {
        let Some(Watched { number, agb, session_id }) = self.0.get() else { return };
        ENGINE.lock().entries.entry(*number).or_insert_with(|| Entry {
            agb: agb.clone(),
            session_id: session_id.clone(),
            life: life.clone(),
            due: None,
            beats: 0,
        });
        ENGINE.look_again_at(*number);
    }
}

/// Has the engine look after a session from now on, as far as its life wants it.
///
/// # Errors
/// [`ErrorKind::Internal`] when the engine's thread can't be started.
pub(crate) fn watch(agb: &Agb, session_id: &str, life: &Life) -> Result<()> {
    ENGINE.start()?;
    life.watch().0.get_or_init(|| Watched {
        number: ENGINE.numbers.fetch_add(1, Ordering::Relaxed),
        agb: agb.clone(),
        session_id: session_id.to_owned(),
    });
    life.changed();
    Ok(())
}

/// The clock was moved.
pub(super) fn clock_moved() {
    ENGINE.wake.notify_one();
}

/// Time on `clock` until the engine has something to do there; `None`: nothing. An emulator that skips time asks, so as
/// not to skip what would have been done in it.
pub fn next_due(clock: &Clock) -> Option<Duration> {
    let due = ENGINE.lock().first_due(clock)?;
    Some(due.saturating_duration_since(clock.now()))
}

/// Waits until everything that is due on `clock` is done.
pub async fn settled(clock: &Clock) {
    loop {
        let progress = ENGINE.progress.notified();
        tokio::pin!(progress);
        progress.as_mut().enable();
        if ENGINE.is_settled(clock) {
            return;
        }
        ENGINE.wake.notify_one();
        progress.await;
    }
}

#[derive(Default)]
struct Engine {
    thread: OnceLock<std::result::Result<(), String>>,
    numbers: AtomicU64,
    plan: Mutex<Plan>,
    /// Whose life has changed since the last turn. A lock of its own: a listener that is told of an event may change a
    /// life. Taken after the plan's where both are.
    changed: Mutex<BTreeSet<u64>>,
    wake: Notify,
    /// A turn or a beat has ended.
    progress: Notify,
}

#[derive(Default)]
struct Plan {
    entries: HashMap<u64, Entry>,
    /// What is due on each clock, earliest first.
    queues: HashMap<usize, Queue>,
    /// The beats of each client, which have its connections.
    lanes: HashMap<usize, Lane>,
    /// What was due or has changed is being looked at: what comes of it is in no queue yet.
    is_turning: bool,
}

struct Entry {
    agb: Agb,
    session_id: String,
    life: Life,
    due: Option<Instant>,
    /// Those that are under way: the next may be wanted before it is noted that one has ended.
    beats: usize,
}

impl Entry {
    fn beat(&self, number: u64) -> Beat {
        Beat { number, agb: self.agb.clone(), session_id: self.session_id.clone(), life: self.life.clone() }
    }
}

/// A beat that begins.
struct Beat {
    number: u64,
    agb: Agb,
    session_id: String,
    life: Life,
}

/// The room that a beat takes in its lane, until this is dropped.
struct Room {
    engine: &'static Engine,
    lane: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.engine.lock().leave(self.lane);
        self.engine.wake.notify_one();
    }
}

/// Sends one, which makes room when it is answered, or after a while.
async fn beat(agb: &Agb, session_id: &str, deadline: Deadline, room: Room) -> Result<()> {
    let mut answer = pin!(agb.beat(session_id, deadline));
    if let Ok(outcome) = tokio::time::timeout(PATIENCE, &mut answer).await {
        return outcome;
    }
    drop(room);
    answer.await
}

struct Queue {
    clock: Clock,
    due: BTreeSet<(Instant, u64)>,
    beats_under_way: usize,
}

impl Engine {
    fn start(&'static self) -> Result<()> {
        let started = self.thread.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            let thread = std::thread::Builder::new().name("agb-keep-alive".to_owned());
            let run = move || runtime.block_on(self.run());
            thread.spawn(run).map(drop).map_err(|error| error.to_string())
        });
        started.clone().map_err(|why| Error::new(ErrorKind::Internal, format!("keep-alives can't be sent: {why}")))
    }

    async fn run(&'static self) {
        loop {
            let sleep = self.turn();
            self.progress.notify_waiters();
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Does what is due, and says how long nothing will be.
    fn turn(&'static self) -> Duration {
        let mut plan = self.lock();
        let changed = std::mem::take(&mut *self.changed());
        let numbers = plan.take_due(changed);
        plan.is_turning = true;
        drop(plan);
        for number in numbers {
            self.look_at(number);
        }
        let mut plan = self.lock();
        let beats = plan.take_beats();
        drop(plan);
        for beat in beats {
            self.send(beat);
        }
        let mut plan = self.lock();
        plan.is_turning = false;
        plan.sleep()
    }

    fn look_at(&self, number: u64) {
        // Not under the lock: a step tells listeners.
        let Some(life) = self.lock().entries.get(&number).map(|entry| entry.life.clone()) else { return };
        let step = life.step(life.clock().now());
        let mut plan = self.lock();
        if !life.is_watched() && step.beat.is_none() {
            plan.forget(number);
            return;
        }
        plan.set_due(number, step.next);
        if let Some(end) = step.beat {
            plan.beat_wanted(number, end);
        }
    }

    fn send(&'static self, Beat { number, agb, session_id, life }: Beat) {
        // How long it may take is known only now: it may have waited.
        let limit = life.begin_beat();
        tokio::spawn(async move {
            let room = Room { engine: self, lane: agb.id() };
            if let Some(limit) = limit {
                let outcome = beat(&agb, &session_id, Deadline::after(limit), room).await;
                life.beaten(&outcome);
            }
            // In one: when the next one is due is known only after another look.
            let mut plan = self.lock();
            plan.beat_ended(number);
            self.look_again_at(number);
        });
    }

    fn look_again_at(&self, number: u64) {
        self.changed().insert(number);
        self.wake.notify_one();
    }

    fn is_settled(&self, clock: &Clock) -> bool {
        let plan = self.lock();
        if plan.is_turning || !self.changed().is_empty() {
            return false;
        }
        let Some(queue) = plan.queues.get(&clock.id()) else { return true };
        queue.beats_under_way == 0 && queue.due.first().is_none_or(|(due, _)| *due > clock.now())
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    /// Who is due by now, and who has `changed`, each once.
    fn take_due(&mut self, changed: BTreeSet<u64>) -> BTreeSet<u64> {
        let mut numbers = changed;
        for queue in self.queues.values_mut() {
            let now = queue.clock.now();
            while let Some((due, number)) = queue.due.first().copied()
                && due <= now
            {
                queue.due.pop_first();
                if let Some(entry) = self.entries.get_mut(&number) {
                    entry.due = None;
                }
                numbers.insert(number);
            }
        }
        numbers
    }

    fn set_due(&mut self, number: u64, due: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let clock = entry.life.clock();
        let queue = self.queues.entry(clock.id()).or_insert_with(|| Queue {
            clock: clock.clone(),
            due: BTreeSet::new(),
            beats_under_way: 0,
        });
        if let Some(known) = entry.due.take() {
            queue.due.remove(&(known, number));
        }
        if let Some(due) = due {
            queue.due.insert((due, number));
            entry.due = Some(due);
        }
    }

    /// A beat is to be sent, and answered by `end`.
    fn beat_wanted(&mut self, number: u64, end: Instant) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.beats += 1;
        if let Some(queue) = self.queues.get_mut(&entry.life.clock().id()) {
            queue.beats_under_way += 1;
        }
        let lane = self.lanes.entry(entry.agb.id()).or_insert_with(|| Lane::new(entry.agb.clock().clone()));
        lane.wait(end, number);
    }

    /// The beats that can be sent now.
    fn take_beats(&mut self) -> Vec<Beat> {
        let numbers: Vec<u64> = self.lanes.values_mut().flat_map(|lane| iter::from_fn(|| lane.next())).collect();
        // None is forgotten while its beat is wanted.
        let beats = numbers.into_iter().filter_map(|number| Some(self.entries.get(&number)?.beat(number)));
        beats.collect()
    }

    fn beat_ended(&mut self, number: u64) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.beats = entry.beats.saturating_sub(1);
        if let Some(queue) = self.queues.get_mut(&entry.life.clock().id()) {
            queue.beats_under_way = queue.beats_under_way.saturating_sub(1);
        }
    }

    fn leave(&mut self, lane: usize) {
        let Some(left) = self.lanes.get_mut(&lane) else { return };
        left.leave();
        if left.is_empty() {
            self.lanes.remove(&lane);
        }
    }

    /// Nobody wants news of this life any more; it is put back when somebody does.
    fn forget(&mut self, number: u64) {
        if self.entries.get(&number).is_some_and(|entry| entry.beats > 0) {
            return;
        }
        self.set_due(number, None);
        let Some(entry) = self.entries.remove(&number) else { return };
        let id = entry.life.clock().id();
        let is_last = !self.entries.values().any(|other| other.life.clock().id() == id);
        if is_last {
            self.queues.remove(&id);
        }
    }

    fn first_due(&self, clock: &Clock) -> Option<Instant> {
        self.queues.get(&clock.id())?.due.first().map(|(due, _)| *due)
    }

    fn sleep(&self) -> Duration {
        let waits = self.queues.values().filter_map(|queue| {
            let (due, _) = queue.due.first()?;
            Some(due.saturating_duration_since(queue.clock.now()))
        });
        waits.min().unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }
}

mod lane;
#[cfg(test)]
mod tests;
