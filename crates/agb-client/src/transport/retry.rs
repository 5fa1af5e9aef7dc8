//! Sending again, as three questions: is the failure one that another attempt can mend? May we (attempts, time, and what
//! all calls together spent)? When?

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::http::Outcome;
use super::{Request, Resend};
use crate::error::ErrorKind;
use crate::wire::envelope::is_temporary_status;

/// How often and how fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RetryPolicy {
    /// Attempts of one request, the first included.
    pub(crate) max_attempts: u32,
    /// Upper bound of the first wait; each later bound is twice the one before.
    pub(crate) base: Duration,
    /// Upper bound of all waits but those that the service asks for.
    pub(crate) cap: Duration,
    /// Repeats that all requests together may spend before successes earn new ones.
    pub(crate) budget: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 4, base: Duration::from_millis(200), cap: Duration::from_secs(3), budget: 100 }
    }
}

/// A repeat costs this much of the budget, and a success gives one back: a service that is down is not flooded.
const COST: u32 = 5;

pub(super) struct Retry {
    policy: RetryPolicy,
    tokens: AtomicU32,
}

impl Retry {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { policy, tokens: AtomicU32::new(policy.budget.saturating_mul(COST)) }
    }

    /// How long to wait before the next attempt; `None`: there is none.
    pub(super) fn delay(&self, request: &Request, attempt: u32, outcome: &Outcome) -> Option<Duration> {
        if !can_help(request.resend, outcome) {
            self.earn(outcome);
            return None;
        }
        if attempt >= self.policy.max_attempts {
            return None;
        }
        let delay = self.when(attempt, outcome, fastrand::f64());
        let in_time = delay < request.deadline.left();
        (in_time && self.spend()).then_some(delay)
    }

    /// The service's own wish, else a random part of a bound that doubles, at least a quarter of it.
    fn when(&self, attempt: u32, outcome: &Outcome, random: f64) -> Duration {
        if let Some(asked) = outcome.as_ref().ok().and_then(|reply| reply.retry_after) {
            return asked;
        }
        let doublings = attempt.saturating_sub(1).min(16);
        let bound = self.policy.base.saturating_mul(1 << doublings).min(self.policy.cap);
        bound.mul_f64(0.25 + 0.75 * random.clamp(0.0, 1.0))
    }

    fn spend(&self) -> bool {
        self.tokens.fetch_update(Ordering::AcqRel, Ordering::Acquire, |tokens| tokens.checked_sub(COST)).is_ok()
    }

    fn earn(&self, outcome: &Outcome) {
        if outcome.is_err() {
            return;
        }
        let full = self.policy.budget.saturating_mul(COST);
        let add = |tokens: u32| (tokens < full).then(|| tokens + 1);
        // Refused only when the budget is full.
        let _ = self.tokens.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
    }
}

/// Can another attempt mend this, without the risk of executing the request twice where that matters?
fn can_help(resend: Resend, outcome: &Outcome) -> bool {
    match (resend, outcome) {
        (Resend::Never, _) => false,
        (_, Err(error)) if error.kind() == ErrorKind::Connect => error.is_temporary(),
        (Resend::Freely, Err(error)) => error.kind() == ErrorKind::Network && error.is_temporary(),
        (Resend::Freely, Ok(reply)) => is_temporary_status(reply.status),
        (Resend::IfNotSent, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::header::HeaderMap;

    use super::super::http::RawReply;
    use super::super::{Deadline, Method};
    use super::*;
    use crate::error::Error;

    fn request(resend: Resend, limit: Duration) -> Request {
        Request {
            operation: "op",
            method: Method::Get,
            url: String::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            resend,
            deadline: Deadline::after(limit),
            connect_limit: None,
        }
    }

    fn status(status: u16, retry_after: Option<Duration>) -> Outcome {
        Ok(RawReply { status, request_id: String::new(), body: Bytes::new(), headers: HeaderMap::new(), retry_after })
    }

    fn failure(kind: ErrorKind) -> Outcome {
        Err(Error::new(kind, "x").with_temporary(true))
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn only_failures_that_pass_are_worth_another_attempt() {
        for code in [429, 502, 503, 504] {
            assert!(can_help(Resend::Freely, &status(code, None)));
            assert!(!can_help(Resend::IfNotSent, &status(code, None)));
        }
        for code in [200, 400, 401, 404, 500] {
            assert!(!can_help(Resend::Freely, &status(code, None)));
        }
        assert!(can_help(Resend::Freely, &failure(ErrorKind::Network)));
        for kind in [ErrorKind::Timeout, ErrorKind::Protocol, ErrorKind::Config, ErrorKind::Http] {
            assert!(!can_help(Resend::Freely, &failure(kind)));
        }
    }

    #[test]
    fn what_must_not_run_twice_is_sent_again_only_when_it_never_left() {
        assert!(can_help(Resend::IfNotSent, &failure(ErrorKind::Connect)));
        assert!(!can_help(Resend::IfNotSent, &failure(ErrorKind::Network)));
        assert!(!can_help(Resend::Never, &failure(ErrorKind::Connect)));
        let unmendable = Err(Error::new(ErrorKind::Connect, "bad certificate"));
        assert!(!can_help(Resend::Freely, &unmendable));
    }

    #[test]
    fn attempts_end() {
        let retry = Retry::new(RetryPolicy::default());
        let request = request(Resend::Freely, MINUTE);
        assert!(retry.delay(&request, 3, &status(503, None)).is_some());
        assert_eq!(retry.delay(&request, 4, &status(503, None)), None);
    }

    #[test]
    fn waits_grow_are_jittered_and_capped() {
        let policy = RetryPolicy::default();
        let retry = Retry::new(policy);
        let bad = status(503, None);
        assert_eq!(retry.when(1, &bad, 1.0), policy.base);
        assert_eq!(retry.when(1, &bad, 0.0), policy.base.mul_f64(0.25));
        assert_eq!(retry.when(2, &bad, 1.0), policy.base * 2);
        assert_eq!(retry.when(u32::MAX, &bad, 1.0), policy.cap);
    }

    #[test]
    fn retry_after_is_honoured_when_there_is_time_for_it() {
        let retry = Retry::new(RetryPolicy::default());
        let asked = Duration::from_secs(7);
        let busy = status(429, Some(asked));
        assert_eq!(retry.delay(&request(Resend::Freely, MINUTE), 1, &busy), Some(asked));
        assert_eq!(retry.delay(&request(Resend::Freely, Duration::from_secs(5)), 1, &busy), None);
    }

    #[test]
    fn the_budget_of_all_calls_runs_out_and_successes_refill_it() {
        let retry = Retry::new(RetryPolicy { budget: 2, ..RetryPolicy::default() });
        let request = request(Resend::Freely, MINUTE);
        let bad = status(503, None);
        assert!(retry.delay(&request, 1, &bad).is_some());
        assert!(retry.delay(&request, 1, &bad).is_some());
        assert!(retry.delay(&request, 1, &bad).is_none());
        for _ in 0..COST {
            assert_eq!(retry.delay(&request, 1, &status(200, None)), None);
        }
        assert!(retry.delay(&request, 1, &bad).is_some());
        assert!(retry.delay(&request, 1, &bad).is_none());
    }
}
