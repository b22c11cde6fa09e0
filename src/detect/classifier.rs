//! A network in this process as a detector, the guard model before all: every segment, every reading of it, judged in
//! its role and with what it answers.

use std::{collections::BTreeMap, iter, sync::Arc};

use futures_util::{FutureExt, future::Either};

use super::{
    Detected, Detecting, Detector, Task,
    conversation::{self, ESCALATION, Talk},
    language,
    sense::{Namespace, Sense},
};
use crate::{
    message::{Direction, Exchange, Place, Role, Segment},
    nn::classify::{Answer, Classifier as Worker, Score, Scores, Text, Unjudged},
    verdict::{FailureReason, Finding, SignalInfo, SignalKind},
};

/// The detector's name, and the namespace of its signals.
pub const NAME: &str = "guard";

/// What an operator's words come to when a user says them. Judged as instructions they score low whatever they say.
const NUDGE: &str = "guard.nudge";

/// How harmful the question is that an answer answers, and what stands for that where no question is known: between what
/// tells of a harmless one and of a harmful one.
const QUESTION_HARM: &str = "guard.question_harm";
const UNKNOWN_QUESTION: f32 = 0.3;

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

    /// How harmful a text is that got these scores.
    fn harm(&self, scores: &[Score]) -> f32 {
        let harm = self.senses.iter().zip(scores).find(|(sense, _)| **sense == Some(Sense::Harm));
        harm.map_or(0.0, |(_, (score, _))| *score)
    }
}

/// A network as a detector, or two: one for English and one for every other language.
pub struct Classifier {
    namespace: Namespace,
    english: Model,
    other: Option<Model>,
    /// Whether it is the guard model: it reads the user's turns together, too, and an operator's words as a user's.
    is_guard: bool,
}

impl Classifier {
    /// The guard model, which judges by one network, or what is not English by another.
    pub fn guard(english: Model, other: Option<Model>) -> Self {
        Self { namespace: Namespace::new(NAME, Sense::all()), english, other, is_guard: true }
    }

    /// Another network, whose signals are called by its name.
    pub fn named(name: &'static str, model: Model) -> Self {
        let senses = model.senses.iter().copied().flatten();
        Self { namespace: Namespace::new(name, senses), english: model, other: None, is_guard: false }
    }

    /// The network that reads the text's language.
    fn model(&self, text: &str) -> &Model {
        match &self.other {
            Some(other) if !language::reads_as_english(text) => other,
            _ => &self.english,
        }
    }

    async fn judge<'s>(&'s self, task: &Task) -> Detected {
        let submit = |text: &Arc<str>, kind: u8, context: Option<Arc<str>>| {
            let text = Text { text: text.clone(), kind, context };
            // Most are known, and to tell the language costs more than to ask both networks for them.
            let known = |model: &'s Model| Some((model, Answer::Known(model.worker.known(&text)?)));
            if let Some(known) = iter::once(&self.english).chain(&self.other).find_map(known) {
                return Ok(known);
            }
            let model = self.model(&text.text);
            let answer = model.worker.submit(text, task.deadline);
            answer.map(|answer| (model, answer)).map_err(|_| FailureReason::Overloaded)
        };
        let mut asked = Vec::new();
        for (i, (segment, views)) in task.exchange.segments.iter().zip(&task.views).enumerate() {
            let context = context(task, i);
            for view in views.iter().filter(|view| view.text.chars().any(|c| !c.is_whitespace())) {
                asked.push((i, view, submit(&view.text, kind(segment), context.clone())?));
            }
        }
        let (mut talk, mut nudges, mut questions) = (None, Vec::new(), Vec::new());
        if self.is_guard {
            let segments = &task.exchange.segments;
            for question in questions_of(&task.exchange) {
                questions.push(submit(&question, USER, None)?);
            }
            if let Some(found) = Talk::of(segments) {
                talk = Some((submit(&found.text, USER, None)?, found));
            }
            for (i, segment) in segments.iter().enumerate().filter(|(_, segment)| instructs(segment)) {
                nudges.push((i, submit(&segment.text, USER, None)?));
            }
        }
        let mut best: BTreeMap<(usize, Sense), Finding> = BTreeMap::new();
        for (segment, view, (model, answer)) in asked {
            for (sense, (score, bytes)) in model.senses.iter().zip(&*self.scores(answer).await?) {
                let Some(sense) = *sense else { continue };
                let told = *score >= FLOOR || sense.hazard().is_none();
                let known = best.get(&(segment, sense)).is_some_and(|finding| finding.score >= *score);
                if told && !known {
                    let span = Some(view.map.to_original(bytes)).filter(|span| !span.is_empty());
                    let finding = self.namespace.finding(sense, *score, segment, span);
                    best.extend(finding.map(|finding| ((segment, sense), finding)));
                }
            }
        }
        let mut findings: Vec<Finding> = best.into_values().collect();
        if let Some(((model, answer), talk)) = talk {
            let together = model.harm(&self.scores(answer).await?);
            findings.extend(self.escalation(&talk, together, &findings));
        }
        if self.is_guard && task.exchange.direction == Direction::Output {
            let mut harm = if questions.is_empty() { UNKNOWN_QUESTION } else { 0.0 };
            for (model, answer) in questions {
                harm = model.harm(&self.scores(answer).await?).max(harm);
            }
            let of_each = (0..task.exchange.segments.len()).map(|i| self.about_all(QUESTION_HARM, harm, i));
            findings.extend(of_each);
        }
        for (segment, (model, answer)) in nudges {
            findings.push(self.about_all(NUDGE, model.harm(&self.scores(answer).await?), segment));
        }
        Ok(findings)
    }

    /// What a talk tells beyond its turns.
    fn escalation(&self, talk: &Talk, together: f32, findings: &[Finding]) -> Option<Finding> {
        let harm = self.namespace.name(Sense::Harm)?;
        let of_talk = |f: &&Finding| f.signal == *harm && talk.segments.contains(&f.segment);
        let worst = findings.iter().filter(of_talk).map(|finding| finding.score).fold(0.0, f32::max);
        let segment = *talk.segments.last()?;
        Talk::escalates(together, worst).then(|| self.about_all(ESCALATION, together, segment))
    }

    /// A finding about a whole segment.
    fn about_all(&self, signal: &str, score: f32, segment: usize) -> Finding {
        Finding { signal: signal.into(), detector: self.namespace.detector(), score, segment, span: None }
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

/// The kind of a user's words.
const USER: u8 = 0;
/// The kind of an operator's.
const SYSTEM: u8 = 3;

/// Index of a segment's kind in the networks' types.
fn kind(segment: &Segment) -> u8 {
    match (segment.place, segment.role) {
        (Place::ToolResult | Place::Document, _) | (_, Role::Tool) => 2,
        (_, Role::User) => USER,
        (_, Role::Assistant) => 1,
        (_, Role::System | Role::Developer) => SYSTEM,
    }
}

/// Whether it is an operator's words.
fn instructs(segment: &Segment) -> bool {
    kind(segment) == SYSTEM && segment.place == Place::Content && !segment.text.trim().is_empty()
}

/// What a segment is read beside: an answer's question, the task that a document came in for. The user's own words
/// and the operator's stand for themselves.
fn context(task: &Task, segment: usize) -> Option<Arc<str>> {
    let segments = &task.exchange.segments;
    if !matches!(kind(&segments[segment]), 1 | 2) {
        return None;
    }
    let before = segments[..segment].iter().rev().find(|segment| asks(segment));
    before
        .or_else(|| task.exchange.context.iter().rev().find(|segment| asks(segment)))
        .map(|s| s.text.clone())
}

/// What an answer answers: the user's last words, and with them the turns before. They were judged as a question, so
/// that their scores are known.
fn questions_of(exchange: &Exchange) -> impl Iterator<Item = Arc<str>> {
    let last = exchange.context.iter().rev().find(|segment| asks(segment)).map(|last| last.text.clone());
    last.into_iter().chain(Talk::of(&exchange.context).map(|talk| talk.text))
}

/// Whether it is what a user says.
fn asks(segment: &Segment) -> bool {
    segment.role == Role::User && segment.place == Place::Content
}

/// Every signal that the guard model raises.
pub fn signals() -> Vec<SignalInfo> {
    let own = Namespace::new(NAME, Sense::all()).infos();
    let more = [
        (NUDGE, "An operator's instructions that would be harm if a user asked for it."),
        (QUESTION_HARM, "How harmful the question is that an answer answers; 0.3 where none is known."),
    ];
    let info = |(name, about): (&str, &str)| SignalInfo {
        name: name.into(),
        kind: SignalKind::Score,
        detector: NAME,
        hazard: None,
        about: about.into(),
    };
    own.into_iter().chain(more.map(info)).chain(conversation::signals()).collect()
}

impl Detector for Classifier {
    fn name(&self) -> &'static str {
        self.namespace.detector()
    }

    fn signals(&self) -> Vec<SignalInfo> {
        if self.is_guard { signals() } else { self.namespace.infos() }
    }

    fn detect<'a>(&'a self, task: &'a Task) -> Detecting<'a> {
        Either::Right(self.judge(task).boxed())
    }
}
