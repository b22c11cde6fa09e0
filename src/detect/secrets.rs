//! Secrets: keys, tokens and passwords, found by registered prefixes, structure, names and entropy.
//!
//! Two automata read the text once each: one for the prefixes and landmarks of machine-made secrets, in their exact
//! case, one for the names that people and programs give to secrets, in any case. Only around what they find is
//! looked closer. Prose, which has neither long runs without a space nor digits and signs, is spared both.

mod assignment;
mod entropy;
mod prefixed;
mod signals;
mod structured;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, ops::Range, sync::Arc};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use self::{
    assignment::{NAMES, is_aws_value},
    prefixed::RULES,
    signals::SIGNALS,
    structured::{LANDMARKS, PEM},
};
use super::{
    Hit, TextDetector,
    overlap::{Candidate, keep_best},
};
use crate::verdict::{Hazard, SignalInfo, SignalKind};

/// Finds secrets in a text. Signals are named `secret.*`; see [`TextDetector::signals`].
#[derive(Debug)]
pub struct Secrets {
    signals: HashMap<&'static str, Arc<str>>,
    /// The prefixes of [`RULES`], then the signs of [`LANDMARKS`].
    marks: AhoCorasick,
    /// The words of [`NAMES`].
    names: AhoCorasick,
}

/// A secret that was found, before it has a name.
#[derive(Clone, Debug, PartialEq)]
struct Match {
    span: Range<usize>,
    score: f32,
}

/// The fewest bytes, none of them a space, of anything that the marks lead to, but for a [`PEM`] block: `LTAI` and
/// twelve more.
const SHORTEST: usize = 16;

/// How far after an access key id its secret may stand, in bytes.
const AWS_REACH: usize = 200;

impl Secrets {
    /// The detector, with its automata built.
    pub fn new() -> Self {
        let marks =
            RULES.iter().map(|rule| rule.prefix).chain(LANDMARKS.iter().map(|landmark| landmark.sign));
        let automaton = |words: &[&str], any_case: bool| {
            AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::DFA))
                .match_kind(MatchKind::LeftmostLongest)
                .ascii_case_insensitive(any_case)
                .build(words)
                .expect("some hundred short words fit an automaton")
        };
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        Self {
            signals: SIGNALS.iter().map(|(name, _)| (*name, Arc::from(*name))).collect(),
            marks: automaton(&marks.collect::<Vec<_>>(), false),
            names: automaton(&names, true),
        }
    }

    /// Adds what prefixes and landmarks lead to.
    fn marked(&self, text: &str, found: &mut Vec<Candidate>) {
        if !has_long_run(text.as_bytes()) && !text.contains(PEM) {
            return;
        }
        // Landmarks inside a secret that was found (the `eyJ` of a payload) need no second look.
        let mut done = 0;
        for mark in self.marks.find_iter(text) {
            if mark.start() < done {
                continue;
            }
            let index = mark.pattern().as_usize();
            let (signal, secret) = match RULES.get(index) {
                Some(rule) => (rule.signal, rule.find(text, mark.end())),
                None => {
                    let landmark = &LANDMARKS[index - RULES.len()];
                    (landmark.signal, (landmark.find)(text, mark.range()))
                }
            };
            let Some(Match { span, score }) = secret else { continue };
            done = span.end;
            if signal == "secret.aws_access_key" {
                found.extend(aws_secret(text, span.end));
            }
            found.push(Candidate { signal, score, span });
        }
    }

    /// Adds what is given to names that promise a secret.
    fn named(&self, text: &str, found: &mut Vec<Candidate>) {
        if !assignment::may_stand_in(text) {
            return;
        }
        for name in self.names.find_iter(text) {
            let kind = NAMES[name.pattern().as_usize()].1;
            if let Some((signal, Match { span, score })) = assignment::find(text, name.range(), kind) {
                found.push(Candidate { signal, score, span });
            }
        }
    }
}

/// Whether so many bytes stand somewhere without a space as the shortest of all tokens has.
fn has_long_run(text: &[u8]) -> bool {
    // From the end of each window backwards: at a space, the next window begins behind it.
    let mut start = 0;
    while let Some(window) = text.get(start..start + SHORTEST) {
        match window.iter().rposition(|&byte| matches!(byte, b' ' | b'\n')) {
            Some(space) => start += space + 1,
            None => return true,
        }
    }
    false
}

/// The secret access key that stands shortly after its id.
fn aws_secret(text: &str, id_end: usize) -> Option<Candidate> {
    let window = &text[id_end..text.floor_char_boundary(id_end + AWS_REACH)];
    let is_sign = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '/');
    let gaps = window.match_indices(|char| !is_sign(char)).map(|(at, gap)| at + gap.len());
    let start = gaps
        .filter(|at| window.get(*at..at + 40).is_some_and(is_aws_value))
        .find(|at| !window[at + 40..].starts_with(is_sign))?;
    let start = id_end + start;
    Some(Candidate { signal: "secret.aws_secret_key", score: 0.9, span: start..start + 40 })
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new()
    }
}

impl TextDetector for Secrets {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn signals(&self) -> Vec<SignalInfo> {
        SIGNALS
            .iter()
            .map(|(name, about)| SignalInfo {
                name: self.signals[name].clone(),
                kind: SignalKind::Score,
                detector: self.name(),
                hazard: Some(Hazard::Privacy),
                about: Arc::from(*about),
            })
            .collect()
    }

    fn scan(&self, text: &str, hits: &mut Vec<Hit>) {
        let mut found = Vec::new();
        self.marked(text, &mut found);
        self.named(text, &mut found);
        hits.extend(keep_best(found).into_iter().map(|candidate| Hit {
            signal: self.signals[candidate.signal].clone(),
            score: candidate.score,
            span: candidate.span,
        }));
    }
}
