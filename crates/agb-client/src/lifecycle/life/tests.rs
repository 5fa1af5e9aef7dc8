use super::super::beat::KeepAliveMode;
use super::super::events::KeepAliveFailure;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn new_session() -> (Clock, Life) {
    let clock = Clock::manual();
    let life = Life::of_new_session(clock.clone(), Some(MINUTE), clock.moment());
    (clock, life)
}

fn not_found() -> Result<()> {
    Err(Error::new(ErrorKind::SessionNotFound, "gone"))
}

/// Everything that was told so far.
fn heard(life: &Life) -> (Arc<Mutex<Vec<LifecycleEvent>>>, Subscription) {
    let events: Arc<Mutex<Vec<LifecycleEvent>>> = Arc::default();
    let sink = events.clone();
    let subscription = life.subscribe(Arc::new(move |event| sink.lock().unwrap().push(event.clone())));
    (events, subscription)
}

fn step(life: &Life) -> Step {
    life.step(life.clock().now())
}

/// Takes the step, and begins the beat that it wants, if any: how long that may take.
fn begun(life: &Life) -> Option<Duration> {
    step(life).beat.and_then(|_| life.begin_beat())
}

/// The same at the next moment at which something is due, which may be now.
fn next_begun(life: &Life) -> Option<Duration> {
    let Step { beat, next } = step(life);
    if beat.is_some() {
        return life.begin_beat();
    }
    life.clock().advance(next.unwrap().saturating_duration_since(life.clock().now()) + Duration::from_millis(1));
    begun(life)
}

#[test]
fn a_new_session_is_created_then_active_then_idle_then_released() {
    let (clock, life) = new_session();
    assert_eq!(life.view().state, SessionState::Created);
    assert_eq!(life.view().last_activity_at, None);
    let call = life.begin();
    assert_eq!(life.view().state, SessionState::Active);
    call.finished();
    assert_eq!(life.view().state, SessionState::Idle);
    assert!(life.view().last_activity_at.is_some() && life.view().created_at.is_some());
    life.gone();
    assert_eq!(life.view().state, SessionState::Released);
    clock.advance(MINUTE);
    assert_eq!(life.view().release.unwrap().reason, ReleaseReason::Unknown);
}

#[test]
fn a_session_made_without_a_time_out_has_the_services() {
    let clock = Clock::manual();
    let view = Life::of_new_session(clock.clone(), None, clock.moment()).view();
    assert_eq!(view.idle_release_timeout, Some(Duration::from_secs(300)));
    assert!(view.lifetime_remaining.unwrap() > 29 * MINUTE);
}

#[test]
fn of_a_found_session_neither_time_out_nor_age_is_known() {
    let life = Life::of_found_session(Clock::manual());
    let view = life.view();
    assert_eq!((view.idle_release_timeout, view.idle_remaining), (None, None));
    assert_eq!((view.lifetime_remaining, view.created_at, life.age()), (None, None, None));
    assert_eq!(view.state, SessionState::Idle);
    life.clock().advance(10 * MINUTE);
    assert_eq!(life.view().state, SessionState::Idle, "nobody knows when it ends");
}

#[test]
fn a_call_holds_the_timer_and_its_end_starts_it_anew() {
    let (clock, life) = new_session();
    let call = life.begin();
    clock.advance(2 * MINUTE);
    assert_eq!(life.idle_for(), Duration::ZERO);
    assert_eq!(life.view().idle_remaining, Some(MINUTE));
    call.finished();
    assert!(life.idle_for() < MINUTE);
    assert!(life.age().unwrap() >= 2 * MINUTE);
}

#[test]
fn a_call_that_failed_or_was_dropped_leaves_the_timer_where_it_was() {
    let (clock, life) = new_session();
    let call = life.begin();
    clock.advance(MINUTE);
    drop(call);
    assert!(life.idle_for() >= MINUTE);
}

#[test]
fn a_session_whose_time_is_over_is_idle_for_five_more_seconds_and_a_call_corrects_its_release() {
    let (clock, life) = new_session();
    clock.advance(MINUTE + 4 * SECOND);
    assert_eq!(life.view().state, SessionState::Created);
    assert_eq!(life.view().idle_remaining, Some(Duration::ZERO));
    clock.advance(SECOND);
    let release = life.view().release.unwrap();
    assert_eq!((release.reason, release.confirmed), (ReleaseReason::IdleTimeout, false));
    step(&life);
    life.touch();
    assert_eq!(life.view().release, None);
    assert_eq!(life.view().state, SessionState::Idle);
}

#[test]
fn a_session_whose_call_got_no_answer_may_live_for_five_seconds_from_then_on() {
    let (clock, life) = new_session();
    let (events, _subscription) = heard(&life);
    let call = life.begin();
    clock.advance(2 * MINUTE);
    drop(call);
    step(&life);
    let view = life.view();
    assert_eq!((view.release, view.idle_remaining), (None, Some(Duration::ZERO)));
    assert_eq!(step(&life).next, Some(clock.now() + 5 * SECOND));

    clock.advance(4 * SECOND);
    let again = life.begin();
    clock.advance(MINUTE);
    drop(again);
    step(&life);
    assert_eq!(life.view().release, None, "the service may have held the timer for this one as well");
    clock.advance(5 * SECOND);
    step(&life);
    let release = Release { reason: ReleaseReason::IdleTimeout, confirmed: false };
    assert_eq!(life.view().release, Some(release));
    let told = events.lock().unwrap().clone();
    assert_eq!(told.last(), Some(&LifecycleEvent::Released(release)));
    drop(life.begin());
    assert_eq!(life.view().release, Some(release), "a failure says nothing of a session whose end is reckoned");
}

#[test]
fn a_call_that_failed_in_time_gives_a_session_nothing() {
    let (clock, life) = new_session();
    drop(life.begin());
    clock.advance(MINUTE + 5 * SECOND);
    assert!(life.view().release.is_some());
}

#[test]
fn a_session_that_is_seen_to_be_alive_is_not_released_and_is_kept_alive_again_though_its_timer_is_where_it_was() {
    let (clock, life) = new_session();
    life.start_beating(KeepAliveOptions::default()).unwrap();
    clock.advance(MINUTE + 6 * SECOND);
    step(&life);
    assert_eq!(life.beating().unwrap().stopped, Some(StopReason::Released));
    life.seen_alive();
    let view = life.view();
    assert_eq!((view.state, view.idle_remaining), (SessionState::Created, Some(Duration::ZERO)));
    assert!(begun(&life).is_some(), "a beat is due");
    life.beaten(&not_found());
    life.seen_alive();
    assert!(life.is_gone(), "its first word counts");

    let (clock, life) = new_session();
    clock.advance(MAXIMUM_LIFETIME + 6 * SECOND);
    life.seen_alive();
    assert_eq!((life.view().release, life.view().lifetime_remaining), (None, None));
}

#[tokio::test]
async fn a_call_that_never_reached_the_service_gives_a_session_no_more_time() {
    let (clock, life) = new_session();
    clock.advance(MINUTE + 3 * SECOND);
    let unsent = async { Err::<(), _>(Error::new(ErrorKind::Connect, "refused")) };
    life.using(unsent).await.unwrap_err();
    clock.advance(2 * SECOND);
    assert!(life.view().release.is_some());
}

#[test]
fn a_keep_alive_that_was_stopped_does_not_go_on_when_a_reckoned_release_has_not_come() {
    for is_stopped in [false, true] {
        let (clock, life) = new_session();
        let (events, _subscription) = heard(&life);
        life.start_beating(KeepAliveOptions::default()).unwrap();
        clock.advance(MINUTE + 5 * SECOND);
        step(&life);
        assert_eq!(life.beating().unwrap().stopped, Some(StopReason::Released));
        if is_stopped {
            life.stop_beating();
        }
        events.lock().unwrap().clear();
        life.seen_alive();
        assert_eq!(life.beating().unwrap().stopped, is_stopped.then_some(StopReason::Stopped));
        assert_eq!(
            *events.lock().unwrap(),
            [LifecycleEvent::Idle],
            "who heard of the release hears that it has not come"
        );
        life.gone();
        life.stop_beating();
        let reason = if is_stopped { StopReason::Stopped } else { StopReason::Released };
        assert_eq!(life.beating().unwrap().stopped, Some(reason));
    }
}

#[test]
fn the_longest_life_ends_a_session_whatever_its_activity() {
    let (clock, life) = new_session();
    for _ in 0..36 {
        clock.advance(50 * SECOND);
        life.touch();
    }
    clock.advance(6 * SECOND);
    let release = life.view().release.unwrap();
    assert_eq!((release.reason, release.confirmed), (ReleaseReason::LifetimeCap, false));
}

#[test]
fn why_a_session_is_gone_follows_from_its_times() {
    let (clock, life) = new_session();
    clock.advance(MINUTE);
    life.gone();
    assert_eq!(life.view().release, Some(Release { reason: ReleaseReason::IdleTimeout, confirmed: true }));
    let (_, life) = new_session();
    life.begin_deletion().done();
    life.gone();
    assert_eq!(life.view().release, Some(Release { reason: ReleaseReason::Deleted, confirmed: true }));
}

#[test]
fn events_come_in_their_order_and_each_once() {
    let (clock, life) = new_session();
    let (events, _subscription) = heard(&life);
    life.begin().finished();
    clock.advance(47 * SECOND);
    step(&life);
    assert_eq!(*events.lock().unwrap(), [LifecycleEvent::Active, LifecycleEvent::Idle]);
    clock.advance(2 * SECOND);
    step(&life);
    step(&life);
    let told = events.lock().unwrap().clone();
    let [_, _, LifecycleEvent::Expiring { what: Expiring::Idle, remaining }] = &told[..] else { panic!("{told:?}") };
    assert!(*remaining <= 12 * SECOND);
    clock.advance(20 * SECOND);
    step(&life);
    life.gone();
    let told = events.lock().unwrap().clone();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(matches!(told[3], LifecycleEvent::Released(Release { reason: ReleaseReason::IdleTimeout, .. })));
}

#[test]
fn the_end_of_the_longest_life_is_announced_two_minutes_before() {
    let clock = Clock::manual();
    let life = Life::of_new_session(clock.clone(), Some(Duration::from_secs(3_600)), clock.moment());
    let (events, _subscription) = heard(&life);
    clock.advance(1_679 * SECOND);
    step(&life);
    assert!(events.lock().unwrap().is_empty());
    clock.advance(2 * SECOND);
    step(&life);
    let told = events.lock().unwrap().clone();
    assert!(matches!(told[..], [LifecycleEvent::Expiring { what: Expiring::Lifetime, .. }]), "{told:?}");
}

#[test]
fn a_dropped_subscription_hears_nothing() {
    let (_, life) = new_session();
    let (events, subscription) = heard(&life);
    drop(subscription);
    life.begin().finished();
    assert!(events.lock().unwrap().is_empty());
    assert!(!life.is_watched());
}

#[test]
fn beats_come_at_half_to_seven_tenths_of_the_time_out_after_the_last_activity() {
    let (clock, life) = new_session();
    life.start_beating(KeepAliveOptions::default()).unwrap();
    let mut beats = 0;
    for _ in 0..20 {
        let before = clock.now();
        let Some(limit) = next_begun(&life) else { continue };
        let waited = (clock.now() - before).as_secs_f64();
        assert!((29.9..=42.1).contains(&waited), "{waited}");
        assert!(limit <= 10 * SECOND && limit > SECOND);
        life.beaten(&Ok(()));
        beats += 1;
    }
    assert_eq!(life.beating().unwrap().beats, beats);
    assert!(beats > 15);
}

#[test]
fn modes_and_times_that_make_no_sense_are_named() {
    assert_eq!(KeepAliveMode::named(None).unwrap(), KeepAliveMode::Always);
    for mode in [KeepAliveMode::Always, KeepAliveMode::WhileHeld] {
        assert_eq!(KeepAliveMode::named(Some(mode.name())).unwrap(), mode);
    }
    let error = KeepAliveMode::named(Some("held")).unwrap_err();
    assert_eq!(error.message(), "mode must be 'always' or 'whileHeld', got 'held'");
    assert_eq!(KeepAliveOptions::time("maxDurationS", Some(0.5)).unwrap(), Some(SECOND / 2));
    assert_eq!(KeepAliveOptions::time("maxDurationS", None).unwrap(), None);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
        let error = KeepAliveOptions::time("maxDurationS", Some(bad)).unwrap_err();
        assert_eq!(error.message(), format!("maxDurationS must be a number of seconds more than 0, got {bad}"));
        assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidArgument, "startKeepAlive"));
    }
}

#[test]
fn a_call_that_has_just_reset_the_timer_makes_a_beat_superfluous() {
    let (clock, life) = new_session();
    life.start_beating(KeepAliveOptions::default()).unwrap();
    clock.advance(28 * SECOND);
    life.begin().finished();
    clock.advance(28 * SECOND);
    assert_eq!(begun(&life), None);
}

#[test]
fn a_long_call_is_accompanied_by_beats() {
    let (clock, life) = new_session();
    life.start_beating(KeepAliveOptions::default()).unwrap();
    let _call = life.begin();
    clock.advance(43 * SECOND);
    assert!(begun(&life).is_some());
    life.beaten(&Ok(()));
    assert!(begun(&life).is_none());
    clock.advance(43 * SECOND);
    assert!(begun(&life).is_some());
}

#[test]
fn calls_that_fail_one_upon_the_other_do_not_put_a_beat_off() {
    let (clock, life) = new_session();
    life.start_beating(KeepAliveOptions::default()).unwrap();
    for _ in 0..8 {
        let call = life.begin();
        clock.advance(5 * SECOND);
        drop(call);
    }
    let _call = life.begin();
    clock.advance(3 * SECOND);
    assert!(begun(&life).is_some());
    life.beaten(&Ok(()));
    let _another = life.begin();
    clock.advance(29 * SECOND);
    assert_eq!(begun(&life), None, "one that succeeded is counted from");
}

#[test]
fn a_beat_that_failed_is_repeated_quickly_and_told() {
    let (clock, life) = new_session();
    let (events, _subscription) = heard(&life);
    life.start_beating(KeepAliveOptions::default()).unwrap();
    clock.advance(43 * SECOND);
    assert!(begun(&life).is_some());
    let mut last = clock.now();
    for attempt in 1..=4 {
        life.beaten(&Err(Error::new(ErrorKind::Timeout, "slow")));
        let told = events.lock().unwrap().last().cloned();
        let Some(LifecycleEvent::KeepAliveFailed(KeepAliveFailure { attempt: told, will_retry: true, .. })) = told
        else {
            panic!("{told:?}")
        };
        assert_eq!(told, attempt);
        while next_begun(&life).is_none() {}
        assert!(clock.now() - last <= 5 * SECOND, "attempt {attempt}");
        last = clock.now();
    }
    life.beaten(&Ok(()));
    let status = life.beating().unwrap();
    assert_eq!((status.beats, status.failures, status.last_error), (1, 4, None));
    assert_eq!(life.view().release, None);
}

#[test]
fn a_keep_alive_that_is_started_again_does_not_beat_beside_the_beat_that_is_under_way() {
    let (clock, life) = new_session();
    life.start_beating(KeepAliveOptions::default()).unwrap();
    clock.advance(43 * SECOND);
    assert!(step(&life).beat.is_some());
    life.start_beating(KeepAliveOptions::default()).unwrap();
    assert!(step(&life).beat.is_none(), "one waits to be sent");
    assert!(life.begin_beat().is_some());
    life.start_beating(KeepAliveOptions::default()).unwrap();
    assert!(step(&life).beat.is_none(), "one is sent");
    life.beaten(&Err(Error::new(ErrorKind::Network, "lost")));
    while next_begun(&life).is_none() {}
    life.beaten(&Ok(()));
    assert_eq!(life.beating().unwrap().beats, 1);
}

#[test]
fn a_keep_alive_ends_with_its_session_and_a_session_that_answers_again_has_it_back() {
    let (clock, life) = new_session();
    life.start_beating(KeepAliveOptions::default()).unwrap();
    clock.advance(MINUTE + 6 * SECOND);
    step(&life);
    assert_eq!(life.beating().unwrap().stopped, Some(StopReason::Released));
    life.touch();
    assert_eq!(life.beating().unwrap().stopped, None);
    clock.advance(43 * SECOND);
    assert!(begun(&life).is_some());
    life.beaten(&not_found());
    assert_eq!(life.beating().unwrap().stopped, Some(StopReason::Released));
    assert!(!life.is_watched());
    let error = life.start_beating(KeepAliveOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionNotFound);
}

#[test]
fn a_keep_alive_ends_at_the_longest_life_and_at_its_own_limit() {
    let (_, life) = new_session();
    life.start_beating(KeepAliveOptions { max_duration: Some(2 * MINUTE), ..Default::default() }).unwrap();
    while life.beating().unwrap().stopped.is_none() {
        if next_begun(&life).is_some() {
            life.beaten(&Ok(()));
        }
    }
    assert_eq!(life.beating().unwrap().stopped, Some(StopReason::MaxDuration));
    assert!((110..=125).contains(&life.age().unwrap().as_secs()));

    life.start_beating(KeepAliveOptions::default()).unwrap();
    while life.beating().unwrap().stopped.is_none() {
        if next_begun(&life).is_some() {
            life.beaten(&Ok(()));
        }
    }
    assert_eq!(life.beating().unwrap().stopped, Some(StopReason::LifetimeCap));
    assert!((1_790..=1_850).contains(&life.age().unwrap().as_secs()));
}

#[test]
fn the_own_limit_of_a_keep_alive_counts_on_for_the_session_that_takes_its_place() {
    let clock = Clock::manual();
    let make = || Life::of_new_session(clock.clone(), Some(MINUTE), clock.moment());
    let options = KeepAliveOptions { max_duration: Some(100 * SECOND), ..Default::default() };
    let lost = make();
    lost.start_beating(options.clone()).unwrap();
    clock.advance(90 * SECOND);
    lost.gone();
    let next = make();
    next.start_beating(options.clone()).unwrap();
    next.end_beating_with(&lost);
    step(&next);
    assert_eq!(next.beating().unwrap().stopped, None);
    clock.advance(10 * SECOND);
    step(&next);
    assert_eq!(next.beating().unwrap().stopped, Some(StopReason::MaxDuration));
    next.gone();

    let last = make();
    last.start_beating(options).unwrap();
    last.end_beating_with(&next);
    assert_eq!(begun(&last), None);
    assert_eq!(last.beating().unwrap().stopped, Some(StopReason::MaxDuration));
}

#[test]
fn a_stalled_event_loop_ends_a_keep_alive_that_asks_for_it() {
    let (clock, life) = new_session();
    let (events, _subscription) = heard(&life);
    let watch: super::super::LoopWatch = Arc::new(|| 11 * SECOND);
    let options = KeepAliveOptions { stop_if_stalled: Some((10 * SECOND, watch)), ..Default::default() };
    life.start_beating(options).unwrap();
    clock.advance(10 * SECOND);
    step(&life);
    assert_eq!(life.beating().unwrap().stopped, None, "only when a beat is due");
    clock.advance(33 * SECOND);
    assert_eq!(begun(&life), None);
    assert_eq!(life.beating().unwrap().stopped, Some(StopReason::LoopStalled));
    let told = events.lock().unwrap().last().cloned();
    assert!(matches!(told, Some(LifecycleEvent::KeepAliveFailed(KeepAliveFailure { will_retry: false, .. }))));
}

#[test]
fn while_held_it_beats_only_while_something_holds_the_session_or_a_call_runs() {
    let (clock, life) = new_session();
    let mode = KeepAliveMode::WhileHeld;
    life.start_beating(KeepAliveOptions { mode, ..Default::default() }).unwrap();
    clock.advance(43 * SECOND);
    assert_eq!(begun(&life), None);
    assert_eq!(life.beating().unwrap().next_beat, None);
    let (one, two) = (life.hold(), life.hold());
    assert!(begun(&life).is_some(), "at once, as it is late");
    life.beaten(&Ok(()));
    drop(one);
    clock.advance(43 * SECOND);
    assert!(begun(&life).is_some());
    life.beaten(&Ok(()));
    drop(two);
    clock.advance(43 * SECOND);
    assert_eq!(begun(&life), None);
    let _call = life.begin();
    clock.advance(43 * SECOND);
    assert!(begun(&life).is_some());
}

#[test]
fn what_can_not_be_kept_alive_is_refused_with_the_reason() {
    let found = Life::of_found_session(Clock::manual());
    let error = found.start_beating(KeepAliveOptions::default()).unwrap_err();
    assert!(error.message().contains("idleReleaseTimeout"), "{error}");
    let given = KeepAliveOptions { idle_release_timeout: Some(MINUTE), ..Default::default() };
    found.start_beating(given).unwrap();
    assert_eq!(found.view().idle_release_timeout, Some(MINUTE));
    let corrected = KeepAliveOptions { idle_release_timeout: Some(2 * MINUTE), ..Default::default() };
    found.start_beating(corrected).unwrap();
    assert_eq!(found.view().idle_release_timeout, Some(2 * MINUTE));
    for at in [0.0, 1.0, -1.0, f64::NAN] {
        let (_, life) = new_session();
        let error = life.start_beating(KeepAliveOptions { at: Some(at), ..Default::default() }).unwrap_err();
        assert!(error.message().contains("`at`"), "{error}");
    }
}

#[test]
fn an_idle_time_out_that_is_known_is_not_given_by_a_keep_alive() {
    let (_, life) = new_session();
    let given = KeepAliveOptions { idle_release_timeout: Some(10 * MINUTE), ..Default::default() };
    life.start_beating(given).unwrap();
    assert_eq!(life.view().idle_release_timeout, Some(MINUTE));
    assert_eq!(life.beating().unwrap().idle_release_timeout, MINUTE);
}

#[test]
fn a_listener_may_ask_the_session_that_it_hears_of() {
    let (_, life) = new_session();
    let states: Arc<Mutex<Vec<SessionState>>> = Arc::default();
    let (sink, asked) = (states.clone(), life.clone());
    let _subscription = life.subscribe(Arc::new(move |_| sink.lock().unwrap().push(asked.view().state)));
    life.begin().finished();
    assert_eq!(*states.lock().unwrap(), [SessionState::Active, SessionState::Idle]);
}

#[test]
fn a_call_that_was_refused_at_once_has_not_run_and_one_that_saw_others_end_or_the_cap_may_have() {
    let (clock, life) = new_session();
    let mark = life.mark();
    let call = life.begin();
    drop(call);
    assert!(mark.is_untouched());
    life.begin().finished();
    assert!(!mark.is_untouched());
    clock.advance(MAXIMUM_LIFETIME - SECOND);
    let (mark, late) = (life.mark(), life.clone());
    clock.advance(2 * SECOND);
    assert!(!mark.is_untouched());
    assert!(late.mark().is_untouched());
}

#[test]
fn a_session_is_as_old_as_the_request_for_it() {
    let clock = Clock::manual();
    let asked = clock.moment();
    clock.advance(20 * SECOND);
    let view = Life::of_new_session(clock.clone(), Some(MINUTE), asked).view();
    assert!(view.idle_remaining.unwrap() <= 40 * SECOND, "{view:?}");
    assert!(view.lifetime_remaining.unwrap() <= MAXIMUM_LIFETIME - 20 * SECOND, "{view:?}");
    assert!(view.created_at.unwrap() + 20 * SECOND <= clock.wall());
    assert_eq!(view.state, SessionState::Created);
}

#[test]
fn a_session_that_answers_long_after_its_longest_life_has_none_that_is_known() {
    let clock = Clock::manual();
    let life = Life::of_new_session(clock.clone(), Some(MAXIMUM_LIFETIME * 2), clock.moment());
    let (events, _subscription) = heard(&life);
    life.start_beating(KeepAliveOptions::default()).unwrap();
    clock.advance(MAXIMUM_LIFETIME);
    step(&life);
    assert_eq!(life.beating().unwrap().stopped, Some(StopReason::LifetimeCap));
    life.touch();
    assert!(life.view().created_at.is_some(), "a little after it, it may only be a little younger");
    clock.advance(6 * SECOND);
    step(&life);
    assert_eq!(life.view().release.unwrap().reason, ReleaseReason::LifetimeCap);
    for _ in 0..3 {
        life.touch();
        step(&life);
    }
    let view = life.view();
    assert_eq!((view.state, view.release), (SessionState::Idle, None));
    assert_eq!((view.created_at, view.lifetime_remaining), (None, None));
    assert_eq!(life.beating().unwrap().stopped, None, "it is kept alive again");
    let released = |event: &&LifecycleEvent| matches!(event, LifecycleEvent::Released(_));
    assert_eq!(events.lock().unwrap().iter().filter(released).count(), 1);
    assert!(!life.is_long_over());
}

#[test]
fn a_session_that_answers_long_after_its_longest_life_is_kept_alive_again_though_nobody_listens() {
    let clock = Clock::manual();
    let life = Life::of_new_session(clock.clone(), Some(MAXIMUM_LIFETIME * 2), clock.moment());
    life.start_beating(KeepAliveOptions::default()).unwrap();
    clock.advance(MAXIMUM_LIFETIME);
    step(&life);
    assert!(!life.is_watched());
    clock.advance(MINUTE);
    life.begin().finished();
    assert_eq!(life.beating().unwrap().stopped, None);
    assert!(life.is_watched());
}

#[test]
fn a_session_that_is_gone_while_it_is_being_deleted_was_deleted() {
    let (_, life) = new_session();
    let deletion = life.begin_deletion();
    life.beaten(&not_found());
    assert_eq!(life.view().release, Some(Release { reason: ReleaseReason::Deleted, confirmed: true }));
    deletion.done();

    let (clock, life) = new_session();
    let deletion = life.begin_deletion();
    clock.advance(MINUTE);
    life.gone();
    assert_eq!(life.view().release.unwrap().reason, ReleaseReason::IdleTimeout, "its time was over before");
    drop(deletion);
}

#[test]
fn nothing_keeps_a_session_alive_that_is_being_deleted_and_a_deletion_that_fails_changes_nothing() {
    let (clock, life) = new_session();
    life.start_beating(KeepAliveOptions::default()).unwrap();
    clock.advance(43 * SECOND);
    assert!(step(&life).beat.is_some());
    let deletion = life.begin_deletion();
    assert_eq!(life.begin_beat(), None);
    assert_eq!(begun(&life), None);
    drop(deletion);
    assert!(begun(&life).is_some());
    life.beaten(&Ok(()));
    assert_eq!(life.beating().unwrap().stopped, None);
}

#[test]
fn how_long_a_beat_may_take_is_counted_from_when_it_is_sent() {
    let (clock, life) = new_session();
    life.start_beating(KeepAliveOptions::default()).unwrap();
    clock.advance(43 * SECOND);
    assert!(step(&life).beat.is_some());
    clock.advance(12 * SECOND);
    assert!(life.begin_beat().unwrap() <= 2 * SECOND);
    life.beaten(&Err(Error::new(ErrorKind::Network, "down")));
    while step(&life).beat.is_none() {
        clock.advance(Duration::from_millis(10));
    }
    life.touch();
    assert_eq!(life.begin_beat(), None, "a call has done what it was to do");
}

#[test]
fn once_the_time_is_over_a_beat_is_repeated_once_a_second() {
    let clock = Clock::manual();
    let life = Life::of_new_session(clock.clone(), Some(10 * SECOND), clock.moment());
    let (events, _subscription) = heard(&life);
    life.start_beating(KeepAliveOptions::default()).unwrap();
    while life.view().release.is_none() {
        if next_begun(&life).is_some() {
            life.beaten(&Err(Error::new(ErrorKind::Connect, "refused")));
        }
    }
    let told = events.lock().unwrap().clone();
    let left: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            LifecycleEvent::KeepAliveFailed(failure) => Some(failure.idle_remaining),
            _ => None,
        })
        .collect();
    let after_the_end = left.iter().filter(|left| left.is_zero()).count();
    assert!((4..=6).contains(&after_the_end) && left.len() <= 30, "{left:?}");
}

#[test]
fn a_session_whose_end_is_reckoned_is_not_watched_until_it_answers() {
    let (clock, life) = new_session();
    let (events, _subscription) = heard(&life);
    clock.advance(MINUTE + 6 * SECOND);
    step(&life);
    assert!(!life.is_watched());
    events.lock().unwrap().clear();
    let call = life.begin();
    assert!(events.lock().unwrap().is_empty());
    call.finished();
    assert_eq!(*events.lock().unwrap(), [LifecycleEvent::Active, LifecycleEvent::Idle]);
    assert!(life.is_watched());
}
