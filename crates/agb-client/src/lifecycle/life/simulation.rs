//! A day of a thousand programs on a manual clock: lives as the client knows them, and its registry, against the sessions of
//! the emulator. Calls, holds, faults and ends come at random, from a seed; nothing waits for real time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use agb_emulator::Timekeeper;

use super::super::beat::KeepAliveMode;
use super::super::registry::{Registry, Scope};
use super::*;
use crate::agb::Agb;
use crate::testing::owned_by;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const PROGRAMS: usize = 1_000;
/// Within this the client's reckoning has to agree with the service, which tells its own in whole milliseconds.
const TOLERANCE: Duration = Duration::from_millis(1);
/// What a session may have beyond its idle time-out: the service releases late, never early.
const GRACE: Duration = Duration::from_secs(3);
/// How often it is looked which sessions the service has at all.
const INSPECTION: Duration = Duration::from_secs(600);

/// One program with one session at a time.
struct Program {
    agb: Agb,
    session_id: String,
    life: Life,
    timeout: Duration,
    created: Instant,
    hold: Option<Hold>,
    /// It held the session all the time since then, and began early enough for a beat that fails to be repeated.
    held_since: Option<Instant>,
    /// Keep-alives that fail until then, as the service does not answer for a while.
    down_until: Option<Instant>,
    /// When the engine looks next; what was planned before is void.
    next_look: Instant,
}

impl Program {
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
    /// It ends, in a way that its registry hears of.
    Exits,
    /// It ends, and nobody hears of it.
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The engine looks after the life.
    Look,
    /// The program does something.
    Act,
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
}

struct World {
    service: Timekeeper,
    registry: Registry,
    clock: Clock,
    start: Instant,
    random: fastrand::Rng,
    programs: Vec<Program>,
    /// Sessions that nobody owns any more, and when they are gone at the latest.
    abandoned: BTreeMap<String, Instant>,
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
            registry: Registry::default(),
            start,
            clock,
            random: fastrand::Rng::with_seed(seed),
            programs: Vec::new(),
            abandoned: BTreeMap::new(),
            queue: BinaryHeap::new(),
            next_inspection: start + INSPECTION,
            counts: Counts::default(),
        };
        for index in 0..PROGRAMS {
            let agb = owned_by(&origin, index as u64);
            let program = world.program(agb);
            world.programs.push(program);
            world.schedule(index, world.start, Event::Look);
            world.schedule(index, world.start, Event::Act);
        }
        world
    }

    fn program(&mut self, agb: Agb) -> Program {
        self.counts.sessions += 1;
        let asked = self.clock.moment();
        let timeout = Duration::from_secs(self.random.u64(20..=600));
        let session_id = self.service.create(timeout).unwrap();
        let life = agb.life_of_new(&session_id, Some(timeout), asked);
        self.registry.add_created(&agb, &session_id, "image", &life);
        let mode = if self.random.bool() { KeepAliveMode::Always } else { KeepAliveMode::WhileHeld };
        life.start_beating(KeepAliveOptions { mode, ..Default::default() }).unwrap();
        let (created, next_look) = (asked.at, asked.at);
        let (hold, held_since, down_until) = (None, None, None);
        Program { agb, session_id, life, timeout, created, hold, held_since, down_until, next_look }
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
            }
        }
    }

    fn is_alive(&self, index: usize) -> bool {
        self.service.is_alive(&self.programs[index].session_id)
    }

    /// No session dies while it is held, none is alive that nobody owns, and the client's reckoning agrees.
    fn inspect(&mut self) {
        let now = self.clock.now();
        for (index, program) in self.programs.iter().enumerate() {
            if !self.is_alive(index) {
                assert!(!program.is_kept() || program.is_at_cap(now), "session {index} died early: {:?}", program.life);
                continue;
            }
            let view = program.life.view();
            let Some(served) = self.service.session(&program.session_id).filter(|_| view.release.is_none()) else {
                continue;
            };
            let left = Duration::from_secs_f64(served.lifetime_left_s);
            assert!(view.lifetime_remaining.unwrap().abs_diff(left) <= TOLERANCE, "{index}: {view:?}, {served:?}");
            // A call or a beat whose answer got lost has moved the service's timer alone.
            let reckoned = view.idle_remaining.unwrap().min(view.lifetime_remaining.unwrap());
            let left = Duration::from_secs_f64(served.time_left_s);
            assert!(reckoned <= left + TOLERANCE, "{index}: {view:?}, {served:?}");
        }
        let owned: BTreeSet<&String> = self.programs.iter().map(|program| &program.session_id).collect();
        let alive: BTreeSet<String> = self.service.alive().into_iter().collect();
        for id in alive.iter().filter(|id| !owned.contains(id)) {
            let end = self.abandoned.get(id).unwrap_or_else(|| panic!("{id} was released and is alive"));
            assert!(now <= *end, "{id} outlived its program");
        }
        self.abandoned.retain(|_, end| now <= *end);
        let registered: BTreeSet<String> = self.registry.left().0.into_iter().collect();
        assert!(owned.iter().all(|id| registered.contains(*id) || !alive.contains(*id)), "a session is not registered");
        assert!(registered.iter().all(|id| owned.contains(id)), "a session without a program is registered");
    }

    fn look(&mut self, index: usize) {
        let now = self.clock.now();
        let step = self.programs[index].life.step(now);
        if step.beat.is_some() && self.programs[index].life.begin_beat().is_some() {
            let is_down = self.programs[index].down_until.is_some_and(|until| now < until);
            let outcome = self.ask(index, is_down);
            match &outcome {
                Ok(()) => self.counts.beats += 1,
                Err(_) => self.counts.failed_beats += 1,
            }
            self.programs[index].life.beaten(&outcome);
            self.schedule(index, now, Event::Look);
        } else if let Some(next) = step.next {
            self.schedule(index, next.max(now + Duration::from_millis(1)), Event::Look);
        }
    }

    /// One request: in ten it gets lost, or its answer does.
    fn ask(&mut self, index: usize, is_down: bool) -> Result<()> {
        let lost = || Err(Error::new(ErrorKind::Network, "lost"));
        let chance = self.random.u8(0..20);
        if is_down || chance == 0 {
            return lost();
        }
        if !self.service.call(&self.programs[index].session_id) {
            return Err(Error::new(ErrorKind::SessionNotFound, "gone"));
        }
        if chance == 1 { lost() } else { Ok(()) }
    }

    fn act(&mut self, index: usize) {
        let now = self.clock.now();
        let pause = Duration::from_secs(self.random.u64(5..=400));
        match self.random.u8(0..100) {
            _ if !self.is_alive(index) => self.find_gone(index),
            0..1 => self.end(index, End::Deletes),
            1..2 => self.end(index, End::Exits),
            2..3 => self.end(index, End::Killed),
            3..60 => self.call(index),
            60..80 => self.take_or_drop_hold(index),
            80..90 => {
                // Shorter than what is left of the time-out when the first beat comes, and not one upon the other.
                let program = &mut self.programs[index];
                if program.down_until.is_none_or(|until| now > until + program.timeout) {
                    program.down_until = Some(now + program.timeout.mul_f64(0.2));
                }
            }
            _ => {}
        }
        self.schedule(index, now, Event::Look);
        self.schedule(index, now + pause, Event::Act);
    }

    fn call(&mut self, index: usize) {
        let call = self.programs[index].life.begin();
        match self.ask(index, false) {
            Ok(()) => {
                self.counts.calls += 1;
                call.finished();
            }
            Err(_) => self.counts.failed_calls += 1,
        }
    }

    fn take_or_drop_hold(&mut self, index: usize) {
        let now = self.clock.now();
        let program = &mut self.programs[index];
        if program.hold.take().is_some() {
            program.held_since = None;
            return;
        }
        program.hold = Some(program.life.hold());
        let left = program.life.view().idle_remaining.unwrap();
        program.held_since = (left > program.timeout.mul_f64(0.3)).then_some(now);
    }

    /// The program meets the end of its session, and makes another.
    fn find_gone(&mut self, index: usize) {
        let program = &self.programs[index];
        let now = self.clock.now();
        assert!(!program.is_kept() || program.is_at_cap(now), "session {index} died early: {:?}", program.life);
        program.life.gone();
        self.registry.remove(&program.agb, &program.session_id);
        self.begin_anew(index);
    }

    fn end(&mut self, index: usize, end: End) {
        let program = &self.programs[index];
        let (agb, id) = (program.agb.clone(), program.session_id.clone());
        match end {
            End::Deletes => {
                let deletion = program.life.begin_deletion();
                assert_eq!(program.life.step(self.clock.now()).beat, None);
                assert!(self.service.release(&id));
                deletion.done();
                self.registry.remove(&agb, &id);
            }
            End::Exits => {
                self.counts.exits += 1;
                let claims = self.registry.claim(Scope::Owner(index as u64));
                assert!(claims.iter().any(|claim| claim.key.session_id == id), "{index} does not release {id}");
                for claim in claims {
                    self.service.release(&claim.key.session_id);
                    self.registry.settle(&claim.key);
                }
            }
            End::Killed => {
                self.counts.killed += 1;
                // Its registry dies with it.
                self.registry.remove(&agb, &id);
                self.abandoned.insert(id, self.clock.now() + program.timeout + GRACE);
            }
        }
        self.begin_anew(index);
    }

    fn begin_anew(&mut self, index: usize) {
        let agb = self.programs[index].agb.clone();
        let fresh = self.program(agb);
        self.programs[index] = fresh;
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
    let Counts { sessions, beats, failed_beats, calls, failed_calls, exits, killed } = world.counts;
    let counts = &world.counts;
    assert!(sessions > 40_000 && beats > 100_000 && failed_beats > 10_000, "{counts:?}");
    assert!(calls > 150_000 && failed_calls > 10_000 && exits > 3_000 && killed > 3_000, "{counts:?}");
    world.service.close().await;
}
