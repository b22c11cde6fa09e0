//! A network in this process as a detector, the guard model before all: every segment, every reading of it, judged in
//! its role and with what it answers.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{FutureExt, future::Either};

use super::{
    Detected, Detecting, Detector, Task, language,
    sense::{Namespace, Sense},
};
use crate::{
    message::{Place, Role, Segment},
    nn::classify::{Answer, Classifier as Worker, Scores, Text, Unjudged},
    verdict::{FailureReason, Finding, SignalInfo},
};

/// The detector's name, and the namespace of its signals.
pub const NAME: &str = "guard";

/// A hazard's score below this is no finding; the signals beside the hazards are always told.
const FLOOR: f32 = 0.05;

/// A network with the signals of its heads.
pub struct Model {
    worker: Worker,
    /// What each head says, where it is of interest.
    senses: Vec<Option<Sense>>,
}

impl Model {
    /// The thread that runs a network, and what each of its heads says.
    pub fn new(worker: Worker, senses: Vec<Option<Sense>>) -> Self {
        Self { worker, senses }
    }
}

/// A network as a detector, or two: one for English and one for every other language.
pub struct Classifier {
    namespace: Namespace,
    english: Model,
    other: Option<Model>,
}

impl Classifier {
    /// The guard model, which judges by one network, or what is not English by another.
    pub fn guard(english: Model, other: Option<Model>) -> Self {
        Self { namespace: Namespace::new(NAME, Sense::all()), english, other }
    }

    /// Another network, whose signals are called by its name.
    pub fn named(name: &'static str, model: Model) -> Self {
        let senses = model.senses.iter().copied().flatten();
        Self { namespace: Namespace::new(name, senses), english: model, other: None }
    }

    /// The network that reads the text's language.
    fn model(&self, text: &str) -> &Model {
        match &self.other {
            Some(other) if !language::reads_as_english(text) => other,
            _ => &self.english,
        }
    }

    async fn judge(&self, task: &Task) -> Detected {
        let mut asked = Vec::new();
        for (i, (segment, views)) in task.exchange.segments.iter().zip(&task.views).enumerate() {
            let context = context(task, i);
            for view in views.iter().filter(|view| view.text.chars().any(|c| !c.is_whitespace())) {
                let model = self.model(&view.text);
                let text = Text { text: view.text.clone(), kind: kind(segment), context: context.clone() };
                let answer = model.worker.submit(text, task.deadline);
                asked.push((i, view, model, answer.map_err(|_| FailureReason::Overloaded)?));
            }
        }
        let mut best: BTreeMap<(usize, Sense), Finding> = BTreeMap::new();
        for (segment, view, model, answer) in asked {
            for (sense, (score, bytes)) in model.senses.iter().zip(&*self.scores(answer).await?) {
                let Some(sense) = *sense else { continue };
                let told = *score >= FLOOR || sense.hazard().is_none();
                let known = best.get(&(segment, sense)).is_some_and(|finding| finding.score >= *score);
                if told && !known {
                    let span = Some(view.map.to_original(bytes));
                    let finding = self.namespace.finding(sense, *score, segment, span);
                    best.extend(finding.map(|finding| ((segment, sense), finding)));
                }
            }
        }
        Ok(best.into_values().collect())
    }

    async fn scores(&self, answer: Answer) -> Result<Scores, FailureReason> {
        match answer {
            Answer::Known(scores) => Ok(scores),
            Answer::Coming(receiver) => match receiver.await {
                Ok(Ok(scores)) => Ok(scores),
                Ok(Err(Unjudged::Late)) => Err(FailureReason::Late),
                Ok(Err(Unjudged::Failed(error))) => {
                    tracing::error!(detector = self.namespace.detector(), error, "a network failed");
                    Err(FailureReason::Error)
                }
                Err(_) => Err(FailureReason::Error),
            },
        }
    }
}

/// Index of a segment's kind in the networks' types.
fn kind(segment: &Segment) -> u8 {
    match (segment.place, segment.role) {
        (Place::ToolResult | Place::Document, _) | (_, Role::Tool) => 2,
        (_, Role::User) => 0,
        (_, Role::Assistant) => 1,
        (_, Role::System | Role::Developer) => 3,
    }
}

/// What a segment is read beside: an answer's question, the task that a document came in for. The user's own words
/// and the operator's stand for themselves.
fn context(task: &Task, segment: usize) -> Option<Arc<str>> {
    let segments = &task.exchange.segments;
    if !matches!(kind(&segments[segment]), 1 | 2) {
        return None;
    }
    let asks = |s: &&Segment| s.role == Role::User && s.place == Place::Content;
    let before = segments[..segment].iter().rev().find(asks);
    before.or_else(|| task.exchange.context.iter().rev().find(asks)).map(|s| s.text.clone())
}

/// Every signal that the guard model raises.
pub fn signals() -> Vec<SignalInfo> {
    Namespace::new(NAME, Sense::all()).infos()
}

impl Detector for Classifier {
    fn name(&self) -> &'static str {
        self.namespace.detector()
    }

    fn signals(&self) -> Vec<SignalInfo> {
        self.namespace.infos()
    }

    fn detect<'a>(&'a self, task: &'a Task) -> Detecting<'a> {
        Either::Right(self.judge(task).boxed())
    }
}
