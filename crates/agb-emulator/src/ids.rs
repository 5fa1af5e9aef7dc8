//! Identifiers and secrets.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use fastrand::Rng;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// One independent stream of identifiers: draws from one never change what another gives, and an identifier that
/// anybody may see (a request id) tells nothing about one that is a secret (a token).
#[derive(Debug)]
pub(crate) struct Ids {
    rng: Mutex<Rng>,
}

impl Ids {
    /// The stream number `stream` of a seed; without a seed one that nobody can guess.
    pub(crate) fn new(seed: Option<u64>, stream: u64) -> Self {
        let start = match seed {
            Some(seed) => seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(stream),
            None => unguessable(),
        };
        Self { rng: Mutex::new(Rng::with_seed(start)) }
    }

    /// `prefix` and `count` lower-case letters or digits.
    pub(crate) fn letters(&self, prefix: &str, count: usize) -> String {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = (0..count).filter_map(|_| LETTERS.get(rng.usize(..LETTERS.len())).copied().map(char::from));
        prefix.chars().chain(tail).collect()
    }

    /// The usual spelling of a 128-bit identifier: 8-4-4-4-12 hexadecimal digits.
    pub(crate) fn uuid(&self) -> String {
        let bits = self.rng.lock().unwrap_or_else(PoisonError::into_inner).u128(..);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            (bits >> 80) & 0xffff,
            (bits >> 64) & 0xffff,
            (bits >> 48) & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }
}

/// A key or token: readable where it is needed, and hidden in every debug print.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(secret: String) -> Self {
        Self(secret)
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// An API key that nobody knows: `ako-` and 32 hexadecimal digits.
pub(crate) fn random_api_key() -> String {
    format!("ako-{:016x}{:016x}", unguessable(), unguessable())
}

/// 64 bits that depend on keys drawn from the operating system.
fn unguessable() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_another_stream_or_seed_gives_others() {
        let first = Ids::new(Some(7), 0).letters("session-", 25);
        assert_eq!(first, Ids::new(Some(7), 0).letters("session-", 25));
        assert_ne!(first, Ids::new(Some(7), 1).letters("session-", 25));
        assert_ne!(first, Ids::new(Some(8), 0).letters("session-", 25));
        assert_eq!(first.len(), "session-".len() + 25);
    }

    #[test]
    fn without_a_seed_nothing_repeats() {
        assert_ne!(random_api_key(), random_api_key());
        assert_ne!(Ids::new(None, 0).uuid(), Ids::new(None, 0).uuid());
        assert_eq!(Ids::new(None, 0).uuid().len(), 36);
    }
}
