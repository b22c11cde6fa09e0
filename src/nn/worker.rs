//! The thread that runs the chat model for all requests at once.
//!
//! Every turn of its loop is one step of the network for every answer in the making: each gets its next token,
//! and one prompt its next stretch. So a short question need not wait for a long answer, and the weights, which
//! are most of what a step has to read, are read once for all. candle spreads a step over its own threads (as
//! many as `RAYON_NUM_THREADS` says, else one a core), which is why one worker is enough.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use anyhow::{Context, Result};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub use super::generate::{Finish, Job, Piece, TokenLogprob};
use super::{
    chat::ChatModel,
    generate::{Answer, Sequence},
    llama::Span,
    prefix::PrefixCache,
    queue::{Queue, Refused, Waiting},
};

/// Prompt tokens in one step: what an answer in the making waits for when a new prompt comes, and how late a
/// departed client is noticed. Longer stretches are hardly faster.
const STRETCH: usize = 32;

/// How much a worker takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests that may wait.
    pub queue: usize,
    /// Answers in the making at once.
    pub slots: usize,
    /// Memory for the beginnings of recent sequences, in bytes; 0 keeps none.
    pub prefix_bytes: usize,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Its turn has come; this many tokens of the prompt were known from before.
    Started {
        /// Tokens that need not be computed again.
        cached: usize,
    },
    /// One of its answers goes on.
    Piece {
        /// Which answer.
        choice: usize,
        /// The new part; its text is not empty.
        piece: Piece,
    },
    /// One of its answers is over.
    Done {
        /// Which answer.
        choice: usize,
        /// Why.
        finish: Finish,
        /// Tokens it took, with the one that ended it.
        tokens: usize,
    },
    /// The network failed; nothing more comes.
    Failed(String),
}

/// A request in the worker's hands. Its events are not limited in number: they are at most a few a token, and
/// the context limits the tokens, so a slow reader holds up nobody and costs little.
struct Request {
    job: Job,
    events: UnboundedSender<Event>,
}

impl Waiting for Request {
    fn is_gone(&self) -> bool {
        self.events.is_closed()
    }
}

/// A handle on the thread. Dropping it ends what is in the making and waits for the thread.
pub struct Worker {
    queue: Arc<Queue<Request>>,
    sampled: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(model: Arc<ChatModel>, limits: Limits) -> Result<Self> {
        let queue = Arc::new(Queue::new(limits.queue));
        let sampled = Arc::new(AtomicU64::new(0));
        let prefixes = PrefixCache::new(limits.prefix_bytes / model.llama.bytes_per_position());
        let run = Run {
            model,
            slots: limits.slots.max(1),
            queue: queue.clone(),
            sampled: sampled.clone(),
            prefixes,
            active: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("demur-chat".to_owned()).spawn(move || run.run());
        Ok(Self { queue, sampled, thread: Some(thread.context("can't start the model's thread")?) })
    }

    /// Puts a request into the queue and gives its events. Dropping them ends the work within one step.
    ///
    /// # Errors
    /// The queue is full, or the thread has ended.
    pub fn submit(&self, job: Job) -> Result<UnboundedReceiver<Event>, Refused> {
        let (events, receiver) = unbounded_channel();
        self.queue.push(Request { job, events })?;
        Ok(receiver)
    }

    /// How many tokens were chosen since the start.
    pub fn sampled(&self) -> u64 {
        self.sampled.load(Ordering::Relaxed)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// One answer in the making.
struct Active {
    request: Arc<Request>,
    choice: usize,
    sequence: Sequence,
    answer: Answer,
}

impl Active {
    fn prompt_is_done(&self) -> bool {
        self.answer.count > 0
    }

    /// The same prompt for another choice.
    fn fork(&self, choice: usize) -> candle_core::Result<Self> {
        let sequence = Sequence {
            tokens: self.sequence.tokens.clone(),
            cache: self.sequence.cache.prefix(self.sequence.cache.len())?,
        };
        let answer = Answer::new(&self.request.job, choice);
        Ok(Self { request: self.request.clone(), choice, sequence, answer })
    }
}

/// The thread's own state.
struct Run {
    model: Arc<ChatModel>,
    slots: usize,
    queue: Arc<Queue<Request>>,
    sampled: Arc<AtomicU64>,
    prefixes: PrefixCache,
    active: Vec<Active>,
}

/// Whoever still waits must learn that the thread is gone, also when it panics.
impl Drop for Run {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Run {
    fn run(mut self) {
        loop {
            let request = if self.active.is_empty() {
                match self.queue.pop() {
                    Some(request) => Some(request),
                    None => return,
                }
            } else if self.queue.is_closed() {
                return;
            } else {
                let free = self.slots.saturating_sub(self.taken());
                self.queue.try_pop(|request| request.job.choices <= free)
            };
            let step = request.map_or(Ok(()), |request| self.admit(request)).and_then(|()| self.step());
            if let Err(error) = step {
                for active in self.active.drain(..) {
                    let _ = active.request.events.send(Event::Failed(error.to_string()));
                }
            }
        }
    }

    /// Slots in use; a prompt already takes those of all its choices.
    fn taken(&self) -> usize {
        let slots = |active: &Active| if active.prompt_is_done() { 1 } else { active.request.job.choices };
        self.active.iter().map(slots).sum()
    }

    fn admit(&mut self, request: Request) -> candle_core::Result<()> {
        let cache = self.prefixes.find(&request.job.prompt)?;
        let cache = cache.unwrap_or_else(|| self.model.llama.new_cache());
        let _ = request.events.send(Event::Started { cached: cache.len() });
        let sequence = Sequence { tokens: request.job.prompt.clone(), cache };
        let answer = Answer::new(&request.job, 0);
        self.active.push(Active { request: Arc::new(request), choice: 0, sequence, answer });
        Ok(())
    }

    /// One step of the network for everyone who is still waited for.
    fn step(&mut self) -> candle_core::Result<()> {
        let (gone, active) = self.active.drain(..).partition(|active| active.request.is_gone());
        self.active = active;
        gone.into_iter().for_each(|active| self.retire(active));

        // Every answer in the making takes part, and the prompt that came first.
        let mut prompts = 0;
        let mut spans = Vec::with_capacity(self.active.len());
        let mut sampling = Vec::new();
        for (i, active) in self.active.iter_mut().enumerate() {
            prompts += usize::from(!active.prompt_is_done());
            if !active.prompt_is_done() && prompts > 1 {
                continue;
            }
            let Sequence { tokens, cache } = &mut active.sequence;
            let due = &tokens[cache.len()..];
            let logits = due.len() <= STRETCH;
            if logits {
                sampling.push(i);
            }
            spans.push(Span { tokens: &due[..due.len().min(STRETCH)], cache, logits });
        }
        if spans.is_empty() {
            return Ok(());
        }
        let logits = self.model.llama.forward(&mut spans)?;
        let mut done = Vec::new();
        for (i, logits) in sampling.into_iter().zip(logits) {
            // The other choices begin where the prompt ends.
            let others = if self.active[i].prompt_is_done() { 1 } else { self.active[i].request.job.choices };
            for choice in 1..others {
                let fork = self.active[i].fork(choice)?;
                self.active.push(fork);
                let fork = self.active.len() - 1;
                done.extend(self.advance(fork, logits.clone()).then_some(fork));
            }
            done.extend(self.advance(i, logits).then_some(i));
        }
        done.sort_unstable();
        for i in done.into_iter().rev() {
            let active = self.active.remove(i);
            self.retire(active);
        }
        Ok(())
    }

    /// Gives an answer its next token; whether that was its last.
    fn advance(&mut self, i: usize, logits: Vec<f32>) -> bool {
        let Active { request, choice, sequence, answer } = &mut self.active[i];
        let (token, piece, finish) = answer.step(&self.model, &request.job, logits);
        self.sampled.fetch_add(1, Ordering::Relaxed);
        sequence.tokens.push(token);
        // A receiver that is gone is noticed at the next step.
        if !piece.text.is_empty() {
            let _ = request.events.send(Event::Piece { choice: *choice, piece });
        }
        if let Some(finish) = finish {
            let _ = request.events.send(Event::Done { choice: *choice, finish, tokens: answer.count });
        }
        finish.is_some()
    }

    /// Keeps what an answer has been through for those that begin like it.
    fn retire(&mut self, active: Active) {
        if active.choice == 0 {
            let Sequence { tokens, cache } = active.sequence;
            self.prefixes.keep(tokens, cache);
        }
    }
}

#[cfg(test)]
mod tests;
