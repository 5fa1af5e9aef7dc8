//! A day of a thousand programs on a manual clock: lives as the client knows them, and its registry, against the sessions of
//! the emulator. Calls, holds, faults and ends come at random, from a seed; nothing waits for real time.
//!
//! What `agb/recover.rs`, `session/life.rs` and `release.rs` do over the wire is done here step by step, at their times and
//! with the real registry: looking for a session whose creation got no answer, giving one up, releasing at an end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use agb_emulator::Timekeeper;

use super::super::beat::KeepAliveMode;
use super::super::registry::{Creating, Registry, Scope};
use super::*;
use crate::agb::Agb;
use crate::agb::recover::{EARLY_LOOKS_MS, LAST_LOOKS_EVERY, LATE_LOOKS_S};
use crate::session::ABANDON_PAUSES_MS;
use crate::testing::{EXIT_LIMIT, owned_by};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const PROGRAMS: usize = 1_000;
/// Within this the client's reckoning has to agree with the service, which tells its own in whole milliseconds.
const TOLERANCE: Duration = Duration::from_millis(1);
/// What a session may have beyond its idle time-out: the service releases late, never early.
const GRACE: Duration = Duration::from_secs(3);
/// How often it is looked which sessions the service has at all.
const INSPECTION: Duration = Duration::from_secs(600);

/// Between two things that a program does. A creation that it waits for is decided by then.
const SHORTEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a release is asked for at an end: over the open connections, then over new ones.
const WAYS: usize = 2;
/// A creation that the service gets to late comes within this.
const LATEST_CREATION_S: u64 = 90;

/// One program with one session at a time.
struct Program {
    agb: Agb,
    /// `None` while one is being created, or none could be.
    session: Option<Kept>,
    /// Keep-alives and creations that fail until then, as the service does not answer for a while.
    down_until: Option<Instant>,
    /// When the engine looks next; what was planned before is void.
    next_look: Instant,
    /// Counts its ends: who has waited for a creation before one of them waits no more.
    run: u64,
}

impl Program {
    fn kept(&self) -> &Kept {
        self.session.as_ref().unwrap()
    }

    fn is_down(&self, now: Instant) -> bool {
        self.down_until.is_some_and(|until| now < until)
    }
}

/// The session of a program.
struct Kept {
    session_id: String,
    life: Life,
    timeout: Duration,
    created: Instant,
    /// How much later the service may have made it.
    slack: Duration,
    hold: Option<Hold>,
    /// It held the session all the time since then, and began early enough for a beat that fails to be repeated.
    held_since: Option<Instant>,
}

impl Kept {
    fn is_at_cap(&self, now: Instant) -> bool {
        now >= self.created + MAXIMUM_LIFETIME
    }

    fn is_kept(&self) -> bool {
        self.held_since.is_some() || self.life.beating().unwrap().mode == KeepAliveMode::Always
    }
}

/// How a program gives its session up.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It deletes it.
    Deletes,
    /// A part of its process ends: what can't be released stays registered until the next end.
    Exits,
    /// The process ends, in a way that its registry hears of: what can't be released is left to its time-out.
    Leaves,
    /// It ends, and nobody hears of it.
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The engine looks after the life.
    Look,
    /// The program does something.
    Act,
    /// Something goes on that no program waits for: its number.
    Go(u64),
}

/// What goes on beside a program, step by step.
enum Task {
    /// The service gets to a creation that was given up.
    Creation { key: u64, timeout: Duration },
    /// A session is looked for whose creation got no answer.
    Search(Search),
    /// The engine looks after the life of a session that no program has any more, as long as that wants it.
    Look { session_id: String, life: Life },
    /// A session that nobody will use is released.
    Abandon { agb: Agb, session_id: String, life: Life, attempt: usize },
}

struct Search {
    agb: Agb,
    key: u64,
    timeout: Duration,
    asked: Moment,
    looks: usize,
    /// Which run of the program waits for it.
    run: u64,
    _creating: Creating<'static>,
}

impl Search {
    /// The pause before the next look; `None`: there is none.
    fn pause(&self) -> Option<Duration> {
        let early = EARLY_LOOKS_MS.map(Duration::from_millis);
        early.into_iter().chain(LATE_LOOKS_S.map(Duration::from_secs)).nth(self.looks)
    }

    fn is_early(&self) -> bool {
        self.looks < EARLY_LOOKS_MS.len()
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    sessions: u64,
    beats: u64,
    failed_beats: u64,
    calls: u64,
    failed_calls: u64,
    exits: u64,
    killed: u64,
    /// Creations without an answer: of these, sessions that were used all the same, and that were given up.
    lost_creations: u64,
    adopted: u64,
    turned_up: u64,
    /// Releases without an acknowledgement.
    failed_releases: u64,
    /// Sessions that an end has left over, and of these, those that the next one released.
    left_over: u64,
    released_later: u64,
}

struct World {
    service: Timekeeper,
    registry: &'static Registry,
    clock: Clock,
    start: Instant,
    random: fastrand::Rng,
    programs: Vec<Program>,
    /// Sessions that no program uses and whose release is not acknowledged, and when they are gone at the latest.
    abandoned: BTreeMap<String, Instant>,
    /// Those of them that stay registered.
    left: BTreeSet<String>,
    /// What came of creations whose answer got lost, as the list of sessions tells by their labels.
    by_key: BTreeMap<u64, String>,
    tasks: BTreeMap<u64, (usize, Task)>,
    numbers: u64,
    queue: BinaryHeap<Reverse<(Instant, usize, Event)>>,
    next_inspection: Instant,
    counts: Counts,
}

impl World {
    async fn new(seed: u64) -> Self {
        // Of this thread; the jitter of beats and pauses comes from it.
        fastrand::seed(seed);
        // Of this world alone: others may be under way beside it.
        let origin = format!("http://day-{seed}.test");
        let clock = Clock::manual_of_service(&origin);
        let start = clock.now();
        let mut world = Self {
            service: Timekeeper::start(seed).await.unwrap(),
            registry: Box::leak(Box::default()),
            start,
            clock,
            random: fastrand::Rng::with_seed(seed),
            programs: Vec::new(),
            abandoned: BTreeMap::new(),
            left: BTreeSet::new(),
            by_key: BTreeMap::new(),
            tasks: BTreeMap::new(),
            numbers: 0,
            queue: BinaryHeap::new(),
            next_inspection: start + INSPECTION,
            counts: Counts::default(),
        };
        for index in 0..PROGRAMS {
            let agb = owned_by(&origin, index as u64);
            world.programs.push(Program { agb, session: None, down_until: None, next_look: start, run: 0 });
            world.create(index);
            world.schedule(index, world.start + SHORTEST_PAUSE, Event::Act);
        }
        world
    }

    /// A program asks for a session. One creation in twenty gets lost, in twenty the answer, in twenty the service gets to
    /// it only after it was given up.
    fn create(&mut self, index: usize) {
        let asked = self.clock.moment();
        let timeout = Duration::from_secs(self.random.u64(20..=600));
        let agb = self.programs[index].agb.clone();
        let creating = self.registry.creating(&agb).unwrap();
        let chance = self.random.u8(0..20);
        if chance > 2 && !self.programs[index].is_down(asked.at) {
            let session_id = self.service.create(timeout).unwrap();
            let life = agb.life_of_new(&session_id, Some(timeout), asked);
            self.registry.add_created(&agb, &session_id, "image", &life);
            return self.keep(index, session_id, life, timeout, asked);
        }
        self.counts.lost_creations += 1;
        let key = self.number();
        match chance {
            1 => self.created_unseen(key, timeout),
            2 => {
                let delay = Duration::from_secs(self.random.u64(1..=LATEST_CREATION_S));
                self.begin(index, Task::Creation { key, timeout }, delay);
            }
            _ => {}
        }
        let run = self.programs[index].run;
        let search = Search { agb, key, timeout, asked, looks: 0, run, _creating: creating };
        self.begin(index, Task::Search(search), Duration::ZERO);
    }

    fn created_unseen(&mut self, key: u64, timeout: Duration) {
        let session_id = self.service.create(timeout).unwrap();
        self.abandon(&session_id, timeout);
        self.by_key.insert(key, session_id);
    }

    /// From now on only its time-out ends it for sure.
    fn abandon(&mut self, session_id: &str, timeout: Duration) {
        self.abandoned.insert(session_id.to_owned(), self.clock.now() + timeout + GRACE);
    }

    fn keep(&mut self, index: usize, session_id: String, life: Life, timeout: Duration, asked: Moment) {
        self.counts.sessions += 1;
        let mode = if self.random.bool() { KeepAliveMode::Always } else { KeepAliveMode::WhileHeld };
        life.start_beating(KeepAliveOptions { mode, ..Default::default() }).unwrap();
        let slack = self.clock.now() - asked.at;
        let kept = Kept { session_id, life, timeout, created: asked.at, slack, hold: None, held_since: None };
        assert!(self.programs[index].session.replace(kept).is_none());
        self.schedule(index, self.clock.now(), Event::Look);
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn begin(&mut self, index: usize, task: Task, pause: Duration) {
        let number = self.number();
        self.tasks.insert(number, (index, task));
        self.schedule(index, self.clock.now() + pause, Event::Go(number));
    }

    fn go(&mut self, number: u64) {
        match self.tasks.remove(&number) {
            // Its service knows nothing of the program's end.
            Some((_, Task::Creation { key, timeout })) => self.created_unseen(key, timeout),
            Some((index, Task::Search(search))) => self.look_for(index, search),
            Some((index, Task::Abandon { agb, session_id, life, attempt })) => {
                if self.release(index, &session_id) {
                    self.registry.remove(&agb, &session_id);
                } else if let Some(pause) = ABANDON_PAUSES_MS.get(attempt + 1).copied() {
                    let again = Task::Abandon { agb, session_id, life, attempt: attempt + 1 };
                    self.begin(index, again, Duration::from_millis(pause));
                } else {
                    self.left.insert(session_id);
                }
            }
            Some((index, Task::Look { session_id, life })) => {
                if let Some(next) = self.look_after(index, &life, &session_id) {
                    let pause = next.saturating_duration_since(self.clock.now()).max(Duration::from_millis(1));
                    self.begin(index, Task::Look { session_id, life }, pause);
                }
            }
            None => {}
        }
    }

    fn look_for(&mut self, index: usize, mut search: Search) {
        let found = self.find(index, search.key);
        let has_caller = search.is_early() && self.programs[index].run == search.run;
        let Search { agb, timeout, asked, .. } = &search;
        if let Some(session_id) = found {
            let life = match search.is_early() {
                true => agb.life_of_new(&session_id, Some(*timeout), *asked),
                false => agb.life_of_found(&session_id),
            };
            self.registry.add_created(agb, &session_id, "image", &life);
            if has_caller && self.ask_session(index, &life, &session_id).is_ok() {
                self.counts.adopted += 1;
                self.abandoned.remove(&session_id);
                return self.keep(index, session_id, life, *timeout, *asked);
            }
            self.counts.turned_up += 1;
            let (agb, bound) = (agb.clone(), *timeout);
            self.abandon(&session_id, bound);
            self.left.insert(session_id.clone());
            // A creation that can't be finished is given up with one request.
            let attempt = if has_caller { ABANDON_PAUSES_MS.len() - 1 } else { 0 };
            self.begin(index, Task::Abandon { agb, session_id, life, attempt }, Duration::ZERO);
            return;
        }
        search.looks += 1;
        if let Some(pause) = search.pause() {
            self.begin(index, Task::Search(search), pause);
        }
    }

    /// A session whose creation got no answer, if it is there and the list of sessions comes through.
    fn find(&mut self, index: usize, key: u64) -> Option<String> {
        let is_lost = self.random.u8(0..10) == 0 || self.programs[index].is_down(self.clock.now());
        self.by_key.get(&key).filter(|id| !is_lost && self.service.is_alive(id)).cloned()
    }

    /// Asks for a release: in ten it gets lost, or its acknowledgement does. Was it acknowledged?
    fn release(&mut self, index: usize, session_id: &str) -> bool {
        let chance = self.random.u8(0..20);
        if chance == 0 || self.programs[index].is_down(self.clock.now()) {
            self.counts.failed_releases += 1;
            return false;
        }
        self.service.release(session_id);
        if chance == 1 {
            self.counts.failed_releases += 1;
            return false;
        }
        self.abandoned.remove(session_id);
        self.left.remove(session_id);
        true
    }

    fn schedule(&mut self, index: usize, at: Instant, event: Event) {
        if event == Event::Look {
            self.programs[index].next_look = at;
        }
        self.queue.push(Reverse((at, index, event)));
    }

    async fn run(&mut self, time: Duration) {
        while let Some(Reverse((at, index, event))) = self.queue.pop() {
            if at > self.start + time {
                return;
            }
            if event == Event::Look && at != self.programs[index].next_look {
                continue;
            }
            let ahead = at.saturating_duration_since(self.clock.now());
            self.clock.advance(ahead);
            self.service.advance(ahead).await;
            if at >= self.next_inspection {
                self.next_inspection = at + INSPECTION;
                self.inspect();
            }
            match event {
                Event::Look => self.look(index),
                Event::Act => self.act(index),
                Event::Go(number) => self.go(number),
            }
        }
    }

    /// No session dies while it is held, none is alive that nobody owns, and the client's reckoning agrees.
    fn inspect(&mut self) {
        let now = self.clock.now();
        for (index, kept) in
            self.programs.iter().enumerate().filter_map(|(index, program)| Some((index, program.session.as_ref()?)))
        {
            if !self.service.is_alive(&kept.session_id) {
                assert!(!kept.is_kept() || kept.is_at_cap(now), "session {index} died early: {:?}", kept.life);
                continue;
            }
            let view = kept.life.view();
            let Some(served) = self.service.session(&kept.session_id).filter(|_| view.release.is_none()) else {
                continue;
            };
            let left = Duration::from_secs_f64(served.lifetime_left_s);
            let apart = view.lifetime_remaining.unwrap().abs_diff(left);
            assert!(apart <= TOLERANCE + kept.slack, "{index}: {view:?}, {served:?}");
            // A call or a beat whose answer got lost has moved the service's timer alone.
            let reckoned = view.idle_remaining.unwrap().min(view.lifetime_remaining.unwrap());
            let left = Duration::from_secs_f64(served.time_left_s);
            assert!(reckoned <= left + TOLERANCE, "{index}: {view:?}, {served:?}");
        }
        let sessions = self.programs.iter().filter_map(|program| program.session.as_ref());
        let owned: BTreeSet<&String> = sessions.map(|kept| &kept.session_id).collect();
        let alive: BTreeSet<String> = self.service.alive().into_iter().collect();
        for id in alive.iter().filter(|id| !owned.contains(id)) {
            let end = self.abandoned.get(id).unwrap_or_else(|| panic!("{id} was released and is alive"));
            assert!(now <= *end, "{id} outlived its program");
        }
        self.abandoned.retain(|_, end| now <= *end);
        let (registered, creating) = self.registry.left();
        let registered: BTreeSet<String> = registered.into_iter().collect();
        assert!(owned.iter().all(|id| registered.contains(*id) || !alive.contains(*id)), "a session is not registered");
        let is_known = |id: &String| owned.contains(id) || self.left.contains(id);
        assert!(registered.iter().all(is_known), "a session without a program is registered");
        let searches = self.tasks.values().filter(|(_, task)| matches!(task, Task::Search(_))).count();
        assert_eq!(creating, searches, "what is being created is known to whoever ends");
    }

    fn look(&mut self, index: usize) {
        let now = self.clock.now();
        let Some(kept) = &self.programs[index].session else { return };
        let (life, session_id) = (kept.life.clone(), kept.session_id.clone());
        if let Some(next) = self.look_after(index, &life, &session_id) {
            self.schedule(index, next.max(now + Duration::from_millis(1)), Event::Look);
        }
    }

    /// What the engine does for a life, and when it looks again.
    fn look_after(&mut self, index: usize, life: &Life, session_id: &str) -> Option<Instant> {
        let now = self.clock.now();
        let step = life.step(now);
        if step.beat.is_none() || life.begin_beat().is_none() {
            return step.next.filter(|_| life.is_watched());
        }
        let outcome = self.ask(session_id, self.programs[index].is_down(now));
        match &outcome {
            Ok(()) => self.counts.beats += 1,
            Err(_) => self.counts.failed_beats += 1,
        }
        life.beaten(&outcome);
        life.is_watched().then_some(now)
    }

    /// A call of a program that holds the timer.
    fn ask_session(&mut self, index: usize, life: &Life, session_id: &str) -> Result<()> {
        let call = life.begin();
        let outcome = self.ask(session_id, self.programs[index].is_down(self.clock.now()));
        if outcome.is_ok() {
            call.finished();
        }
        outcome
    }

    /// One request: in ten it gets lost, or its answer does.
    fn ask(&mut self, session_id: &str, is_down: bool) -> Result<()> {
        let lost = || Err(Error::new(ErrorKind::Network, "lost"));
        let chance = self.random.u8(0..20);
        if is_down || chance == 0 {
            return lost();
        }
        if !self.service.call(session_id) {
            return Err(Error::new(ErrorKind::SessionNotFound, "gone"));
        }
        if chance == 1 { lost() } else { Ok(()) }
    }

    fn act(&mut self, index: usize) {
        let now = self.clock.now();
        let pause = Duration::from_secs(self.random.u64(SHORTEST_PAUSE.as_secs()..=400));
        let is_alive = self.programs[index].session.as_ref().map(|kept| self.service.is_alive(&kept.session_id));
        match (self.random.u8(0..100), is_alive) {
            (1..2, _) => self.end(index, End::Exits),
            (2..3, _) => self.end(index, End::Leaves),
            (3..4, _) => self.end(index, End::Killed),
            (_, None) => self.create(index),
            (_, Some(false)) => self.find_gone(index),
            (0..1, _) => self.end(index, End::Deletes),
            (4..60, _) => self.call(index),
            (60..80, _) => self.take_or_drop_hold(index),
            (80..90, _) => {
                // Shorter than what is left of the time-out when the first beat comes, and not one upon the other.
                let program = &mut self.programs[index];
                let timeout = program.kept().timeout;
                if program.down_until.is_none_or(|until| now > until + timeout) {
                    program.down_until = Some(now + timeout.mul_f64(0.2));
                }
            }
            _ => {}
        }
        self.schedule(index, now, Event::Look);
        self.schedule(index, now + pause, Event::Act);
    }

    fn call(&mut self, index: usize) {
        let kept = self.programs[index].kept();
        let (life, session_id) = (kept.life.clone(), kept.session_id.clone());
        let call = life.begin();
        match self.ask(&session_id, false) {
            Ok(()) => {
                self.counts.calls += 1;
                call.finished();
            }
            Err(_) => self.counts.failed_calls += 1,
        }
    }

    fn take_or_drop_hold(&mut self, index: usize) {
        let now = self.clock.now();
        let kept = self.programs[index].session.as_mut().unwrap();
        if kept.hold.take().is_some() {
            kept.held_since = None;
            return;
        }
        kept.hold = Some(kept.life.hold());
        let left = kept.life.view().idle_remaining.unwrap();
        kept.held_since = (left > kept.timeout.mul_f64(0.3)).then_some(now);
    }

    /// The program meets the end of its session, and makes another.
    fn find_gone(&mut self, index: usize) {
        let kept = self.programs[index].session.take().unwrap();
        let now = self.clock.now();
        assert!(!kept.is_kept() || kept.is_at_cap(now), "session {index} died early: {:?}", kept.life);
        kept.life.gone();
        self.registry.remove(&self.programs[index].agb, &kept.session_id);
        self.create(index);
    }

    fn end(&mut self, index: usize, end: End) {
        let kept = self.programs[index].session.take();
        if let Some(kept) = &kept {
            self.abandon(&kept.session_id, kept.timeout);
            let (session_id, life) = (kept.session_id.clone(), kept.life.clone());
            self.begin(index, Task::Look { session_id, life }, Duration::ZERO);
        }
        match (end, kept) {
            (End::Deletes, Some(kept)) => self.delete(index, kept),
            (End::Deletes, None) => {}
            (End::Exits, _) => {
                self.counts.exits += 1;
                self.release_owned(index);
            }
            (End::Leaves, _) => {
                self.counts.exits += 1;
                self.find_before_the_end(index);
                self.release_owned(index);
                self.forget(index);
            }
            (End::Killed, _) => {
                self.counts.killed += 1;
                self.forget(index);
            }
        }
        self.programs[index].run += 1;
        self.create(index);
    }

    /// A deletion that fails is repeated, as at the end of a block.
    fn delete(&mut self, index: usize, kept: Kept) {
        let Kept { session_id, life, .. } = kept;
        let deletion = life.begin_deletion();
        assert_eq!(life.step(self.clock.now()).beat, None);
        let agb = self.programs[index].agb.clone();
        if self.release(index, &session_id) {
            deletion.done();
            self.registry.remove(&agb, &session_id);
            return;
        }
        drop(deletion);
        life.stop_beating();
        self.left.insert(session_id.clone());
        self.begin(index, Task::Abandon { agb, session_id, life, attempt: 0 }, Duration::ZERO);
    }

    /// Only what is acknowledged is settled.
    fn release_owned(&mut self, index: usize) {
        for claim in self.registry.claim(Scope::Owner(index as u64)) {
            let id = &claim.key.session_id;
            let was_left = self.left.contains(id);
            if (0..WAYS).any(|_| self.release(index, id)) {
                self.counts.released_later += u64::from(was_left);
                self.registry.settle(&claim.key);
                continue;
            }
            self.counts.left_over += 1;
            self.left.insert(id.clone());
            self.registry.let_go([&claim.key]);
        }
    }

    /// Whoever looks for a session looks again and again while the process ends, as long as a release may take.
    fn find_before_the_end(&mut self, index: usize) {
        let is_own = |(_, (owner, task)): &(&u64, &(usize, Task))| *owner == index && matches!(task, Task::Search(_));
        let numbers: Vec<u64> = self.tasks.iter().filter(is_own).map(|(number, _)| *number).collect();
        for number in numbers {
            let Some((_, Task::Search(search))) = self.tasks.remove(&number) else { continue };
            let looks = EXIT_LIMIT.as_millis() / LAST_LOOKS_EVERY.as_millis();
            let Some(id) = (0..looks).find_map(|_| self.find(index, search.key)) else { continue };
            self.counts.turned_up += 1;
            self.registry.add_created(&search.agb, &id, "image", &search.agb.life_of_found(&id));
        }
    }

    /// The process is gone, its registry and all that went on there.
    fn forget(&mut self, index: usize) {
        for claim in self.registry.claim(Scope::Owner(index as u64)) {
            self.left.remove(&claim.key.session_id);
            self.registry.settle(&claim.key);
        }
        self.tasks.retain(|_, (owner, task)| *owner != index || matches!(task, Task::Creation { .. }));
    }
}

#[tokio::test]
async fn one_seed_gives_one_day() {
    let hour = async |seed| {
        let mut world = World::new(seed).await;
        world.run(Duration::from_secs(3_600)).await;
        world.service.close().await;
        world.counts
    };
    let first = hour(7).await;
    assert_eq!(hour(7).await, first);
    assert_ne!(hour(8).await, first);
}

#[tokio::test]
async fn no_session_of_a_day_dies_while_it_is_held_and_none_is_alive_that_nobody_owns() {
    let mut world = World::new(20).await;
    world.run(DAY).await;
    world.inspect();
    let counts = &world.counts;
    let Counts { sessions, beats, failed_beats, calls, failed_calls, exits, killed, .. } = world.counts;
    assert!(sessions > 40_000 && beats > 100_000 && failed_beats > 10_000, "{counts:?}");
    assert!(calls > 150_000 && failed_calls > 10_000 && exits > 3_000 && killed > 3_000, "{counts:?}");
    let Counts { lost_creations, adopted, turned_up, failed_releases, left_over, released_later, .. } = world.counts;
    assert!(lost_creations > 5_000 && adopted > 1_000 && turned_up > 500, "{counts:?}");
    assert!(failed_releases > 500 && left_over > 50 && released_later > 10, "{counts:?}");
    world.service.close().await;
}
