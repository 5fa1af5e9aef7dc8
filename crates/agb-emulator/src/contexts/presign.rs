//! Links to one object that need no key: what they allow stands in them, with a token that nobody else can make.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::routes::same_secret;

/// What may stand in a path as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a link allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Read,
    Write,
}

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Grant<'a> {
    pub(crate) access: Access,
    pub(crate) context_id: &'a str,
    pub(crate) path: &'a str,
    /// Seconds since 1970, by the emulator's clock.
    pub(crate) expires_s: i64,
}

/// Makes and checks the tokens: a keyed hash of the grant, with keys drawn from the operating system.
pub(crate) struct Signer {
    keys: [RandomState; 2],
}

impl Signer {
    pub(crate) fn new() -> Self {
        Self { keys: [RandomState::new(), RandomState::new()] }
    }

    pub(crate) fn token(&self, grant: &Grant<'_>) -> String {
        let [first, second] = &self.keys;
        format!("{:016x}{:016x}", first.hash_one((0u8, grant)), second.hash_one((1u8, grant)))
    }

    pub(crate) fn accepts(&self, grant: &Grant<'_>, token: &str) -> bool {
        same_secret(self.token(grant).as_bytes(), token.as_bytes())
    }

    /// The link, absolute.
    pub(crate) fn url(&self, base_url: &str, grant: &Grant<'_>) -> String {
        let path = utf8_percent_encode(grant.path, PATH);
        let (context, expires) = (grant.context_id, grant.expires_s);
        format!("{base_url}/object/{context}{path}?expires={expires}&token={}", self.token(grant))
    }
}

impl fmt::Debug for Signer {
    /// Leaves out the keys.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_grant_only() {
        let signer = Signer::new();
        let grant = Grant { access: Access::Read, context_id: "c", path: "/a b", expires_s: 10 };
        let token = signer.token(&grant);
        assert!(signer.accepts(&grant, &token));
        for other in [
            Grant { access: Access::Write, ..grant },
            Grant { context_id: "d", ..grant },
            Grant { path: "/a", ..grant },
            Grant { expires_s: 11, ..grant },
        ] {
            assert!(!signer.accepts(&other, &token), "{other:?}");
        }
        assert!(!Signer::new().accepts(&grant, &token));
        assert!(signer.url("http://h", &grant).starts_with("http://h/object/c/a%20b?expires=10&token="));
    }
}
