//! API keys: kept as SHA-256 hashes, compared in constant time, each with its own rate limit.

use std::{num::NonZeroU32, time::Duration};

use axum::http::{HeaderMap, header};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// A key as the settings name it. Keys are random and long, so a plain SHA-256 keeps them; a slow password hash
/// would only slow down every request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// A name for logs and for choosing a policy; never the key.
    pub name: String,
    /// The SHA-256 of the key, in 64 hex digits: `demur keys new` prints it.
    pub sha256: String,
    /// Requests a minute; unlimited when absent.
    pub requests_per_minute: Option<NonZeroU32>,
    /// How many may come at once; a tenth of the rate, at least one, when absent.
    pub burst: Option<NonZeroU32>,
}

/// What is wrong with a key's settings.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a hash.
    #[error("key `{0}`: `sha256` must be 64 hex digits (`demur keys new` makes one)")]
    BadHash(String),
    /// Two keys of one name.
    #[error("two keys are named `{0}`")]
    Duplicate(String),
}

struct Key {
    name: String,
    hash: [u8; 32],
    limiter: Option<Limiter>,
}

type Limiter =
    RateLimiter<NotKeyed, InMemoryState, DefaultClock, NoOpMiddleware<<DefaultClock as Clock>::Instant>>;

/// All keys. Without any, everyone may call: for a gateway on loopback.
#[derive(Default)]
pub struct Keys(Vec<Key>);

/// What a set of headers proves.
#[derive(Debug, PartialEq, Eq)]
pub enum Access {
    /// No keys are in use.
    Open,
    /// This key, by its place.
    Granted(usize),
    /// A key was sent, and it is none of ours (`true`), or none was sent (`false`).
    Denied(bool),
}

impl Keys {
    /// Keys with their limits.
    ///
    /// # Errors
    /// A hash that is none, or a name twice.
    pub fn new(configs: &[KeyConfig]) -> Result<Self, KeyError> {
        let mut keys: Vec<Key> = Vec::with_capacity(configs.len());
        for config in configs {
            if keys.iter().any(|key| key.name == config.name) {
                return Err(KeyError::Duplicate(config.name.clone()));
            }
            let hash = data_encoding::HEXLOWER_PERMISSIVE.decode(config.sha256.as_bytes()).ok();
            let hash =
                hash.and_then(|hash| hash.try_into().ok()).ok_or(KeyError::BadHash(config.name.clone()))?;
            let limiter = config.requests_per_minute.map(|rate| {
                let burst = config.burst.or(NonZeroU32::new(rate.get() / 10)).unwrap_or(NonZeroU32::MIN);
                RateLimiter::direct(Quota::per_minute(rate).allow_burst(burst))
            });
            keys.push(Key { name: config.name.clone(), hash, limiter });
        }
        Ok(Self(keys))
    }

    /// Whether anyone may call.
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Which key these headers carry, as `Authorization: Bearer`, `x-api-key` or `api-key` (OpenAI's,
    /// Anthropic's and Azure's ways).
    pub fn access(&self, headers: &HeaderMap) -> Access {
        if self.is_open() {
            return Access::Open;
        }
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
            let (scheme, key) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
        });
        let plain = |name| headers.get(name).map(|value| value.as_bytes());
        let Some(sent) = bearer.or_else(|| plain("x-api-key")).or_else(|| plain("api-key")) else {
            return Access::Denied(false);
        };
        let hash: [u8; 32] = Sha256::digest(sent.trim_ascii()).into();
        // Every key is looked at, so that time tells nothing about which one is near.
        let (mut found, mut place) = (Choice::from(0), 0_u64);
        for (i, key) in self.0.iter().enumerate() {
            let same = key.hash.ct_eq(&hash);
            place.conditional_assign(&(i as u64), same);
            found |= same;
        }
        if bool::from(found) { Access::Granted(place as usize) } else { Access::Denied(true) }
    }

    /// A key's name.
    pub fn name(&self, key: usize) -> &str {
        &self.0[key].name
    }

    /// Counts a request against a key's rate.
    ///
    /// # Errors
    /// How long to wait.
    pub fn admit(&self, key: usize) -> Result<(), Duration> {
        let Some(limiter) = &self.0[key].limiter else { return Ok(()) };
        limiter.check().map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

/// A key's hash, as the settings keep it.
pub fn hash(key: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let config = |name: &str, key: &str, rate: Option<u32>| KeyConfig {
            name: name.to_owned(),
            sha256: hash(key),
            requests_per_minute: rate.and_then(NonZeroU32::new),
            burst: NonZeroU32::new(2),
        };
        Keys::new(&[config("a", "dm-one", None), config("b", "dm-two", Some(60))]).unwrap()
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn a_key_is_found_by_its_hash() {
        let keys = keys();
        assert_eq!(keys.access(&with("authorization", "Bearer dm-two")), Access::Granted(1));
        assert_eq!(keys.access(&with("authorization", "bearer dm-one")), Access::Granted(0));
        assert_eq!(keys.access(&with("x-api-key", "dm-one")), Access::Granted(0));
        assert_eq!(keys.access(&with("authorization", "Bearer dm-three")), Access::Denied(true));
        assert_eq!(keys.access(&HeaderMap::new()), Access::Denied(false));
    }

    #[test]
    fn a_rate_lets_its_burst_through_and_then_says_when() {
        let keys = keys();
        assert!(keys.admit(1).is_ok());
        assert!(keys.admit(1).is_ok());
        let wait = keys.admit(1).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert!((0..100).all(|_| keys.admit(0).is_ok()));
    }

    #[test]
    fn a_hash_that_is_none_is_named() {
        let config = KeyConfig {
            name: "a".into(),
            sha256: "plain-key".into(),
            requests_per_minute: None,
            burst: None,
        };
        assert!(Keys::new(&[config]).err().unwrap().to_string().contains("key `a`"));
    }
}
