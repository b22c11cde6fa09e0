//! A network in this process as a detector, the guard model before all: every segment, every reading of it, judged in
//! its role and with what it answers.

mod networks;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{
    FutureExt,
    future::{Either, try_join_all},
    try_join,
};
use prometheus::IntCounter;

use super::{
    Detected, Detecting, Detector, Task,
    conversation::{self, ESCALATION, Talk},
    sense::{Namespace, Sense},
};
use crate::{
    message::{Direction, Exchange, Place, Role, Segment},
    nn::classify::Text,
    verdict::{Finding, SignalInfo, SignalKind},
};
pub use networks::Model;
use networks::{Networks, Other};

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

/// A network as a detector, or two: one for English and one for every other language.
pub struct Classifier {
    namespace: Namespace,
    networks: Networks,
    /// Whether it is the guard model: it reads the user's turns together, too, and an operator's words as a user's.
    is_guard: bool,
}

impl Classifier {
    /// The guard model, which judges by one network, or what is not English by another; that one is a second opinion on
    /// what is, and how often is counted.
    pub fn guard(english: Model, other: Option<Model>, second_opinions: IntCounter) -> Self {
        let other = other.map(|model| Other { model, second_opinions });
        let networks = Networks { detector: NAME, english, other };
        Self { namespace: Namespace::new(NAME, Sense::all()), networks, is_guard: true }
    }

    /// Another network, whose signals are called by its name.
    pub fn named(name: &'static str, model: Model) -> Self {
        let namespace = Namespace::new(name, model.senses());
        let networks = Networks { detector: name, english: model, other: None };
        Self { namespace, networks, is_guard: false }
    }

    async fn judge(&self, task: &Task) -> Detected {
        let submit = |text: &Arc<str>, kind: u8, context: Option<Arc<str>>| {
            self.networks.ask(Text { text: text.clone(), kind, context }, task.deadline)
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
        // All at once: those who are asked a second time are read together then, too.
        let (said, talk, questions, nudges) = try_join!(
            try_join_all(asked.into_iter().map(|(i, view, asked)| asked.said_of((i, view)))),
            try_join_all(talk.into_iter().map(|(asked, talk)| asked.said_of(talk))),
            try_join_all(questions.into_iter().map(|asked| asked.said())),
            try_join_all(nudges.into_iter().map(|(i, asked)| asked.said_of(i))),
        )?;
        let mut best: BTreeMap<(usize, Sense), Finding> = BTreeMap::new();
        for ((segment, view), said) in said {
            for (sense, score, bytes) in said.scores() {
                let told = score >= FLOOR || sense.hazard().is_none();
                let known = best.get(&(segment, sense)).is_some_and(|finding| finding.score >= score);
                if told && !known {
                    let span = Some(view.map.to_original(bytes)).filter(|span| !span.is_empty());
                    let finding = self.namespace.finding(sense, score, segment, span);
                    best.extend(finding.map(|finding| ((segment, sense), finding)));
                }
            }
        }
        let mut findings: Vec<Finding> = best.into_values().collect();
        if let Some((talk, together)) = talk.first() {
            findings.extend(self.escalation(talk, together.harm(), &findings));
        }
        if self.is_guard && task.exchange.direction == Direction::Output {
            let harm = questions.iter().map(|said| said.harm()).reduce(f32::max).unwrap_or(UNKNOWN_QUESTION);
            let of_each = (0..task.exchange.segments.len()).map(|i| self.about_all(QUESTION_HARM, harm, i));
            findings.extend(of_each);
        }
        findings.extend(nudges.iter().map(|(segment, said)| self.about_all(NUDGE, said.harm(), *segment)));
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
