//! From logits to the next token.
//!
//! The order is that of Hugging Face's generation: bias and penalties, temperature, top-k, top-p, min-p, draw.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// How to choose tokens. The default draws from the model's own distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the best token every time.
    pub temperature: f32,
    /// Keeps the fewest best tokens whose probabilities reach this sum
    /// (nucleus sampling, <https://arxiv.org/abs/1904.09751>); 1 keeps all.
    pub top_p: f32,
    /// Keeps this many best tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps tokens at least this likely in proportion to the best (<https://arxiv.org/abs/2407.01082>); 0 keeps all.
    pub min_p: f32,
    /// Taken off a token's logit for every time the answer has it (OpenAI's definition).
    pub frequency_penalty: f32,
    /// Taken off a token's logit once the answer has it (OpenAI's definition).
    pub presence_penalty: f32,
    /// Divides positive logits, and multiplies negative ones, of tokens that the prompt or the answer has
    /// (<https://arxiv.org/abs/1909.05858>); 1 changes nothing.
    pub repetition_penalty: f32,
    /// Added to the logits of single tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// Where the random numbers begin: the same seed gives the same answer of the same build.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.,
            top_p: 1.,
            top_k: 0,
            min_p: 0.,
            frequency_penalty: 0.,
            presence_penalty: 0.,
            repetition_penalty: 1.,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

/// Chooses the tokens of one answer.
#[derive(Debug)]
pub struct Sampler {
    sampling: Sampling,
    rng: StdRng,
    /// How often the answer has each token.
    counts: HashMap<u32, u32>,
    /// What the prompt has; kept only when the repetition penalty asks for it.
    prompt: HashSet<u32>,
}

impl Sampler {
    /// A sampler for choice number `choice` of an answer to `prompt`; every choice draws its own numbers.
    pub fn new(sampling: &Sampling, prompt: &[u32], choice: usize) -> Self {
        let repeats = sampling.repetition_penalty != 1.;
        Self {
            rng: StdRng::seed_from_u64(sampling.seed.wrapping_add(choice as u64)),
            counts: HashMap::new(),
            prompt: if repeats { prompt.iter().copied().collect() } else { HashSet::new() },
            sampling: sampling.clone(),
        }
    }

    /// Chooses the next token from the logits of the whole vocabulary, and remembers it. `logits` is scratch
    /// space afterwards.
    pub fn sample(&mut self, logits: &mut [f32]) -> u32 {
        self.adjust(logits);
        let token = if self.sampling.temperature <= 0. { best(logits) } else { self.draw(logits) };
        *self.counts.entry(token).or_default() += 1;
        token
    }

    fn adjust(&self, logits: &mut [f32]) {
        let Sampling { frequency_penalty, presence_penalty, repetition_penalty, .. } = self.sampling;
        if repetition_penalty != 1. {
            for &token in self.prompt.union(&self.counts.keys().copied().collect()) {
                if let Some(logit) = logits.get_mut(token as usize) {
                    *logit =
                        if *logit > 0. { *logit / repetition_penalty } else { *logit * repetition_penalty };
                }
            }
        }
        for (&token, &count) in &self.counts {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit -= count as f32 * frequency_penalty + presence_penalty;
            }
        }
        for &(token, bias) in &self.sampling.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
    }

    fn draw(&mut self, logits: &[f32]) -> u32 {
        let candidates = self.candidates(logits);
        let total: f32 = candidates.iter().map(|(_, p)| p).sum();
        let mut left = self.rng.random::<f32>() * total;
        for &(token, p) in &candidates {
            left -= p;
            if left < 0. {
                return token;
            }
        }
        // Rounding may leave a little over: it belongs to the last one.
        candidates.last().map_or_else(|| best(logits), |&(token, _)| token)
    }

    /// The tokens that may be drawn, best first where it matters, with their weights.
    fn candidates(&self, logits: &[f32]) -> Vec<(u32, f32)> {
        let Sampling { temperature, top_p, top_k, min_p, .. } = self.sampling;
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weigh = |logit: &f32| ((logit - max) / temperature).exp();
        let mut all: Vec<(u32, f32)> = (0..).zip(logits.iter().map(weigh)).filter(|(_, w)| *w > 0.).collect();
        if top_k > 0 && top_k < all.len() {
            all.select_nth_unstable_by(top_k - 1, by_weight);
            all.truncate(top_k);
        }
        if top_p < 1. {
            nucleus(&mut all, top_p);
        }
        if min_p > 0. {
            // The best token's weight is exp(0).
            all.retain(|(_, weight)| *weight >= min_p);
        }
        all
    }
}

/// Keeps the fewest best candidates whose share of the whole reaches `top_p`, at least one. Sorts no more of
/// them than it has to.
fn nucleus(all: &mut Vec<(u32, f32)>, top_p: f32) {
    let enough = all.iter().map(|(_, weight)| weight).sum::<f32>() * top_p;
    let mut sorted = 64;
    loop {
        let end = sorted.min(all.len());
        if end < all.len() {
            all.select_nth_unstable_by(end, by_weight);
        }
        all[..end].sort_unstable_by(by_weight);
        let mut sum = 0.;
        let reached = all[..end].iter().position(|(_, weight)| {
            sum += weight;
            sum >= enough
        });
        if let Some(last) = reached {
            return all.truncate(last + 1);
        }
        if end == all.len() {
            return;
        }
        sorted *= 8;
    }
}

/// Heavier first; of equals the lower id, so that the order never depends on chance.
fn by_weight(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The token with the highest logit, of equals the lowest id.
fn best(logits: &[f32]) -> u32 {
    let best =
        (0u32..).zip(logits).fold(
            (0, f32::NEG_INFINITY),
            |best, (token, &logit)| {
                if logit > best.1 { (token, logit) } else { best }
            },
        );
    best.0
}

/// The log-probabilities of `token` and of the `count` likeliest tokens, before any setting of [`Sampling`].
pub fn log_probabilities(logits: &[f32], token: u32, count: usize) -> (f32, Vec<(u32, f32)>) {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total = logits.iter().map(|logit| (logit - max).exp()).sum::<f32>().ln() + max;
    let mut top: Vec<(u32, f32)> = (0..).zip(logits.iter().map(|logit| logit - total)).collect();
    let own = top.get(token as usize).map_or(f32::NEG_INFINITY, |own| own.1);
    if count < top.len() {
        top.select_nth_unstable_by(count, by_weight);
        top.truncate(count);
    }
    top.sort_unstable_by(by_weight);
    (own, top)
}

#[cfg(test)]
mod tests;
