//! Finds a great many folded texts in one pass.

use std::{collections::BTreeMap, ops::Range};

use aho_corasick::{AhoCorasick, BuildError};

use super::{border::is_word, trigrams::Trigrams};

/// The texts to look for.
pub(super) type Terms = BTreeMap<String, Term>;

/// What a text is looked for.
#[derive(Debug, Default)]
pub(super) struct Term {
    /// Branches of expressions that need it.
    pub(super) needs: Vec<Need>,
    /// The numbers of the words that it is, and of the phrases that begin with it.
    pub(super) words: Vec<usize>,
}

/// A branch of an expression needs a text.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) branch: usize,
    /// The bit of the set in which it needs it.
    pub(super) set: u8,
    /// Whether no word may go on before it, and after it.
    pub(super) edges: [bool; 2],
}

impl Need {
    /// Whether the text stands there as the branch needs it.
    pub(super) fn edges_hold(&self, text: &str, range: &Range<usize>) -> bool {
        let inside =
            |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(|b| is_word(*b));
        !(self.edges[0] && inside(range.start.checked_sub(1)) || self.edges[1] && inside(Some(range.end)))
    }
}

impl Term {
    /// Whether it is of use only where a word begins, and only where one ends.
    pub(super) fn edges(&self) -> [bool; 2] {
        let all = |end: usize| self.needs.iter().all(|need| need.edges[end]);
        if self.words.is_empty() { [all(0), all(1)] } else { [false; 2] }
    }
}

/// Finds texts. The case of ASCII, which is searched as it is, does not count.
#[derive(Debug)]
pub(super) struct Finder {
    easy: Trigrams,
    /// The texts that have more than ASCII, which most of what is searched can't have, and those that are too short.
    other: Option<Automaton>,
    /// Whether there are short ones.
    any_short: bool,
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
        let is_easy = |(text, term): &(String, Term)| Trigrams::can_find(text, term.edges());
        let (easy, other): (Vec<_>, Vec<_>) = terms.into_iter().partition(is_easy);
        let any_short = other.iter().any(|(text, _)| text.is_ascii());
        let other = (!other.is_empty()).then(|| Automaton::new(other)).transpose()?;
        Ok(Self { easy: Trigrams::new(easy), other, any_short })
    }

    /// Tells of every occurrence, overlapping ones too.
    pub(super) fn find(&self, text: &str, mut found: impl FnMut(Range<usize>, &Term)) {
        self.easy.find(text, &mut found);
        if let Some(other) = self.other.as_ref().filter(|_| self.any_short || !text.is_ascii()) {
            other.find(text, &mut found);
        }
    }
}

impl Automaton {
    fn new(terms: Vec<(String, Term)>) -> Result<Self, BuildError> {
        let (texts, terms): (Vec<_>, Vec<_>) = terms.into_iter().unzip();
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(texts)?;
        Ok(Self { automaton, terms })
    }

    fn find(&self, text: &str, found: &mut impl FnMut(Range<usize>, &Term)) {
        for hit in self.automaton.find_overlapping_iter(text) {
            found(hit.range(), &self.terms[hit.pattern().as_usize()]);
        }
    }
}
