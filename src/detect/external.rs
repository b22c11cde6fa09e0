//! Guards behind an upstream: Llama Guard, Qwen3Guard, Granite Guardian, and any chat model as a judge.
//!
//! Their servers apply the guard's own template, so a conversation is sent as messages. An answer that is not
//! exactly of the guard's format is a failure, never "safe".

mod answer;
mod conversation;
pub mod granite_guardian;
pub mod judge;
mod llama_guard;
mod qwen3guard;
#[cfg(test)]
mod tests;

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, try_join_all};
use lru::LruCache;
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    answer::Unusable,
    conversation::{Question, Turn},
    granite_guardian::Risk,
};
use super::{
    Detected, Detecting, Detector, Task,
    sense::{Namespace, Sense},
};
use crate::{
    message::Direction,
    verdict::{FailureReason, Finding, SignalInfo},
};

/// Asks a model for a chat completion. `detect` knows no upstream; whoever puts the parts together does.
pub trait Ask: Send + Sync {
    /// Posts the body of a chat completion and gives the body of the answer to it, which was a success.
    ///
    /// # Errors
    /// Why there is no answer.
    fn ask(&self, body: Bytes, deadline: Instant) -> BoxFuture<'_, Result<Bytes, AskError>>;
}

/// Why a model gave no answer. It carries no text of users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It took too long.
    #[error("it did not answer in time")]
    Late,
    /// It has too much to do.
    #[error("it has too much to do")]
    Overloaded,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Which guard it is, as settings name it; its signals are called by it, such as `llama_guard.harm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Llama Guard 3 or 4.
    LlamaGuard,
    /// Qwen3Guard-Gen.
    Qwen3guard,
    /// Granite Guardian 3.0 to 3.3.
    GraniteGuardian,
    /// Any chat model, with instructions.
    Judge,
}

impl Family {
    /// The name in settings and signals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LlamaGuard => "llama_guard",
            Self::Qwen3guard => "qwen3guard",
            Self::GraniteGuardian => "granite_guardian",
            Self::Judge => "judge",
        }
    }
}

/// A guard with what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Llama Guard 3 or 4.
    LlamaGuard,
    /// Qwen3Guard-Gen.
    Qwen3Guard,
    /// Granite Guardian 3.0 to 3.3, asked about each of these risks by itself.
    GraniteGuardian(Vec<Risk>),
    /// A chat model with these instructions.
    Judge(Arc<str>),
}

/// How many opinions are remembered: instructions around a talk are the same in every request.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not 0");

/// How long one is good. The model behind an upstream may be another one tomorrow.
const GOOD_FOR: Duration = Duration::from_secs(600);

impl Kind {
    /// Its name, and the namespace of its signals.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LlamaGuard => Family::LlamaGuard,
            Self::Qwen3Guard => Family::Qwen3guard,
            Self::GraniteGuardian(_) => Family::GraniteGuardian,
            Self::Judge(_) => Family::Judge,
        }
        .as_str()
    }

    /// One of each, with all that it can say.
    fn all() -> [Self; 4] {
        let judge = Self::Judge(judge::DEFAULT_PROMPT.into());
        [Self::LlamaGuard, Self::Qwen3Guard, Self::GraniteGuardian(granite_guardian::RISKS.into()), judge]
    }

    /// Tokens that its longest answer takes.
    fn max_tokens(&self) -> u32 {
        match self {
            Self::LlamaGuard | Self::GraniteGuardian(_) => 64,
            Self::Qwen3Guard => 128,
            Self::Judge(_) => 256,
        }
    }

    fn senses(&self) -> Vec<Sense> {
        match self {
            Self::LlamaGuard => llama_guard::senses().collect(),
            Self::Qwen3Guard => qwen3guard::senses().collect(),
            Self::GraniteGuardian(risks) => risks.iter().map(|risk| risk.sense).collect(),
            Self::Judge(_) => judge::senses().collect(),
        }
    }
}

/// The signals of the guards that can stand behind an upstream, by the guard's name, whether or not one does.
pub fn signals() -> impl Iterator<Item = (&'static str, Vec<SignalInfo>)> {
    Kind::all().into_iter().map(|kind| (kind.name(), Namespace::new(kind.name(), kind.senses()).infos()))
}

/// What a guard said: scores from 0 to 1. What is not in it is 0.
#[derive(Clone, Debug, Default, PartialEq)]
struct Opinion(Vec<(Sense, f32)>);

impl Opinion {
    /// Adds a score, or raises it.
    fn raise(&mut self, sense: Sense, score: f32) {
        match self.0.iter_mut().find(|(known, _)| *known == sense) {
            Some((_, known)) => *known = known.max(score),
            None if score > 0.0 => self.0.push((sense, score)),
            None => {}
        }
    }

    #[cfg(test)]
    fn score(&self, sense: Sense) -> f32 {
        self.0.iter().find(|(known, _)| *known == sense).map_or(0.0, |(_, score)| *score)
    }
}

impl<const N: usize> From<[(Sense, f32); N]> for Opinion {
    fn from(scores: [(Sense, f32); N]) -> Self {
        let mut opinion = Self::default();
        scores.into_iter().for_each(|(sense, score)| opinion.raise(sense, score));
        opinion
    }
}

/// One request to the guard.
struct Query<'a> {
    question: &'a Question,
    risk: Option<Risk>,
}

/// A guard behind an upstream, as a detector.
pub struct External {
    namespace: Namespace,
    kind: Kind,
    model: String,
    max_tokens: u32,
    ask: Arc<dyn Ask>,
    /// By the body of the request.
    remembered: Mutex<LruCache<Bytes, (Instant, Opinion)>>,
}

impl External {
    /// A guard of that kind, which is asked for `model`. `max_tokens` is for guards that think before they answer;
    /// by default an answer gets what the format needs.
    pub fn new(kind: Kind, model: String, max_tokens: Option<u32>, ask: Arc<dyn Ask>) -> Self {
        let namespace = Namespace::new(kind.name(), kind.senses());
        let max_tokens = max_tokens.unwrap_or_else(|| kind.max_tokens());
        Self { namespace, kind, model, max_tokens, ask, remembered: Mutex::new(LruCache::new(REMEMBERED)) }
    }

    fn recall(&self, body: &Bytes) -> Option<Opinion> {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (said, opinion) = remembered.get(body)?;
        (said.elapsed() < GOOD_FOR).then(|| opinion.clone())
    }

    fn remember(&self, body: Bytes, opinion: Opinion) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.put(body, (Instant::now(), opinion));
    }

    async fn run(&self, task: &Task) -> Detected {
        let is_answer = task.exchange.direction == Direction::Output;
        let questions = conversation::questions(task);
        let queries = questions.iter().flat_map(|question| self.queries(question, is_answer));
        let opinions = queries.map(|query| self.opinion(query, is_answer, task.deadline));
        let findings = try_join_all(opinions).await.inspect_err(|error| {
            let detector = self.namespace.detector();
            tracing::warn!(detector, %error, "an external guard gave no opinion");
        });
        match findings {
            Ok(findings) => Ok(findings.into_iter().flatten().collect()),
            Err(NoOpinion::NotAnswered(AskError::Late)) => Err(FailureReason::Late),
            Err(NoOpinion::NotAnswered(AskError::Overloaded)) => Err(FailureReason::Overloaded),
            Err(_) => Err(FailureReason::Error),
        }
    }

    fn queries<'a>(&'a self, question: &'a Question, is_answer: bool) -> Vec<Query<'a>> {
        match &self.kind {
            Kind::GraniteGuardian(risks) => (risks.iter())
                .filter(|risk| risk.is_asked(is_answer))
                .map(|risk| Query { question, risk: Some(*risk) })
                .collect(),
            _ => vec![Query { question, risk: None }],
        }
    }

    async fn opinion(
        &self,
        query: Query<'_>,
        is_answer: bool,
        deadline: Instant,
    ) -> Result<Vec<Finding>, NoOpinion> {
        let body = self.body(&query);
        let opinion = match self.recall(&body) {
            Some(opinion) => opinion,
            None => {
                let answer = self.ask.ask(body.clone(), deadline).await.map_err(NoOpinion::NotAnswered)?;
                let opinion = self.parse(&answer, query.risk, is_answer).map_err(NoOpinion::Unusable)?;
                self.remember(body, opinion.clone());
                opinion
            }
        };
        let segments = query.question.segments.iter();
        let of = |segment: &usize| {
            let finding =
                |(sense, score): &(Sense, f32)| self.namespace.finding(*sense, *score, *segment, None);
            opinion.0.iter().filter_map(finding).collect::<Vec<_>>()
        };
        Ok(segments.flat_map(of).collect())
    }

    fn body(&self, query: &Query<'_>) -> Bytes {
        let turns = &query.question.turns;
        let messages: Value = match &self.kind {
            Kind::Judge(prompt) => judge::messages(prompt, turns),
            _ => turns.iter().map(Turn::message).collect(),
        };
        let mut body = json!({
            "model": self.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": self.max_tokens,
            "stream": false,
        });
        if let Some(risk) = query.risk {
            body["chat_template_kwargs"] = risk.template_arguments();
        }
        body.to_string().into()
    }

    fn parse(&self, answer: &[u8], risk: Option<Risk>, is_answer: bool) -> Result<Opinion, Unusable> {
        let text = answer::text(answer)?;
        match (&self.kind, risk) {
            (Kind::LlamaGuard, _) => llama_guard::parse(&text),
            (Kind::Qwen3Guard, _) => qwen3guard::parse(&text, is_answer),
            (Kind::GraniteGuardian(_), Some(risk)) => granite_guardian::parse(&text, risk),
            (Kind::Judge(_), _) => judge::parse(&text),
            (Kind::GraniteGuardian(_), None) => Err(Unusable::Format),
        }
    }
}

/// Why there is no opinion.
#[derive(Debug, thiserror::Error)]
enum NoOpinion {
    #[error("no answer: {0}")]
    NotAnswered(AskError),
    #[error("an answer that is no opinion: {0}")]
    Unusable(Unusable),
}

impl Detector for External {
    fn name(&self) -> &'static str {
        self.namespace.detector()
    }

    fn signals(&self) -> Vec<SignalInfo> {
        self.namespace.infos()
    }

    fn detect<'a>(&'a self, task: &'a Task) -> Detecting<'a> {
        Either::Right(Box::pin(self.run(task)))
    }
}
