//! Releasing what is left over when the process, or a part of it, ends: one request for each session, acknowledged but not
//! waited for.
//!
//! It has a small runtime of its own. The connections that are open already are driven by the threads of the runtime that
//! opened them, which may be busy or stuck at such a moment: where no answer comes over them in a quarter of the time,
//! new connections, which this runtime drives, are tried beside them.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use tokio::runtime::{Builder, Runtime};

use super::registry::{Claim, Key, Registry, Scope};
use crate::agb::Agb;
use crate::transport::Deadline;
use crate::wire::endpoint;
use crate::wire::envelope::is_session_not_found;
use crate::wire::session::SessionIdBody;

/// How many requests are under way at once.
const PARALLEL: usize = 16;
/// The part of the limit after which new connections are tried.
const PATIENCE: u32 = 4;

/// Has a thread of its own, so that connections which it opens live on between two releases.
static RUNTIME: LazyLock<std::io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).thread_name("agb-release").enable_all().build());

/// What was not released in time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unreleased {
    /// The sessions whose release the service has not acknowledged, oldest first.
    pub session_ids: Vec<String>,
    /// How many creations were still under way; their sessions have no name yet.
    pub creating: usize,
    /// How long was tried.
    pub limit: Duration,
}

impl Unreleased {
    /// Was everything released?
    pub fn is_empty(&self) -> bool {
        self.session_ids.is_empty() && self.creating == 0
    }
}

/// Releases every session of the registry, and those that are created meanwhile, within the longest limit of their
/// clients. Blocks the calling thread, which must not belong to a runtime.
pub fn release_all() -> Unreleased {
    let registry = Registry::of_process();
    if registry.is_empty() {
        return Unreleased::default();
    }
    let limit = registry.limit(Scope::Everything);
    registry.begin_end();
    if let Ok(runtime) = &*RUNTIME {
        runtime.block_on(release(registry, Scope::Everything));
    }
    let (session_ids, creating) = registry.left();
    Unreleased { session_ids, creating, limit }
}

/// Starts to release what a part of the process owned, which has ended. What can't be released stays registered, for the
/// end of the process.
pub fn owner_ended(owner: u64) {
    let registry = Registry::of_process();
    if registry.is_empty() {
        return;
    }
    if let Ok(runtime) = &*RUNTIME {
        runtime.spawn(release(registry, Scope::Owner(owner)));
    }
}

/// Releases what is in `scope`, as it comes, until nothing is left that this or another call could release. For
/// everything, it ends with the limit at the latest; else each request has that limit.
async fn release(registry: &Registry, scope: Scope) {
    let limit = registry.limit(scope);
    let end = Deadline::after(limit);
    let mut ways = Ways::default();
    let mut claimed: Vec<Key> = Vec::new();
    let mut waiting = Waiting::default();
    let mut under_way = FuturesUnordered::new();
    let mut refused = 0;
    loop {
        // Before the look, so that no change after it is missed.
        let changed = registry.changed();
        let found = registry.claim(scope);
        claimed.extend(found.iter().map(|claim| claim.key.clone()));
        waiting.extend(found);
        while under_way.len() < PARALLEL
            && let Some(Claim { key, agb, .. }) = waiting.next()
        {
            let way = ways.of(agb);
            let deadline = if scope == Scope::Everything { end } else { Deadline::after(limit) };
            under_way.push(async move {
                let is_released = tokio::select! {
                    is_released = way.release(&key.session_id, deadline) => is_released,
                    // Somebody else has released it, or its service is gone.
                    () = registry.gone(&key) => true,
                };
                (key, is_released)
            });
        }
        if under_way.is_empty() && !registry.is_busy(scope, refused) {
            break;
        }
        tokio::select! {
            Some((key, is_released)) = under_way.next(), if !under_way.is_empty() => {
                if is_released {
                    registry.settle(&key);
                } else {
                    refused += 1;
                }
            }
            () = changed => {}
            () = tokio::time::sleep_until(end.at), if scope == Scope::Everything => break,
        }
    }
    registry.let_go(&claimed);
}

/// What was claimed and is not asked for yet.
#[derive(Default)]
struct Waiting {
    alive: VecDeque<Claim>,
    /// These can wait: they are gone, as far as their times tell.
    over: VecDeque<Claim>,
}

impl Waiting {
    fn extend(&mut self, claims: Vec<Claim>) {
        for claim in claims {
            let queue = if claim.is_over { &mut self.over } else { &mut self.alive };
            queue.push_back(claim);
        }
    }

    fn next(&mut self) -> Option<Claim> {
        self.alive.pop_front().or_else(|| self.over.pop_front())
    }
}

/// One way per client.
#[derive(Default)]
struct Ways(Vec<Arc<Way>>);

impl Ways {
    fn of(&mut self, agb: Agb) -> Arc<Way> {
        if let Some(known) = self.0.iter().find(|way| way.agb.is_same(&agb)) {
            return Arc::clone(known);
        }
        let way = Arc::new(Way { agb, detour: OnceLock::new(), is_stuck: AtomicBool::new(false) });
        self.0.push(Arc::clone(&way));
        way
    }
}

/// How the service of a client is reached.
struct Way {
    agb: Agb,
    /// The same client with new connections.
    detour: OnceLock<Agb>,
    /// Did new connections answer where the open ones did not?
    is_stuck: AtomicBool,
}

impl Way {
    /// Was the session released?
    async fn release(&self, session_id: &str, deadline: Deadline) -> bool {
        if self.is_stuck.load(Ordering::Relaxed) {
            return ask(self.detour(), session_id, deadline).await;
        }
        let mut first = pin!(ask(&self.agb, session_id, deadline));
        match tokio::time::timeout(deadline.limit / PATIENCE, &mut first).await {
            Ok(true) => return true,
            Ok(false) => return ask(self.detour(), session_id, deadline).await,
            Err(_) => {}
        }
        let second = pin!(ask(self.detour(), session_id, deadline));
        match select(first, second).await {
            Either::Left((is_released, second)) => is_released || second.await,
            Either::Right((true, _)) => {
                self.is_stuck.store(true, Ordering::Relaxed);
                true
            }
            Either::Right((false, first)) => first.await,
        }
    }

    fn detour(&self) -> &Agb {
        self.detour.get_or_init(|| self.agb.with_new_connections())
    }
}

/// Asks for one release. A session that the service doesn't know is released.
async fn ask(agb: &Agb, session_id: &str, deadline: Deadline) -> bool {
    match agb.post(&endpoint::RELEASE_SESSION, &Vec::new(), &SessionIdBody { session_id }, deadline).await {
        Ok(answer) => answer.is_success() || is_session_not_found(&answer.code()),
        Err(error) => {
            tracing::debug!(target: "agb::session", session = session_id, error = error.message(), "not released");
            false
        }
    }
}

#[cfg(test)]
mod tests;
