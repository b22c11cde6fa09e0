//! When to ask again: only before a byte was answered, after a pause that differs from client to client.

use std::time::Duration;

use ::http::{HeaderMap, StatusCode, header};
use rand::RngExt;

/// The first pause at most, doubling with each attempt.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause, also when an upstream asks for a longer one: then the request is answered with its error.
const LONGEST: Duration = Duration::from_secs(2);

/// Statuses that say "not now" without having done any work (RFC 9110, RFC 6585).
pub(super) fn is_transient(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// How long to wait before the attempt after this one (counted from 0): exponential back-off with full jitter
/// (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), or what the upstream asks for.
/// `None` when it asks for more than is worth waiting.
pub(super) fn pause(attempt: u32, answer: Option<&HeaderMap>) -> Option<Duration> {
    let asked =
        answer.and_then(|headers| headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse::<u64>().ok());
    match asked.map(Duration::from_secs) {
        Some(asked) if asked > LONGEST => None,
        Some(asked) => Some(asked),
        None => {
            let most = FIRST.saturating_mul(1 << attempt.min(10)).min(LONGEST);
            Some(most.mul_f64(rand::rng().random_range(0.0..=1.0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_under_their_limit() {
        for attempt in 0..40 {
            assert!(pause(attempt, None).unwrap() <= LONGEST);
        }
        assert!(pause(0, None).unwrap() <= FIRST);
    }

    #[test]
    fn an_upstream_may_ask_for_a_pause_within_reason() {
        let asking = |seconds: &str| HeaderMap::from_iter([(header::RETRY_AFTER, seconds.parse().unwrap())]);
        assert_eq!(pause(0, Some(&asking("1"))), Some(Duration::from_secs(1)));
        assert_eq!(pause(0, Some(&asking("60"))), None);
    }
}
