//! Detectors turn segments into findings. They report; the policy decides.

pub mod canary;
pub mod cascade;
pub mod classifier;
pub mod conversation;
pub mod disguise;
pub mod exfil;
pub mod external;
pub mod language;
mod overlap;
pub mod pattern;
pub mod pii;
pub mod secrets;
pub mod sense;
pub mod view;

use std::{
    collections::HashSet,
    future::{Ready, ready},
    sync::Arc,
    time::Instant,
};

use futures_util::future::{BoxFuture, Either};

use crate::{
    message::Exchange,
    verdict::{FailureReason, Finding, SignalInfo},
};
pub use view::{SpanMap, View};

/// What a detector is asked to judge: an exchange, every segment's views, and until when.
#[derive(Debug)]
pub struct Task {
    /// The texts and what they answer.
    pub exchange: Exchange,
    /// For each segment its views: first the text as it stands, then the readings that `disguise` uncovered, and for the
    /// last of several user messages in a row all of them together.
    pub views: Vec<Vec<View>>,
    /// The disguises that were found.
    pub disguises: Vec<Finding>,
    /// When the answer is no longer of use.
    pub deadline: Instant,
}

impl Task {
    /// A task whose segments are read as they stand.
    pub fn plain(exchange: Exchange, deadline: Instant) -> Self {
        let views = exchange.segments.iter().map(|segment| vec![View::plain(segment.text.clone())]).collect();
        Self { exchange, views, disguises: Vec::new(), deadline }
    }

    /// A task whose segments are read through their disguises too.
    pub fn prepare(exchange: Exchange, deadline: Instant) -> Self {
        let mut views = Vec::with_capacity(exchange.segments.len());
        let mut disguises = Vec::new();
        for (i, segment) in exchange.segments.iter().enumerate() {
            let (uncovered, found) = disguise::uncover(&segment.text, i, deadline);
            views.push(uncovered);
            disguises.extend(found);
        }
        for (segment, run) in conversation::runs(&exchange.segments) {
            views[segment].push(run);
        }
        Self { exchange, views, disguises, deadline }
    }

    /// Whether the deadline has passed.
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

/// What a detector comes to.
pub type Detected = Result<Vec<Finding>, FailureReason>;

/// The same, at once or later.
pub type Detecting<'a> = Either<Ready<Detected>, BoxFuture<'a, Detected>>;

/// One way of seeing something in a text. The one seam of the guard that is `dyn`: patterns, validators,
/// networks in this process and guards behind an upstream all stand behind it.
pub trait Detector: Send + Sync {
    /// Its name in policies, metrics and logs.
    fn name(&self) -> &'static str;

    /// Every signal it can raise.
    fn signals(&self) -> Vec<SignalInfo>;

    /// Whether [`Detector::detect`] does its work on the calling thread before it returns. The guard keeps such
    /// detectors off the async threads when the texts are long.
    fn on_caller(&self) -> bool {
        false
    }

    /// Judges a task. A detector that can't judge says so; it never gives an empty answer instead.
    ///
    /// # Errors
    /// The reason why there are no findings.
    fn detect<'a>(&'a self, task: &'a Task) -> Detecting<'a>;
}

/// A match of a detector that looks at one text at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The signal's full name.
    pub signal: Arc<str>,
    /// How sure, from 0 to 1.
    pub score: f32,
    /// Where in the text that was scanned, in bytes.
    pub span: std::ops::Range<usize>,
}

/// A detector that needs nothing but one text: it is run over every view of every segment by [`OnText`].
pub trait TextDetector: Send + Sync {
    /// Its name in policies, metrics and logs.
    fn name(&self) -> &'static str;

    /// Every signal it can raise.
    fn signals(&self) -> Vec<SignalInfo>;

    /// Adds what it sees in `text` to `hits`. Linear in the length of the text; never panics.
    fn scan(&self, text: &str, hits: &mut Vec<Hit>);
}

/// Runs a [`TextDetector`] over every view and maps what it sees back to the original text.
#[derive(Debug)]
pub struct OnText<T>(pub T);

impl<T: TextDetector> OnText<T> {
    fn run(&self, task: &Task) -> Detected {
        let mut findings: Vec<Finding> = Vec::new();
        let mut hits = Vec::new();
        // The same thing seen again through another view is one finding. A set, because a text may hold
        // a hundred thousand addresses.
        let mut seen = HashSet::new();
        for (segment, views) in task.views.iter().enumerate() {
            for (i, view) in views.iter().enumerate() {
                // The clock costs as much as a few hundred bytes of text.
                if (segment, i) != (0, 0) && task.is_late() {
                    return Err(FailureReason::Late);
                }
                self.0.scan(&view.text, &mut hits);
                for hit in hits.drain(..) {
                    let span = view.map.to_original(&hit.span);
                    // What lies in another message of the run was seen there.
                    if !span.is_empty() && seen.insert((segment, hit.signal.clone(), span.clone())) {
                        findings.push(Finding {
                            signal: hit.signal,
                            detector: self.0.name(),
                            score: hit.score,
                            segment,
                            span: Some(span),
                        });
                    }
                }
            }
        }
        Ok(findings)
    }
}

impl<T: TextDetector> Detector for OnText<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn signals(&self) -> Vec<SignalInfo> {
        self.0.signals()
    }

    fn on_caller(&self) -> bool {
        true
    }

    fn detect<'a>(&'a self, task: &'a Task) -> Detecting<'a> {
        Either::Left(ready(self.run(task)))
    }
}
