//! The thread that runs the guard's network for all requests.
//!
//! Each turn is one pass over the windows of the texts that wait, those first that are short or have waited long, so that
//! a short prompt need not wait for a long document, nor the document for ever; a document is also cut into windows no
//! faster than it is read. Between turns those whose caller has left, or whose time is over, are dropped. What was judged
//! is kept under its text, role and context, so the old messages of a long conversation, and the same question from many
//! users, cost nothing.

use std::{
    num::NonZeroUsize,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lru::LruCache;
use prometheus::{Histogram, IntCounter};
use tokio::sync::oneshot;

use super::{
    encoder::{
        Encoder, Window,
        tokens::{Cut, Passage, Shown},
    },
    queue::{Queue, Refused, Waiting},
};

/// Tokens of one pass: what a short text waits for at most when a long one is before it.
const PASS: usize = 512;
/// How much time a token counts for: a text overtakes one that came earlier when it is so much shorter. Some ten times what
/// reading it takes.
const TOKEN: Duration = Duration::from_millis(1);
/// Bytes of a token, about, for what is not cut yet.
const BYTES: usize = 4;
/// Texts that are worked on side by side.
const ACTIVE: usize = 64;

/// What the thread computes with.
pub trait Network: Send {
    /// The next stretch of a passage, from a byte on, as windows that together show all of it.
    ///
    /// # Errors
    /// The text can't be read.
    fn windows(&self, passage: Passage<'_>, from: usize) -> Result<Cut>;

    /// The probability of each head for each window.
    ///
    /// # Errors
    /// The network fails, or gives numbers that are none.
    fn probabilities(&mut self, windows: &[Window]) -> Result<Vec<Vec<f32>>>;
}

impl Network for Encoder {
    fn windows(&self, passage: Passage<'_>, from: usize) -> Result<Cut> {
        self.tokens().windows(passage, from)
    }

    fn probabilities(&mut self, windows: &[Window]) -> Result<Vec<Vec<f32>>> {
        Encoder::probabilities(self, windows)
    }
}

/// A text to judge: what the cache knows it by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text {
    /// The text.
    pub text: Arc<str>,
    /// Index of its kind in the network's types.
    pub kind: u8,
    /// What it answers, or the task that it came in for.
    pub context: Option<Arc<str>>,
}

/// A head's highest probability, and the bytes of the text that the window shows.
pub type Score = (f32, Range<usize>);

/// The scores of a text, one a head; empty for a text without tokens.
pub type Scores = Arc<[Score]>;

/// Why a text was not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// Its time was over before its turn.
    Late,
    /// The network failed.
    Failed(String),
}

/// How much the thread takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Texts that may wait.
    pub queue: usize,
    /// Texts whose scores are kept; 0 keeps none.
    pub cache: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queue: 4096, cache: 16_384 }
    }
}

/// What the thread counts.
#[derive(Clone)]
pub struct Counters {
    /// Texts whose scores were known.
    pub cached: IntCounter,
    /// Tokens of each pass.
    pub pass_tokens: Histogram,
}

#[cfg(test)]
impl Counters {
    /// Counters that nobody reads.
    pub(crate) fn unread() -> Self {
        Self {
            cached: IntCounter::new("cached", "x").unwrap(),
            pass_tokens: Histogram::with_opts(prometheus::HistogramOpts::new("pass", "x")).unwrap(),
        }
    }
}

/// A text in the thread's hands.
struct Item {
    text: Text,
    deadline: Instant,
    answer: oneshot::Sender<Result<Scores, Unjudged>>,
}

impl Waiting for Item {
    fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }
}

type Cache = Arc<Mutex<Option<LruCache<Text, Scores>>>>;

/// A handle on the thread. Dropping it ends the thread.
pub struct Classifier {
    queue: Arc<Queue<Item>>,
    cache: Cache,
    counters: Counters,
    thread: Option<JoinHandle<()>>,
}

/// Scores that are known, or will be.
pub enum Answer {
    /// Known from before.
    Known(Scores),
    /// To come. Dropping it gives the text up.
    Coming(oneshot::Receiver<Result<Scores, Unjudged>>),
}

impl Classifier {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(network: impl Network + 'static, limits: Limits, counters: Counters) -> Result<Self> {
        let queue = Arc::new(Queue::new(limits.queue));
        let cache: Cache = Arc::new(Mutex::new(NonZeroUsize::new(limits.cache).map(LruCache::new)));
        let run = Run {
            network,
            queue: queue.clone(),
            cache: cache.clone(),
            counters: counters.clone(),
            active: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("demur-guard".to_owned()).spawn(move || run.run());
        Ok(Self {
            queue,
            cache,
            counters,
            thread: Some(thread.context("can't start the guard model's thread")?),
        })
    }

    /// A text's scores, when they are known from before.
    pub fn known(&self, text: &Text) -> Option<Scores> {
        look_up(&self.cache, text).inspect(|_| self.counters.cached.inc())
    }

    /// Asks for a text's scores.
    ///
    /// # Errors
    /// The queue is full, or the thread has ended.
    pub fn submit(&self, text: Text, deadline: Instant) -> Result<Answer, Refused> {
        if let Some(scores) = self.known(&text) {
            return Ok(Answer::Known(scores));
        }
        let (answer, receiver) = oneshot::channel();
        self.queue.push(Item { text, deadline, answer })?;
        Ok(Answer::Coming(receiver))
    }
}

impl Drop for Classifier {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn look_up(cache: &Cache, text: &Text) -> Option<Scores> {
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    cache.as_mut()?.get(text).cloned()
}

/// A text being judged.
struct Active {
    item: Item,
    /// What is cut and left, last window first.
    left: Vec<Shown>,
    /// From where on it is not cut yet.
    rest: Option<usize>,
    /// Why it can't be.
    error: Option<String>,
    best: Vec<Score>,
}

impl Active {
    fn new(item: Item) -> Self {
        Self { item, left: Vec::new(), rest: Some(0), error: None, best: Vec::new() }
    }

    /// When it is its turn: those that are to be answered soon and have little left come first.
    fn turn(&self) -> Instant {
        let cut: usize = self.left.iter().map(|shown| shown.window.ids.len()).sum();
        let rest = self.rest.map_or(0, |from| self.item.text.text.len() - from) / BYTES;
        self.item.deadline + TOKEN * u32::try_from(cut + rest).unwrap_or(u32::MAX)
    }

    /// The next window. If none is cut yet, the next stretch is; that may turn out to have none.
    fn next(&mut self, network: &impl Network) -> Option<&Shown> {
        if self.left.is_empty()
            && let Some(from) = self.rest.take()
        {
            let Text { text, kind, context } = &self.item.text;
            let passage = Passage { text, kind: *kind, context: context.as_deref() };
            match guarded(|| network.windows(passage, from)) {
                Ok(cut) => (self.left, self.rest) = (cut.shown, cut.rest),
                Err(error) => self.error = Some(error),
            }
            self.left.reverse();
        }
        self.left.last()
    }

    /// What comes of it, once that is known.
    fn result(&self) -> Option<Result<Scores, Unjudged>> {
        if let Some(error) = &self.error {
            return Some(Err(Unjudged::Failed(error.clone())));
        }
        (self.left.is_empty() && self.rest.is_none()).then(|| Ok(self.best.as_slice().into()))
    }

    /// Keeps the highest probability of each head.
    fn take(&mut self, probabilities: Vec<f32>, bytes: &Range<usize>) {
        if self.best.is_empty() {
            self.best = probabilities.into_iter().map(|p| (p, bytes.clone())).collect();
            return;
        }
        for (best, p) in self.best.iter_mut().zip(probabilities) {
            if p > best.0 {
                *best = (p, bytes.clone());
            }
        }
    }
}

/// The thread's own state.
struct Run<N> {
    network: N,
    queue: Arc<Queue<Item>>,
    cache: Cache,
    counters: Counters,
    active: Vec<Active>,
}

/// Whoever still waits must learn that the thread is gone, also when it panics.
impl<N> Drop for Run<N> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<N: Network> Run<N> {
    fn run(mut self) {
        loop {
            if self.active.is_empty() {
                match self.queue.pop() {
                    Some(item) => self.admit(item),
                    None => return,
                }
            } else if self.queue.is_closed() {
                return;
            }
            while self.active.len() < ACTIVE {
                match self.queue.try_pop(|_| true) {
                    Some(item) => self.admit(item),
                    None => break,
                }
            }
            self.turn();
        }
    }

    /// Takes a text up, unless its scores have become known meanwhile.
    fn admit(&mut self, item: Item) {
        if let Some(scores) = look_up(&self.cache, &item.text) {
            self.counters.cached.inc();
            let _ = item.answer.send(Ok(scores));
            return;
        }
        if Instant::now() >= item.deadline {
            let _ = item.answer.send(Err(Unjudged::Late));
            return;
        }
        self.active.push(Active::new(item));
    }

    /// One pass over windows of those who still wait.
    fn turn(&mut self) {
        let now = Instant::now();
        let cache = self.cache.clone();
        self.finish(|active| {
            active.best.is_empty().then(|| look_up(&cache, &active.item.text)).flatten().map(Ok)
        });
        self.finish(|active| (now >= active.item.deadline).then_some(Err(Unjudged::Late)));
        self.active.retain(|active| !active.item.is_gone());
        self.active.sort_by_key(Active::turn);

        let (mut owners, mut shown, mut tokens) = (Vec::new(), Vec::<Shown>::new(), 0);
        'full: for i in 0..self.active.len() {
            let (before, rest) = self.active.split_at_mut(i);
            let active = &mut rest[0];
            // The same text twice: the second finds the scores of the first in a later turn.
            if before.iter().any(|other| other.item.text == active.item.text) {
                continue;
            }
            while let Some(next) = active.next(&self.network) {
                if tokens > 0 && tokens + next.window.ids.len() > PASS {
                    break 'full;
                }
                tokens += next.window.ids.len();
                owners.push(i);
                shown.extend(active.left.pop());
            }
        }
        if shown.is_empty() {
            self.finish(Active::result);
            return;
        }
        self.counters.pass_tokens.observe(tokens as f64);
        let (windows, bytes): (Vec<_>, Vec<_>) = shown.into_iter().map(|s| (s.window, s.bytes)).unzip();
        match guarded(|| self.network.probabilities(&windows)) {
            Ok(rows) => {
                for ((owner, row), bytes) in owners.into_iter().zip(rows).zip(&bytes) {
                    self.active[owner].take(row, bytes);
                }
            }
            Err(error) => {
                owners.into_iter().for_each(|owner| self.active[owner].error = Some(error.clone()));
            }
        }
        self.finish(Active::result);
    }

    /// Answers those that `result` has an answer for.
    fn finish(&mut self, result: impl Fn(&Active) -> Option<Result<Scores, Unjudged>>) {
        let mut i = 0;
        while let Some(active) = self.active.get(i) {
            let Some(result) = result(active) else {
                i += 1;
                continue;
            };
            let active = self.active.swap_remove(i);
            if let Ok(scores) = &result {
                let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(cache) = cache.as_mut() {
                    cache.put(active.item.text, scores.clone());
                }
            }
            // A caller that has left needs no answer.
            let _ = active.item.answer.send(result);
        }
    }
}

/// A panic in the network must not end the thread, nor pass for scores.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(_) => Err("the network panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests;
