//! Why a transfer ends before its work is done.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::session::Session;

/// How often a transfer looks whether the time of its session is over.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Waits until a transfer has to end, because it is cancelled or its session is gone; gives the reason.
pub(super) async fn ending(session: &Session, cancelled: impl Future<Output = ()> + Send) -> Error {
    tokio::select! {
        biased;
        () = cancelled => Error::new(ErrorKind::Local, "The transfer was aborted"),
        () = gone(session, LOOK_INTERVAL) => {
            Error::new(ErrorKind::SessionNotFound, "the session was released while the transfer was under way")
        }
    }
}

/// Waits until the service has said that the session is gone. It is asked where the session's time is over as far as is
/// known here: a transfer that waits for its source hears of it from nobody else.
async fn gone(session: &Session, interval: Duration) {
    loop {
        tokio::select! {
            biased;
            () = session.life().over() => return,
            () = tokio::time::sleep(interval) => {}
        }
        if session.lifecycle().release.is_some() {
            session.has_gone().await;
        }
    }
}

/// Does `work`, unless `ending` comes before its end.
pub(super) async fn unless<T>(
    ending: Pin<&mut (impl Future<Output = Error> + Send)>,
    work: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    tokio::select! {
        biased;
        reason = ending => Err(reason),
        outcome = work => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Created, Session};
    use crate::testing::{Server, not_found, ok};

    /// A session whose time is over, as far as is known here.
    fn expired(server: &Server) -> Session {
        let session = server.new_session(Created::default());
        session.life().clock().advance(Duration::from_secs(100));
        session
    }

    #[tokio::test]
    async fn the_service_is_asked_until_it_says_that_a_session_is_gone_whose_time_is_over() {
        let server = Server::start(|seen| match seen.nth {
            0 => ok(&serde_json::json!({"status": "RUNNING"})),
            _ => not_found(),
        })
        .await;
        gone(&expired(&server), Duration::from_millis(1)).await;
        assert_eq!(server.seen().len(), 2);
    }

    #[tokio::test]
    async fn nobody_asks_about_a_session_that_is_known_to_be_gone() {
        let server = Server::start(|_| not_found()).await;
        let session = server.session();
        session.life().gone();
        gone(&session, LOOK_INTERVAL).await;
        assert!(server.seen().is_empty());
    }
}
