//! The words around a match: which of them name a kind of personal data, found in one pass over the text.

use std::{collections::BTreeMap, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// How far before a match its word may start, and how far after it, in bytes: about ten words of English, or
/// twenty-five characters of Chinese.
const BEFORE: usize = 80;
const AFTER: usize = 40;
/// Longer ASCII words may carry an ending ("Steuernummern").
const LONGEST_WHOLE_WORD: usize = 5;

/// How a word has to stand in a text.
struct Spelling {
    /// The word, when only these capitals count.
    exact: Option<&'static str>,
    /// Whether it may end a compound, as `-straße` ends Hauptstraße.
    inside: bool,
}

/// The vocabulary: every word of every topic in one automaton.
pub(super) struct Words {
    automaton: AhoCorasick,
    /// For each pattern the topics it speaks for.
    topics: Vec<Vec<usize>>,
    /// For each pattern, how its word has to stand in the text.
    spelling: Vec<Spelling>,
    topics_len: usize,
}

impl Words {
    /// Gathers the words of the topics, which stand between `|`; a topic is named by its place in `topics`.
    ///
    /// A word is found in any ASCII case at the start of a word. Words of up to five letters must also end there,
    /// words in capitals are found only in capitals, and words after a `-` also inside others.
    pub(super) fn new(topics: &[&'static str]) -> Self {
        let mut by_word: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
        for (topic, words) in topics.iter().enumerate() {
            for word in words.split('|').filter(|word| !word.is_empty()) {
                by_word.entry(word).or_default().push(topic);
            }
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(by_word.keys().map(|word| word.trim_start_matches('-')))
            .expect("some hundred short words fit an automaton");
        let spelling = by_word
            .keys()
            .map(|word| Spelling {
                exact: (word.is_ascii() && !word.bytes().any(|byte| byte.is_ascii_lowercase()))
                    .then_some(*word),
                inside: word.starts_with('-'),
            })
            .collect();
        Self { automaton, topics: by_word.into_values().collect(), spelling, topics_len: topics.len() }
    }

    /// Where each topic is spoken of in `text`.
    pub(super) fn find(&self, text: &str) -> Context {
        let mut places: Vec<Vec<Range<usize>>> = vec![Vec::new(); self.topics_len];
        for found in self.automaton.find_overlapping_iter(text) {
            let pattern = found.pattern().as_usize();
            let Spelling { exact, inside } = &self.spelling[pattern];
            let as_written = exact.is_none_or(|word| word == &text[found.range()]);
            if as_written && (*inside || is_word(text.as_bytes(), &found.range())) {
                for topic in &self.topics[pattern] {
                    places[*topic].push(found.range());
                }
            }
        }
        Context { places }
    }
}

/// Whether a match starts a word, and ends one when it is short. Only ASCII neighbours count: scripts without
/// spaces run on.
fn is_word(text: &[u8], found: &Range<usize>) -> bool {
    let word = &text[found.clone()];
    let starts = found.start == 0
        || !word[0].is_ascii_alphanumeric()
        || !text[found.start - 1].is_ascii_alphanumeric();
    let last = word[word.len() - 1];
    let ends = word.len() > LONGEST_WHOLE_WORD
        || !last.is_ascii_alphabetic()
        || !text.get(found.end).is_some_and(u8::is_ascii_alphabetic);
    starts && ends
}

/// Where a text speaks of which topic.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// For each topic the places of its words, by their end.
    places: Vec<Vec<Range<usize>>>,
}

impl Context {
    /// Whether a word of the topic stands near `span`, before or after it.
    pub(super) fn is_near(&self, topic: usize, span: &Range<usize>) -> bool {
        self.before(topic, span.start, BEFORE)
            || self.places.get(topic).is_some_and(|places| {
                let next = places.partition_point(|place| place.start < span.end);
                places.get(next).is_some_and(|place| place.start - span.end <= AFTER)
            })
    }

    /// Whether a word of the topic ends before `at`, within `reach` bytes.
    pub(super) fn before(&self, topic: usize, at: usize, reach: usize) -> bool {
        self.places.get(topic).is_some_and(|places| {
            let next = places.partition_point(|place| place.end <= at);
            next > 0 && at - places[next - 1].end <= reach
        })
    }

    /// Where the last word of the topic ends that lies within `span`.
    pub(super) fn last_end_within(&self, topic: usize, span: &Range<usize>) -> Option<usize> {
        let places = self.places(topic);
        let next = places.partition_point(|place| place.end < span.end);
        places[..next].last().filter(|place| place.start >= span.start).map(|place| place.end)
    }

    /// The places of a topic's words.
    pub(super) fn places(&self, topic: usize) -> &[Range<usize>] {
        self.places.get(topic).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_the_rules_of_their_spelling() {
        let words = Words::new(&["SIN|dni|steuernummer|身份证|-weg"]);
        let count = |text: &str| words.find(text).places(0).len();
        assert_eq!(count("a SIN, a DNI, Dni; Steuernummern; 我的身份证号; Feldweg"), 6);
        assert_eq!(count("a sin, dnipro, midni, SINGLE, Nichtsteuernummer"), 0);
    }

    #[test]
    fn near_has_limits_on_both_sides() {
        let words = Words::new(&["card"]);
        let near = |before: usize, after: usize| {
            let text = format!("card{}1234{}card", " ".repeat(before), " ".repeat(after));
            words.find(&text).is_near(0, &(4 + before..8 + before))
        };
        assert!(near(BEFORE, AFTER + 1) && near(BEFORE + 1, AFTER));
        assert!(!near(BEFORE + 1, AFTER + 1));
    }
}
