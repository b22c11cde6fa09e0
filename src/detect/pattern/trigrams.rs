//! Finds texts of ASCII by their first three characters.
//!
//! An automaton reads one byte after the other, and where it goes next depends on the byte before. Here every place
//! of a text is looked at for itself, in a table that stays in the fastest cache; few places need a second look.
//! The idea is that of Wu and Manber, "A Fast Algorithm for Multi-Pattern Searching" (1994), without their shifts.

use std::ops::Range;

use super::{border::is_word, finder::Term};

/// How many trigrams there are, of five bits for each character: what tells letters apart, but not their case.
const TRIGRAMS: usize = 1 << 15;

/// The bit that tells a small letter of ASCII from a large one, in four bytes.
const CASE: u32 = 0x2020_2020;

/// Finds texts in any case.
#[derive(Debug)]
pub(super) struct Trigrams {
    /// Trigrams that are of use where no word begins, and where one does.
    of_use: [Set; 2],
    /// How many trigrams are of use before each word of the set.
    before: Box<[u32]>,
    /// Where the candidates of each trigram of use begin; those of the next one follow. Only those that are of use stand
    /// here: all of them would be more than the fastest cache holds.
    first: Box<[u32]>,
    candidates: Vec<Candidate>,
    terms: Vec<(String, Term)>,
}

/// A text that begins with a trigram.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Its first four bytes, and which bits of them count: enough to turn most places down.
    head: u32,
    mask: u32,
    term: u32,
}

/// A set of trigrams, a bit for each.
#[derive(Debug)]
struct Set(Box<[u64]>);

impl Set {
    fn has(&self, trigram: usize) -> bool {
        self.0[trigram / 64] >> (trigram % 64) & 1 == 1
    }

    /// How many smaller ones stand in the same word of the set.
    fn less_in_word(&self, trigram: usize) -> usize {
        (self.0[trigram / 64] & ((1 << (trigram % 64)) - 1)).count_ones() as usize
    }

    fn add(&mut self, trigram: usize) {
        self.0[trigram / 64] |= 1 << (trigram % 64);
    }
}

impl Trigrams {
    /// Whether a text is long enough: two characters are, between the edges of a word.
    pub(super) fn can_find(text: &str, edges: [bool; 2]) -> bool {
        text.is_ascii() && (text.len() > 2 || text.len() == 2 && edges == [true; 2])
    }

    /// Looks for texts that it can find.
    pub(super) fn new(terms: Vec<(String, Term)>) -> Self {
        let mut of_use = [(); 2].map(|()| Set(vec![0; TRIGRAMS / 64].into()));
        let mut of_trigram: Vec<Vec<Candidate>> = vec![Vec::new(); TRIGRAMS];
        for (i, (text, term)) in terms.iter().enumerate() {
            let candidate = Candidate::new(text.as_bytes(), i);
            for trigram in trigrams(text.as_bytes()) {
                of_trigram[trigram].push(candidate);
                of_use[1].add(trigram);
                if !term.edges()[0] {
                    of_use[0].add(trigram);
                }
            }
        }
        let mut first = Vec::new();
        let mut candidates: Vec<Candidate> = Vec::new();
        for more in of_trigram.into_iter().filter(|more| !more.is_empty()) {
            first.push(candidates.len() as u32);
            candidates.extend(more);
        }
        first.push(candidates.len() as u32);
        let counts = of_use[1].0.iter().scan(0, |sum, bits| {
            let before = *sum;
            *sum += bits.count_ones();
            Some(before)
        });
        Self { before: counts.collect(), of_use, first: first.into(), candidates, terms }
    }

    /// Tells of every occurrence.
    pub(super) fn find(&self, text: &str, found: &mut impl FnMut(Range<usize>, &Term)) {
        let text = text.as_bytes();
        let [first, second, rest @ ..] = text else { return };
        let mut trigram = push(push(0, *first), *second);
        let mut begins = true;
        for (at, &byte) in rest.iter().enumerate() {
            trigram = push(trigram, byte);
            if self.of_use[usize::from(begins)].has(trigram) {
                self.look(text, at, trigram, found);
            }
            begins = !is_word(text[at]);
        }
        // Two characters at the end.
        let trigram = push(trigram, 0);
        if begins && self.of_use[1].has(trigram) {
            self.look(text, rest.len(), trigram, found);
        }
    }

    /// Looks closer, at a trigram that is of use.
    fn look(&self, text: &[u8], at: usize, trigram: usize, found: &mut impl FnMut(Range<usize>, &Term)) {
        let here = head(&text[at..]);
        let rank = self.before[trigram / 64] as usize + self.of_use[1].less_in_word(trigram);
        let candidates = self.first[rank] as usize..self.first[rank + 1] as usize;
        for candidate in &self.candidates[candidates] {
            if (here ^ candidate.head) & candidate.mask != 0 {
                continue;
            }
            let (wanted, term) = &self.terms[candidate.term as usize];
            let range = at..at + wanted.len();
            if text.get(range.clone()).is_some_and(|here| here.eq_ignore_ascii_case(wanted.as_bytes())) {
                found(range, term);
            }
        }
    }
}

impl Candidate {
    fn new(text: &[u8], term: usize) -> Self {
        let counts = head(&[0xff; 4][..text.len().min(4)]);
        Self { head: head(text), mask: counts & !CASE, term: term as u32 }
    }
}

/// The first four bytes.
fn head(text: &[u8]) -> u32 {
    match text {
        [a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => {
            let mut bytes = [0; 4];
            bytes[..text.len()].copy_from_slice(text);
            u32::from_le_bytes(bytes)
        }
    }
}

fn push(trigram: usize, byte: u8) -> usize {
    (trigram << 5 | usize::from(byte & 31)) % TRIGRAMS
}

/// The trigram with which a text begins; of two characters all that begin with them.
fn trigrams(text: &[u8]) -> impl Iterator<Item = usize> {
    let of_two = push(push(0, text[0]), text[1]);
    let third = match text.get(2) {
        Some(byte) => *byte..=*byte,
        None => 0..=31,
    };
    third.map(move |byte| push(of_two, byte))
}
