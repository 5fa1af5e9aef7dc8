//! The objects that transfers of one session have in the store. Transfers of the same path share one: it is removed when
//! the last of them has ended.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use crate::wire::transfer::InternalContext;

/// The objects in use, by the path that the caller named.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    by_path: Mutex<HashMap<String, Weak<Object>>>,
}

#[derive(Debug, Default)]
struct Object {
    /// Read by each transfer while it needs the object, written by the removal.
    in_use: Arc<RwLock<()>>,
    /// The context that it has to be removed from, once a transfer is done with it.
    leftover: Mutex<Option<InternalContext>>,
}

/// An object that a transfer needs.
#[derive(Debug)]
pub(super) struct UsedObject {
    object: Arc<Object>,
    using: OwnedRwLockReadGuard<()>,
}

impl Objects {
    /// The object at `path`, which stays until it is left; waits while it is being removed.
    pub(super) async fn at(&self, path: &str) -> UsedObject {
        let object = self.find(path);
        let using = object.in_use.clone().read_owned().await;
        UsedObject { object, using }
    }

    fn find(&self, path: &str) -> Arc<Object> {
        let mut by_path = self.by_path.lock().unwrap_or_else(PoisonError::into_inner);
        by_path.retain(|_, object| object.strong_count() > 0);
        if let Some(object) = by_path.get(path).and_then(Weak::upgrade) {
            return object;
        }
        let object = Arc::<Object>::default();
        by_path.insert(path.to_owned(), Arc::downgrade(&object));
        object
    }
}

impl UsedObject {
    /// Ends the use. What is left over is removed now, or by the last transfer that needs the object.
    pub(super) async fn leave<Removal>(
        self,
        leftover: Option<InternalContext>,
        remove: impl FnOnce(InternalContext) -> Removal,
    ) where
        Removal: Future<Output = ()>,
    {
        let Self { object, using } = self;
        if leftover.is_some() {
            *object.leftover.lock().unwrap_or_else(PoisonError::into_inner) = leftover;
        }
        drop(using);
        let Ok(_removing) = object.in_use.try_write() else { return };
        let leftover = object.leftover.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(context) = leftover {
            remove(context).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn leftover() -> Option<InternalContext> {
        Some(InternalContext { id: "ft-1".into(), path: "/tmp".into() })
    }

    /// Ends a use; was the object removed?
    async fn removed(object: UsedObject, leftover: Option<InternalContext>) -> bool {
        let mut is_removed = false;
        object
            .leave(leftover, |context| {
                assert_eq!(context.id, "ft-1");
                is_removed = true;
                ready(())
            })
            .await;
        is_removed
    }

    #[tokio::test]
    async fn the_last_transfer_removes_what_any_of_them_has_left() {
        let objects = Objects::default();
        let (first, second, third) = (objects.at("/a").await, objects.at("/a").await, objects.at("/a").await);
        assert!(!removed(first, None).await);
        assert!(!removed(second, leftover()).await);
        assert!(removed(third, None).await);
        assert!(!removed(objects.at("/a").await, None).await);
    }

    #[tokio::test]
    async fn paths_have_nothing_to_do_with_each_other() {
        let objects = Objects::default();
        let (first, _second) = (objects.at("/a").await, objects.at("/b").await);
        assert!(removed(first, leftover()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_waits_while_its_object_is_being_removed() {
        let objects = Objects::default();
        let object = objects.at("/a").await;
        let removing = tokio::spawn(object.leave(leftover(), |_| pending()));
        tokio::task::yield_now().await;
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), objects.at("/a")).await;
        assert!(waited.is_err());
        removing.abort();
        objects.at("/a").await;
    }
}
