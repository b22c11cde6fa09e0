//! One answer in the making: which tokens it has, what may be shown of it, and whether it is over.

use super::{
    chat::ChatModel,
    llama::KvCache,
    sample::{Sampler, Sampling, log_probabilities},
    stop::StopFilter,
    tokens::Detokenizer,
};

/// What is asked of the model.
#[derive(Clone, Debug)]
pub struct Job {
    /// The prompt, at least one token.
    pub prompt: Vec<u32>,
    /// How many answers.
    pub choices: usize,
    /// The most tokens of an answer; the context may end it earlier.
    pub max_tokens: usize,
    /// Texts that end an answer and are not shown.
    pub stop: Vec<String>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Whether log-probabilities are wanted, and of how many alternatives.
    pub top_logprobs: Option<usize>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it, or a stop string came.
    Stop,
    /// It reached its limit or the end of the context.
    Length,
}

/// A part of an answer that may be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// Whole characters; never a part of a stop string.
    pub text: String,
    /// The tokens since the last piece, if they were asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// How likely a token was, and what else could have stood there.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token's bytes, which need not be whole characters.
    pub bytes: Vec<u8>,
    /// The natural logarithm of its probability.
    pub logprob: f32,
    /// The likeliest tokens, likeliest first.
    pub top: Vec<(Vec<u8>, f32)>,
}

/// The part of a sequence that chooses tokens and makes text of them.
pub(super) struct Answer {
    sampler: Sampler,
    detokenizer: Detokenizer,
    filter: StopFilter,
    /// Tokens chosen so far.
    pub(super) count: usize,
    logprobs: Vec<TokenLogprob>,
}

impl Answer {
    pub(super) fn new(job: &Job, choice: usize) -> Self {
        Self {
            sampler: Sampler::new(&job.sampling, &job.prompt, choice),
            detokenizer: Detokenizer::default(),
            filter: StopFilter::new(&job.stop),
            count: 0,
            logprobs: Vec::new(),
        }
    }

    /// Chooses a token by its logits and gives it with what may be shown now, and why the answer ends if it
    /// does.
    pub(super) fn step(
        &mut self,
        model: &ChatModel,
        job: &Job,
        mut logits: Vec<f32>,
    ) -> (u32, Piece, Option<Finish>) {
        let raw = job.top_logprobs.map(|top| (top, logits.clone()));
        let token = self.sampler.sample(&mut logits);
        self.count += 1;
        let is_end = model.tokenizer.is_end(token);
        if let Some((top, raw)) = raw.filter(|_| !is_end) {
            self.logprobs.push(token_logprob(model, &raw, token, top));
        }
        let mut text = self.filter.push(&self.detokenizer.push(model.tokenizer.bytes(token)));
        let full = job.prompt.len() + self.count >= model.llama.context();
        let finish = if is_end || self.filter.stopped() {
            Some(Finish::Stop)
        } else if self.count >= job.max_tokens || full {
            Some(Finish::Length)
        } else {
            None
        };
        if finish.is_some() && !self.filter.stopped() {
            text += &self.filter.push(&self.detokenizer.finish());
            text += &self.filter.finish();
        }
        let logprobs = if text.is_empty() { Vec::new() } else { std::mem::take(&mut self.logprobs) };
        (token, Piece { text, logprobs }, finish)
    }
}

fn token_logprob(model: &ChatModel, logits: &[f32], token: u32, top: usize) -> TokenLogprob {
    let (logprob, top) = log_probabilities(logits, token, top);
    let bytes = |token| model.tokenizer.bytes(token).to_vec();
    TokenLogprob {
        bytes: bytes(token),
        logprob,
        top: top.into_iter().map(|(token, logprob)| (bytes(token), logprob)).collect(),
    }
}

/// A sequence: its tokens, and how far the network has been through them.
pub(super) struct Sequence {
    /// Prompt and answer. All but those that the cache holds are still to be fed.
    pub(super) tokens: Vec<u32>,
    pub(super) cache: KvCache,
}
