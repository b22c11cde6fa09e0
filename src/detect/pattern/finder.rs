//! Finds a great many folded texts in one pass.

use std::{collections::BTreeMap, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};

use super::border::is_word;

/// Up to so many bytes of ASCII to look for, the automaton is a table of some megabytes.
const SMALL: usize = 64 << 10;

/// The texts to look for.
pub(super) type Terms = BTreeMap<String, Term>;

/// What a text is looked for.
#[derive(Debug, Default)]
pub(super) struct Term {
    /// Expressions that need it.
    pub(super) needs: Vec<Need>,
    /// The numbers of the words that it is, and of the phrases that begin with it.
    pub(super) words: Vec<usize>,
}

/// An expression needs a text.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) expression: usize,
    /// The bit of the set in which it needs it.
    pub(super) set: u8,
    /// Whether no word may go on before it, and after it.
    pub(super) edges: [bool; 2],
}

impl Need {
    /// Whether the text stands there as the expression needs it.
    pub(super) fn edges_hold(&self, text: &str, range: &Range<usize>) -> bool {
        let inside =
            |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(|b| is_word(*b));
        !(self.edges[0] && inside(range.start.checked_sub(1)) || self.edges[1] && inside(Some(range.end)))
    }
}

/// Finds texts. The case of ASCII, which is searched as it is, does not count.
#[derive(Debug)]
pub(super) struct Finder {
    ascii: Automaton,
    /// The texts that have more than ASCII: most of what is searched can't have them, and a small table is fast.
    other: Automaton,
}

#[derive(Debug)]
struct Automaton {
    automaton: AhoCorasick,
    terms: Vec<Term>,
}

impl Finder {
    /// # Errors
    /// The texts are too much together.
    pub(super) fn new(terms: Terms) -> Result<Self, BuildError> {
        let (ascii, other) = terms.into_iter().partition(|(text, _): &(String, Term)| text.is_ascii());
        Ok(Self { ascii: Automaton::new(ascii)?, other: Automaton::new(other)? })
    }

    /// Tells of every occurrence, overlapping ones too.
    pub(super) fn find(&self, text: &str, mut found: impl FnMut(Range<usize>, &Term)) {
        self.ascii.find(text, &mut found);
        if !text.is_ascii() {
            self.other.find(text, &mut found);
        }
    }
}

impl Automaton {
    fn new(terms: Vec<(String, Term)>) -> Result<Self, BuildError> {
        let (texts, terms): (Vec<_>, Vec<_>) = terms.into_iter().unzip();
        // A table, where that is of bearable size: it is read faster beside other work, but is seventeen times as
        // large as what the crate would choose.
        let small =
            texts.iter().all(|text| text.is_ascii()) && texts.iter().map(String::len).sum::<usize>() <= SMALL;
        let kind = small.then_some(AhoCorasickKind::DFA);
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).kind(kind).build(texts)?;
        Ok(Self { automaton, terms })
    }

    fn find(&self, text: &str, found: &mut impl FnMut(Range<usize>, &Term)) {
        if self.terms.is_empty() {
            return;
        }
        for hit in self.automaton.find_overlapping_iter(text) {
            found(hit.range(), &self.terms[hit.pattern().as_usize()]);
        }
    }
}

#[cfg(test)]
impl Finder {
    pub(super) fn probe(&self) -> String {
        format!(
            "ascii {} texts {} KB, other {} texts {} KB",
            self.ascii.terms.len(),
            self.ascii.automaton.memory_usage() >> 10,
            self.other.terms.len(),
            self.other.automaton.memory_usage() >> 10
        )
    }
}
