//! A day of a thousand sessions on a manual clock: lives as the client knows them, against a service that only counts its
//! two times. Calls, holds and faults come at random, from a seed; nothing waits for real time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::beat::KeepAliveMode;
use super::*;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const SESSIONS: usize = 1_000;
/// The service may release late, never early.
const SERVICE_DELAY: Duration = Duration::from_secs(1);

/// What the service knows of a session.
struct Served {
    created: Instant,
    used: Instant,
    timeout: Duration,
}

impl Served {
    fn end(&self) -> Instant {
        (self.used + self.timeout + SERVICE_DELAY).min(self.created + MAXIMUM_LIFETIME)
    }

    fn is_alive(&self, now: Instant) -> bool {
        now < self.end()
    }
}

/// One program with one session at a time.
struct Program {
    life: Life,
    served: Served,
    hold: Option<Hold>,
    /// It held the session all the time since then, and began early enough for a beat that fails to be repeated.
    held_since: Option<Instant>,
    /// Keep-alives that fail from here on, as the service does not answer for a while.
    down_until: Option<Instant>,
    lives: u32,
    /// When the engine looks next; what was planned before is void.
    next_look: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The engine looks after the life.
    Look,
    /// The program does something.
    Act,
}

struct World {
    clock: Clock,
    start: Instant,
    random: fastrand::Rng,
    programs: Vec<Program>,
    queue: BinaryHeap<Reverse<(Instant, usize, Event)>>,
    beats: u64,
    failed_beats: u64,
    calls: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Clock::new();
        let mut world = Self {
            start: clock.now(),
            clock,
            random: fastrand::Rng::with_seed(seed),
            programs: Vec::new(),
            queue: BinaryHeap::new(),
            beats: 0,
            failed_beats: 0,
            calls: 0,
        };
        for index in 0..SESSIONS {
            let program = world.program();
            world.programs.push(program);
            world.schedule(index, world.start, Event::Look);
            world.schedule(index, world.start, Event::Act);
        }
        world
    }

    fn program(&mut self) -> Program {
        let now = self.clock.now();
        let timeout = Duration::from_secs(self.random.u64(20..=600));
        let life = Life::of_new_session(self.clock.clone(), Some(timeout), self.clock.moment());
        let mode = if self.random.bool() { KeepAliveMode::Always } else { KeepAliveMode::WhileHeld };
        life.start_beating(KeepAliveOptions { mode, ..Default::default() }).unwrap();
        let served = Served { created: now, used: now, timeout };
        Program { life, served, hold: None, held_since: None, down_until: None, lives: 1, next_look: now }
    }

    fn schedule(&mut self, index: usize, at: Instant, event: Event) {
        if event == Event::Look {
            self.programs[index].next_look = at;
        }
        self.queue.push(Reverse((at, index, event)));
    }

    fn run(&mut self) {
        while let Some(Reverse((at, index, event))) = self.queue.pop() {
            if at > self.start + DAY {
                return;
            }
            let ahead = at.saturating_duration_since(self.clock.now());
            self.clock.advance(ahead);
            self.check(index);
            match event {
                Event::Look if at != self.programs[index].next_look => {}
                Event::Look => self.look(index),
                Event::Act => self.act(index),
            }
        }
    }

    /// A session that is held lives up to its longest life; what the client reckons agrees with the service.
    fn check(&mut self, index: usize) {
        let now = self.clock.now();
        let program = &self.programs[index];
        let is_at_cap = now >= program.served.created + MAXIMUM_LIFETIME;
        if program.held_since.is_some() && !is_at_cap {
            assert!(program.served.is_alive(now), "session {index} died while it was held: {:?}", program.life);
        }
        let view = program.life.view();
        if program.served.is_alive(now) && view.release.is_none() {
            let left = program.served.end().saturating_duration_since(now + SERVICE_DELAY);
            let reckoned = view.idle_remaining.unwrap().min(view.lifetime_remaining.unwrap());
            assert!(reckoned <= left + SERVICE_DELAY * 2, "{reckoned:?} reckoned, {left:?} left");
        }
    }

    fn look(&mut self, index: usize) {
        let now = self.clock.now();
        let program = &mut self.programs[index];
        let step = program.life.step(now);
        if step.beat.is_some() && program.life.begin_beat().is_some() {
            let outcome = if !program.served.is_alive(now) {
                Err(Error::new(ErrorKind::SessionNotFound, "gone"))
            } else if program.down_until.is_some_and(|until| now < until) || self.random.u8(0..10) == 0 {
                self.failed_beats += 1;
                Err(Error::new(ErrorKind::Network, "down"))
            } else {
                self.beats += 1;
                program.served.used = now;
                Ok(())
            };
            program.life.beaten(&outcome);
            self.schedule(index, now, Event::Look);
        } else if let Some(next) = step.next {
            self.schedule(index, next.max(now + Duration::from_millis(1)), Event::Look);
        }
    }

    fn act(&mut self, index: usize) {
        let now = self.clock.now();
        let choice = self.random.u8(0..100);
        let pause = Duration::from_secs(self.random.u64(5..=400));
        let program = &mut self.programs[index];
        if !program.served.is_alive(now) || choice < 3 {
            self.begin_anew(index, choice < 3);
        } else if choice < 60 {
            self.calls += 1;
            let call = program.life.begin();
            program.served.used = now;
            call.finished();
        } else if choice < 80 {
            match program.hold.take() {
                Some(_) => program.held_since = None,
                None => {
                    program.hold = Some(program.life.hold());
                    let left = program.life.view().idle_remaining.unwrap();
                    program.held_since = (left > program.served.timeout.mul_f64(0.3)).then_some(now);
                }
            }
        } else if choice < 90 {
            // Shorter than what is left of the time-out when the first beat comes, and not one upon the other.
            if program.down_until.is_none_or(|until| now > until + program.served.timeout) {
                program.down_until = Some(now + program.served.timeout.mul_f64(0.2));
            }
        }
        self.schedule(index, now, Event::Look);
        self.schedule(index, now + pause, Event::Act);
    }

    fn begin_anew(&mut self, index: usize, by_deletion: bool) {
        let now = self.clock.now();
        let old = &self.programs[index];
        if by_deletion {
            old.life.begin_deletion().done();
        } else {
            // Nobody used or held it, or its longest life is over.
            let is_at_cap = now >= old.served.created + MAXIMUM_LIFETIME;
            let is_kept = old.life.beating().unwrap().mode == KeepAliveMode::Always;
            assert!(is_at_cap || (!is_kept && old.held_since.is_none()), "session {index} died early: {:?}", old.life);
            old.life.gone();
        }
        assert!(!old.life.is_watched(), "nothing keeps a session alive that nobody owns");
        assert_eq!(old.life.step(now).beat, None);
        let lives = old.lives + 1;
        let fresh = self.program();
        self.programs[index] = Program { lives, ..fresh };
    }
}

#[test]
fn no_session_of_a_day_dies_while_it_is_held_and_none_is_kept_that_nobody_owns() {
    let mut world = World::new(20);
    world.run();
    let lives: u32 = world.programs.iter().map(|program| program.lives).sum();
    assert!(lives > 40_000, "{lives} sessions");
    assert!(
        world.beats > 100_000 && world.failed_beats > 10_000,
        "{} beats, {} failed",
        world.beats,
        world.failed_beats
    );
    assert!(world.calls > 200_000, "{} calls", world.calls);
}
