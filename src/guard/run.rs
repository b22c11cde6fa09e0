//! Runs detectors over one task: short texts at once on the caller's thread, long ones off the async threads.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::join_all};

use crate::{
    detect::{Detected, Detector, Task, disguise},
    message::Exchange,
    verdict::FailureReason,
};

/// Up to this many bytes of text (tens of microseconds of work) it costs less to look at once than to change
/// threads; beyond it looking would hold up other requests.
const INLINE_BYTES: usize = 16 * 1024;

/// What one detector came to.
pub(super) struct Outcome {
    pub(super) detector: &'static str,
    pub(super) result: Detected,
    pub(super) took: Duration,
}

/// Undoes disguises, then runs every detector side by side until the deadline. The outcomes come in that order.
pub(super) async fn all(
    detectors: &[Arc<dyn Detector>],
    exchange: Exchange,
    deadline: Instant,
) -> (Arc<Task>, Vec<Outcome>) {
    let bytes: usize = exchange.segments.iter().map(|segment| segment.text.len()).sum();
    let offload = bytes > INLINE_BYTES;
    let started = Instant::now();
    let prepared = if offload {
        let plain = exchange.clone();
        match tokio::task::spawn_blocking(move || Task::prepare(exchange, deadline)).await {
            Ok(task) => Ok(task),
            // A panic: the text is judged as it stands, and the failure is told.
            Err(_) => Err(Task::plain(plain, deadline)),
        }
    } else {
        Ok(Task::prepare(exchange, deadline))
    };
    let (task, prepared) = match prepared {
        Ok(task) => (Arc::new(task), Ok(Vec::new())),
        Err(task) => (Arc::new(task), Err(FailureReason::Error)),
    };
    let mut now = Instant::now();
    let mut outcomes = Vec::with_capacity(1 + detectors.len());
    outcomes.push(Outcome { detector: disguise::NAME, result: prepared, took: now - started });
    if offload || !detectors.iter().all(|detector| detector.on_caller()) {
        outcomes.extend(join_all(detectors.iter().map(|detector| one(detector, &task, offload))).await);
        return (task, outcomes);
    }
    // One after the other on this thread: the end of one is the start of the next.
    for detector in detectors {
        let result = guarded(&**detector, &task).await;
        let started = std::mem::replace(&mut now, Instant::now());
        outcomes.push(Outcome { detector: detector.name(), result, took: now - started });
    }
    (task, outcomes)
}

async fn one(detector: &Arc<dyn Detector>, task: &Arc<Task>, offload: bool) -> Outcome {
    let started = Instant::now();
    let result = if detector.on_caller() && !offload {
        // It looks at the deadline itself, so no timer is needed.
        guarded(&**detector, task).await
    } else {
        let deadline = tokio::time::Instant::from_std(task.deadline);
        let (owned, task) = (Arc::clone(detector), Arc::clone(task));
        let work = async move {
            if !owned.on_caller() {
                return guarded(&*owned, &task).await;
            }
            let handle = tokio::runtime::Handle::current();
            let work = move || handle.block_on(guarded(&*owned, &task));
            tokio::task::spawn_blocking(work).await.unwrap_or(Err(FailureReason::Error))
        };
        tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(FailureReason::Late))
    };
    Outcome { detector: detector.name(), result, took: started.elapsed() }
}

/// A detector's bug must not take the request down, nor pass for "nothing found".
async fn guarded(detector: &dyn Detector, task: &Task) -> Detected {
    let work = async { detector.detect(task).await };
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or(Err(FailureReason::Error))
}
