//! What undoing a disguise gives, and whether it looks like something that people read.

use std::ops::Range;

use crate::detect::SpanMap;

/// Another reading of a text.
#[derive(Debug)]
pub(super) struct Reading {
    /// How it was made, as the signal names it.
    pub(super) by: &'static str,
    /// The text without the disguise; `None` when that is the text as it stands.
    pub(super) text: Option<String>,
    /// From the reading to the text it was made from.
    pub(super) map: SpanMap,
    /// The disguises to report: which, how sure, and where in the text that the reading was made from. None for
    /// what is in ordinary use, which is only read.
    pub(super) found: Vec<(&'static str, f32, Range<usize>)>,
}

impl Reading {
    /// The reading of a piece that stands for another text.
    pub(super) fn of_piece(by: &'static str, text: String, piece: Range<usize>) -> Self {
        let score = if text.split_whitespace().count() > 1 { 1.0 } else { 0.5 };
        Self { by, text: Some(text), map: SpanMap::Whole(piece.clone()), found: vec![(by, score, piece)] }
    }
}

/// Builds a reading piece by piece.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    text: String,
    pieces: Vec<(usize, Range<usize>)>,
    /// Whether the last piece is as long as what it stands for, so that a neighbour of the same kind can join it.
    even: bool,
}

impl Pieces {
    /// Adds a character that stands for a range of the original.
    pub(super) fn push(&mut self, c: char, from: Range<usize>) {
        let even = from.len() == c.len_utf8();
        match self.pieces.last_mut() {
            Some((_, last)) if even && self.even && last.end == from.start => last.end = from.end,
            _ => self.pieces.push((self.text.len(), from)),
        }
        self.even = even;
        self.text.push(c);
    }

    /// Adds a part that stands as it is at this place of the original.
    pub(super) fn push_plain(&mut self, plain: &str, from: usize) {
        for (at, c) in plain.char_indices() {
            self.push(c, from + at..from + at + c.len_utf8());
        }
    }

    /// The text and its map.
    pub(super) fn finish(mut self) -> (String, SpanMap) {
        let end = self.pieces.last().map_or(0, |(_, last)| last.end);
        self.pieces.push((self.text.len(), end..end));
        (self.text, SpanMap::Pieces(self.pieces.into()))
    }
}

/// The fewest characters of a decoded piece that can say anything.
const SHORTEST: usize = 6;

/// A decoded piece, when it is text that people (or another decoder) could read: nearly all of it letters, digits,
/// spaces and punctuation.
pub(super) fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let (mut all, mut plain, mut letters) = (0_usize, 0_usize, 0_usize);
    for c in text.chars() {
        all += 1;
        letters += usize::from(c.is_alphanumeric());
        plain += usize::from(
            c.is_alphanumeric()
                || c.is_whitespace()
                || c.is_ascii_punctuation()
                || !c.is_control() && !c.is_ascii(),
        );
    }
    (all >= SHORTEST && plain * 20 >= all * 19 && letters * 2 >= all).then_some(text)
}
