//! The circuit breaker: an upstream that keeps failing is left alone for a while, then asked once to see.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Failures in a row that open it. Default: 5.
    pub failures: u32,
    /// How long it stays open before one request may try. Default: 10s.
    #[serde(with = "humantime_serde")]
    pub open_for: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(10) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Requests pass; so many failed in a row.
    Closed(u32),
    /// None passes until then.
    Open(Instant),
    /// One is out to try; nobody else passes.
    HalfOpen,
}

/// A breaker. The critical sections are a few instructions, so a std mutex is right.
#[derive(Debug)]
pub(super) struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
}

/// The right to ask once. Dropped without a word (the client left), it counts neither way.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    /// Whether this is the request that tries an open breaker.
    probe: bool,
}

impl Breaker {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self { config, state: Mutex::new(State::Closed(0)) }
    }

    /// Asks to pass.
    pub(super) fn permit(&self) -> Option<Permit<'_>> {
        self.with(|state| match *state {
            State::Closed(_) => Some(false),
            State::Open(until) if Instant::now() >= until => {
                *state = State::HalfOpen;
                Some(true)
            }
            State::Open(_) | State::HalfOpen => None,
        })
        .map(|probe| Permit { breaker: self, probe })
    }

    /// Whether requests are kept away right now.
    pub(super) fn is_open(&self) -> bool {
        self.with(|state| match *state {
            State::Closed(_) => false,
            State::Open(until) => Instant::now() < until,
            State::HalfOpen => true,
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Permit<'_> {
    /// The upstream answered.
    pub(super) fn succeeded(mut self) {
        self.probe = false;
        self.breaker.with(|state| *state = State::Closed(0));
    }

    /// The upstream failed.
    pub(super) fn failed(mut self) {
        let config = self.breaker.config;
        let probe = std::mem::take(&mut self.probe);
        self.breaker.with(|state| match *state {
            State::Closed(failures) if failures + 1 < config.failures => *state = State::Closed(failures + 1),
            // Late news of a request that passed before it opened.
            State::Open(_) if !probe => {}
            _ => *state = State::Open(Instant::now() + config.open_for),
        });
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe {
            // The trial came to nothing: the next request may try.
            self.breaker.with(|state| *state = State::Open(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// A breaker that two failures open.
    fn breaker(open_for: Duration) -> Breaker {
        Breaker::new(BreakerConfig { failures: 2, open_for })
    }

    fn opened(open_for: Duration) -> Breaker {
        let breaker = breaker(open_for);
        breaker.permit().unwrap().failed();
        breaker.permit().unwrap().failed();
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row() {
        let breaker = breaker(LONG);
        breaker.permit().unwrap().failed();
        breaker.permit().unwrap().succeeded();
        breaker.permit().unwrap().failed();
        assert!(!breaker.is_open());
        breaker.permit().unwrap().failed();
        assert!(breaker.is_open() && breaker.permit().is_none());
    }

    #[test]
    fn one_request_tries_after_a_while() {
        let breaker = opened(Duration::ZERO);
        let trial = breaker.permit().unwrap();
        assert!(breaker.is_open() && breaker.permit().is_none());
        trial.succeeded();
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_trial_that_fails_opens_it_again() {
        let breaker = opened(Duration::ZERO);
        breaker.permit().unwrap().failed();
        assert!(matches!(*breaker.state.lock().unwrap(), State::Open(_)));
    }

    #[test]
    fn late_news_does_not_prolong_it() {
        let breaker = breaker(LONG);
        let late = breaker.permit().unwrap();
        breaker.permit().unwrap().failed();
        breaker.permit().unwrap().failed();
        let before = *breaker.state.lock().unwrap();
        late.failed();
        assert_eq!(*breaker.state.lock().unwrap(), before);
    }

    #[test]
    fn a_trial_that_came_to_nothing_is_given_back() {
        let breaker = opened(Duration::ZERO);
        drop(breaker.permit().unwrap());
        assert!(breaker.permit().is_some());
    }
}
