//! A second opinion where the first one is in doubt: a slower guard is asked only about what the guard model scores
//! between two bounds (a cascade of classifiers, Viola and Jones, 2001).

use std::{ops::RangeInclusive, sync::Arc};

use futures_util::{FutureExt, future::Either};

use super::{Detected, Detecting, Detector, Task};
use crate::verdict::SignalInfo;

/// The signal that tells how sure the guard model is.
const DECIDES: &str = "guard.harm";

/// A detector that looks only at what another one is in doubt about.
pub struct Cascade {
    first: Arc<dyn Detector>,
    /// Scores of `guard.harm` that are doubtful.
    band: RangeInclusive<f32>,
    second: Arc<dyn Detector>,
}

impl Cascade {
    /// `second` judges an exchange when one of its texts gets a score of `guard.harm` in `band` from `first`. What `first`
    /// has judged for itself it remembers, so that asking it here costs nothing.
    pub fn new(first: Arc<dyn Detector>, band: RangeInclusive<f32>, second: Arc<dyn Detector>) -> Self {
        Self { first, band, second }
    }

    async fn run(&self, task: &Task) -> Detected {
        let seen = self.first.detect(task).await?;
        let is_doubtful = seen.iter().any(|f| *f.signal == *DECIDES && self.band.contains(&f.score));
        if is_doubtful { self.second.detect(task).await } else { Ok(Vec::new()) }
    }
}

impl Detector for Cascade {
    fn name(&self) -> &'static str {
        self.second.name()
    }

    fn signals(&self) -> Vec<SignalInfo> {
        self.second.signals()
    }

    fn detect<'a>(&'a self, task: &'a Task) -> Detecting<'a> {
        Either::Right(self.run(task).boxed())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        sync::atomic::{AtomicUsize, Ordering},
        time::Instant,
    };

    use super::*;
    use crate::{
        message::{Direction, Exchange, Segment},
        verdict::{FailureReason, Finding},
    };

    /// Says the same of everything, and counts how often it is asked.
    struct Always(Result<f32, FailureReason>, AtomicUsize);

    impl Detector for Always {
        fn name(&self) -> &'static str {
            "always"
        }

        fn signals(&self) -> Vec<SignalInfo> {
            Vec::new()
        }

        fn detect<'a>(&'a self, _: &'a Task) -> Detecting<'a> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let finding =
                |score| Finding { signal: DECIDES.into(), detector: "always", score, segment: 0, span: None };
            Either::Left(ready(self.0.map(|score| vec![finding(score)])))
        }
    }

    async fn asked(first: Result<f32, FailureReason>) -> (usize, Detected) {
        let second = Arc::new(Always(Ok(1.0), AtomicUsize::new(0)));
        let first = Arc::new(Always(first, AtomicUsize::new(0)));
        let cascade = Cascade::new(first, 0.3..=0.8, Arc::clone(&second) as _);
        let exchange = Exchange::input(vec![Segment::bare(Direction::Input, "hello")]);
        let found = cascade.detect(&Task::plain(exchange, Instant::now())).await;
        (second.1.load(Ordering::Relaxed), found)
    }

    #[tokio::test]
    async fn the_second_is_asked_in_doubt_only() {
        for (score, times) in [(0.1, 0), (0.3, 1), (0.8, 1), (0.9, 0)] {
            assert_eq!(asked(Ok(score)).await.0, times, "{score}");
        }
    }

    #[tokio::test]
    async fn without_the_first_there_is_no_second_opinion() {
        assert_eq!(asked(Err(FailureReason::Late)).await, (0, Err(FailureReason::Late)));
    }
}
