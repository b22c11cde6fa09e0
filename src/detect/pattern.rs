//! A policy's own patterns and lists, all looked for in one pass.
//!
//! One Aho–Corasick finds the words of the lists and, for each regular expression, the texts without which it
//! can't match; only expressions of which one branch has all its texts there are run. Those that need no text stand in one `RegexSet`.

mod border;
mod finder;
mod fold;
mod literals;
#[cfg(test)]
mod tests;
mod trigrams;

use std::{ops::Range, sync::Arc};

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::{Hit, TextDetector};
use crate::{
    policy::pattern::{Matcher, Pattern},
    verdict::{Hazard, SignalInfo, SignalKind},
};
use finder::{Finder, Need, Terms};
use fold::{Folded, fold};
use literals::Needed;

/// The most that all expressions of the set may compile to together, in bytes.
const SET_SIZE: usize = 16 << 20;

/// The most matches of one expression that are told one by one. Looking for the next match may cost as much as
/// the whole text, so an endless number of them would take quadratic time.
const MOST_MATCHES: usize = 1000;

/// What a policy asks for can't be looked for.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// A regular expression does not compile.
    #[error("`{signal}`: wrong regular expression: {reason}")]
    Regex {
        /// The signal it is for.
        signal: Arc<str>,
        /// What is wrong.
        reason: String,
    },
    /// All of them together are too much.
    #[error("the patterns are too large together: {0}")]
    TooLarge(String),
}

/// All searches of a policy, compiled.
#[derive(Debug)]
pub struct Patterns {
    signals: Vec<(Arc<str>, Option<Hazard>)>,
    expressions: Vec<Expression>,
    branches: Vec<Branch>,
    words: Vec<Word>,
    /// Finds the words, and what the expressions need.
    finder: Finder,
    /// The expressions that need no text, and their numbers.
    unannounced: (RegexSet, Vec<usize>),
}

#[derive(Debug)]
struct Expression {
    signal: Arc<str>,
    regex: Regex,
}

/// A branch of an expression that is a choice; else all of it.
#[derive(Debug)]
struct Branch {
    expression: usize,
    /// A bit for each set of texts that it needs.
    needs: u8,
}

/// A word, or a phrase: the words after the first one.
#[derive(Debug)]
struct Word {
    signal: Arc<str>,
    rest: Vec<String>,
}

impl Patterns {
    /// Compiles searches.
    ///
    /// # Errors
    /// A regular expression is wrong, or all together are too large.
    pub fn compile<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Result<Self, PatternError> {
        let mut signals = Vec::new();
        let mut expressions = Vec::new();
        let mut branches = Vec::new();
        let mut words = Vec::new();
        let mut terms = Terms::default();
        let mut unannounced = Vec::new();
        for Pattern { signal, matcher, hazard } in patterns {
            signals.push((Arc::clone(signal), *hazard));
            match matcher {
                Matcher::Regex(regexes) => {
                    for source in regexes {
                        let number = expressions.len();
                        expressions.push(expression(signal, source)?);
                        let needed = needed(source);
                        if needed.iter().any(Vec::is_empty) {
                            unannounced.push((source.as_str(), number));
                            continue;
                        }
                        for sets in needed {
                            branches.push(Branch { expression: number, needs: (1 << sets.len()) - 1 });
                            announce(branches.len() - 1, sets, &mut terms);
                        }
                    }
                }
                Matcher::Words(listed) => {
                    for phrase in listed {
                        let mut parts =
                            phrase.split_whitespace().map(|part| part.chars().map(fold).collect());
                        let Some(first) = parts.next() else { continue };
                        terms.entry(first).or_default().words.push(words.len());
                        words.push(Word { signal: Arc::clone(signal), rest: parts.collect() });
                    }
                }
            }
        }
        let set = RegexSetBuilder::new(unannounced.iter().map(|(source, _)| source))
            .case_insensitive(true)
            .size_limit(SET_SIZE)
            .build()
            .map_err(|error| PatternError::TooLarge(last_line(&error)))?;
        let numbers = unannounced.into_iter().map(|(_, number)| number).collect();
        Ok(Self {
            signals,
            expressions,
            branches,
            words,
            finder: Finder::new(terms).map_err(|error| PatternError::TooLarge(error.to_string()))?,
            unannounced: (set, numbers),
        })
    }

    fn run(&self, number: usize, text: &str, hits: &mut Vec<Hit>) {
        let Expression { signal, regex, .. } = &self.expressions[number];
        let hit = |span: Range<usize>| Hit { signal: Arc::clone(signal), score: 1.0, span };
        for (i, found) in regex.find_iter(text).enumerate() {
            if i == MOST_MATCHES {
                // The rest counts as one: nothing of it must go unredacted.
                hits.push(hit(found.start()..text.len()));
                return;
            }
            hits.push(hit(found.range()));
        }
    }
}

impl TextDetector for Patterns {
    fn name(&self) -> &'static str {
        "pattern"
    }

    fn signals(&self) -> Vec<SignalInfo> {
        let info = |(name, hazard): &(Arc<str>, Option<Hazard>)| SignalInfo {
            name: Arc::clone(name),
            kind: SignalKind::Count,
            detector: "pattern",
            hazard: *hazard,
            about: "a search of this policy".into(),
        };
        self.signals.iter().map(info).collect()
    }

    fn scan(&self, text: &str, hits: &mut Vec<Hit>) {
        let folded = Folded::new(text);
        let mut announced = Vec::new();
        let ascii = text.is_ascii();
        let mut met = vec![0_u8; self.branches.len()];
        self.finder.find(&folded.text, |range, term| {
            for &word in &term.words {
                let Word { signal, rest } = &self.words[word];
                if let Some(span) = whole(&folded.text, range.clone(), rest) {
                    let span = folded.to_original(&span);
                    hits.push(Hit { signal: Arc::clone(signal), score: 1.0, span });
                }
            }
            for need in &term.needs {
                let met = &mut met[need.branch];
                // `ſ` folds to `s`, but it is none to an edge of ASCII: edges count where all is ASCII.
                if *met & need.set == 0 && (!ascii || need.edges_hold(&folded.text, &range)) {
                    *met |= need.set;
                    let Branch { expression, needs } = self.branches[need.branch];
                    if *met == needs {
                        announced.push(expression);
                    }
                }
            }
        });
        let (set, numbers) = &self.unannounced;
        if !numbers.is_empty() {
            announced.extend(set.matches(text).into_iter().map(|i| numbers[i]));
        }
        announced.sort_unstable();
        announced.dedup();
        for number in announced {
            self.run(number, text, hits);
        }
    }
}

fn expression(signal: &Arc<str>, source: &str) -> Result<Expression, PatternError> {
    let regex = RegexBuilder::new(source).case_insensitive(true).build();
    let wrong = |error| PatternError::Regex { signal: Arc::clone(signal), reason: last_line(&error) };
    Ok(Expression { signal: Arc::clone(signal), regex: regex.map_err(wrong)? })
}

/// Has the texts that a branch needs looked for.
fn announce(branch: usize, sets: Vec<Vec<Needed>>, terms: &mut Terms) {
    for (i, set) in sets.into_iter().enumerate() {
        for Needed { text, edges } in set {
            terms.entry(text).or_default().needs.push(Need { branch, set: 1 << i, edges });
        }
    }
}

/// The sets of texts that each branch of an expression needs.
fn needed(source: &str) -> Vec<Vec<Vec<Needed>>> {
    let parsed = regex_syntax::ParserBuilder::new().case_insensitive(true).build().parse(source);
    // What does not parse did not compile, either.
    parsed.map_or_else(|_| vec![Vec::new()], |hir| literals::needed(&hir))
}

/// Where a word and what follows it stand, when they are whole words.
fn whole(text: &str, first: Range<usize>, rest: &[String]) -> Option<Range<usize>> {
    let mut end = first.end;
    for part in rest {
        let gap = text[end..].len() - text[end..].trim_start().len();
        let next = text.get(end + gap..end + gap + part.len())?;
        if gap == 0 || !next.chars().map(fold).eq(part.chars()) {
            return None;
        }
        end += gap + part.len();
    }
    let before = text[..first.start].chars().next_back();
    let starts = text[first.start..].chars().next();
    let ends = text[..end].chars().next_back();
    let after = text[end..].chars().next();
    (is_border(before, starts) && is_border(ends, after)).then_some(first.start..end)
}

fn is_border(left: Option<char>, right: Option<char>) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| (c.is_alphanumeric() || c == '_') && !is_unspaced(c));
    !(inside(left) && inside(right))
}

/// Whether words of this script stand next to each other, or next to particles, without a space: Thai, Lao,
/// Myanmar, Khmer, kana, Han, Hangul.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{1100}'..='\u{11ff}' | '\u{3040}'..='\u{30ff}' | '\u{3130}'..='\u{318f}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
