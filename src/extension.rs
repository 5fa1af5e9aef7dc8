//! Browser extensions: `ts/extension.ts` on this side.

use std::path::PathBuf;

use agb_client::{Extension, Extensions};
use napi::bindgen_prelude::PromiseRaw;
use napi::{Env, Result};
use napi_derive::napi;

use crate::agb::NativeAgb;
use crate::support::{Outcome, outcome, promise};

/// The context that extensions lie in.
#[napi(object, object_from_js = false)]
pub struct NativeRepository {
    /// Its id.
    pub context_id: String,
}

/// A browser extension that is stored.
#[napi(object, object_from_js = false)]
pub struct NativeExtension {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was stored.
    pub created_at: Option<String>,
}

impl From<Extension> for NativeExtension {
    fn from(extension: Extension) -> Self {
        Self { id: extension.id, name: extension.name, created_at: extension.created_at }
    }
}

/// Browser extensions, in the service's order.
#[napi(object, object_from_js = false)]
pub struct NativeExtensionList {
    /// The extensions.
    pub extensions: Vec<NativeExtension>,
}

/// Whether the service did what it was asked for.
#[napi(object, object_from_js = false)]
pub struct NativeRemoval {
    /// Did it?
    pub done: bool,
}

/// The browser extensions of one context.
#[napi]
pub struct NativeExtensions {
    inner: Extensions,
}

#[napi]
impl NativeAgb {
    /// The extensions in the context of that name, or of a new name for an empty one. Nothing is sent.
    #[napi]
    pub fn extensions(&self, name: String) -> NativeExtensions {
        NativeExtensions { inner: self.client().extensions(&name) }
    }
}

#[napi]
impl NativeExtensions {
    /// The id of the context, once it was found.
    #[napi(getter)]
    pub fn context_id(&self) -> Option<String> {
        self.inner.context_id()
    }

    /// Finds the context, or makes it.
    #[napi]
    pub fn open<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<NativeRepository>>> {
        let extensions = self.inner.clone();
        promise(env, async move { outcome(extensions.open().await.map(|context_id| NativeRepository { context_id })) })
    }

    /// Lists all.
    #[napi]
    pub fn list<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<NativeExtensionList>>> {
        let extensions = self.inner.clone();
        promise(env, async move {
            let listed = extensions.list().await;
            outcome(listed.map(|all| NativeExtensionList { extensions: all.into_iter().map(Into::into).collect() }))
        })
    }

    /// Stores a local file as a new one.
    #[napi]
    pub fn create<'env>(
        &self,
        env: &'env Env,
        local_path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeExtension>>> {
        let (extensions, path) = (self.inner.clone(), PathBuf::from(local_path));
        promise(env, async move { outcome(extensions.create(&path).await) })
    }

    /// Stores a local file in the place of another.
    #[napi]
    pub fn update<'env>(
        &self,
        env: &'env Env,
        id: String,
        local_path: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeExtension>>> {
        let (extensions, path) = (self.inner.clone(), PathBuf::from(local_path));
        promise(env, async move { outcome(extensions.update(&id, &path).await) })
    }

    /// Deletes one.
    #[napi]
    pub fn delete<'env>(&self, env: &'env Env, id: String) -> Result<PromiseRaw<'env, Outcome<NativeRemoval>>> {
        let extensions = self.inner.clone();
        promise(env, async move { outcome(extensions.delete(&id).await.map(|done| NativeRemoval { done })) })
    }

    /// Deletes the context, if it was made here.
    #[napi]
    pub fn clean_up<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<NativeRemoval>>> {
        let extensions = self.inner.clone();
        promise(env, async move { outcome(extensions.clean_up().await.map(|done| NativeRemoval { done })) })
    }
}
