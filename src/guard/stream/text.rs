//! One text of an answer: where its windows begin and end, what is taken out of it, how far it may be shown.

use std::{ops::Range, sync::Arc, time::Instant};

use unicode_segmentation::UnicodeSegmentation;

use super::{FIRST, Shape, settle};
use crate::{
    guard::redact::{Restorer, masked},
    message::Place,
    verdict::{Redaction, StreamMode},
};

/// Something that is taken out.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    range: Range<usize>,
    signal: Arc<str>,
}

/// One text of the answer.
pub(super) struct Text {
    pub(super) place: Place,
    pub(super) pointer: String,
    pub(super) text: String,
    /// Bytes that were judged, and bytes that may be shown.
    pub(super) judged: usize,
    pub(super) cleared: usize,
    pub(super) shown: usize,
    /// Since when there is something that waits to be judged.
    pub(super) since: Option<Instant>,
    pub(super) ended: bool,
    pub(super) edits: Vec<Edit>,
    pub(super) restorer: Restorer,
    /// What the client has of it.
    pub(super) said: String,
}

impl Text {
    pub(super) fn new(place: Place, pointer: &str, restorer: Restorer) -> Self {
        Self {
            place,
            pointer: pointer.to_owned(),
            text: String::new(),
            judged: 0,
            cleared: 0,
            shown: 0,
            since: None,
            ended: false,
            edits: Vec::new(),
            restorer,
            said: String::new(),
        }
    }

    /// Whether something is taken out of it.
    pub(super) fn is_edited(&self) -> bool {
        !self.edits.is_empty()
    }

    /// Where the next window ends: at the last end of a sentence when that makes half a window, else behind the last
    /// whole word.
    pub(super) fn border(&self, target: usize) -> usize {
        let fresh = &self.text[self.judged..];
        let sentence = fresh.rfind(['.', '!', '?', '\n', '。', '！', '？']).map(|at| at + 1);
        let ends = |&end: &usize| {
            let half = end >= target / 2;
            // A point within a number or a name ends nothing.
            half && fresh.is_char_boundary(end) && fresh[end..].starts_with(char::is_whitespace)
        };
        sentence.filter(ends).map_or_else(|| self.last_word(target), |end| self.judged + end)
    }

    /// The same for words that have waited long enough: behind the last whole word, or after half a word when that is all.
    /// Half a word reads as another one.
    pub(super) fn border_now(&self) -> usize {
        let end = self.last_word(0);
        if end > self.judged { end } else { self.text.len() }
    }

    fn last_word(&self, target: usize) -> usize {
        // The last word may not be whole yet.
        match self.text[self.judged..].split_word_bound_indices().next_back() {
            Some((_, word)) if word.chars().all(char::is_whitespace) => self.text.len(),
            // A word without end is cut all the same.
            Some((at, word)) if word.len() <= target.max(FIRST * 2) => self.judged + at,
            _ => self.text.len(),
        }
    }

    /// Where the next window begins: some text before what is new, never within something that is taken out; at the
    /// beginning while the text is no longer than this.
    pub(super) fn start(&self, overlap: usize, from_beginning: usize) -> usize {
        if self.text.len() <= from_beginning {
            return 0;
        }
        let start = self.judged.saturating_sub(overlap).min(self.cleared);
        let start = self
            .edits
            .iter()
            .filter(|edit| edit.range.contains(&start))
            .map(|edit| edit.range.start)
            .min()
            .unwrap_or(start);
        let start = self.text.floor_char_boundary(start);
        // Behind a blank, when one is near.
        let from = self.text.floor_char_boundary(start.saturating_sub(FIRST * 2));
        self.text[from..start]
            .rfind(char::is_whitespace)
            .map_or(start, |at| self.text.ceil_char_boundary(from + at + 1))
    }

    pub(super) fn take_out(&mut self, offset: usize, redaction: &Redaction) {
        let range = self.text.floor_char_boundary(offset + redaction.span.start)
            ..self.text.ceil_char_boundary(offset + redaction.span.end);
        // What was shown can't be taken back.
        let mut range = range.start.max(self.shown)..range.end;
        if range.is_empty() {
            return;
        }
        let mut signal = Arc::clone(&redaction.signal);
        let mut longest = range.len();
        self.edits.retain(|edit| {
            let apart = edit.range.end <= range.start || range.end <= edit.range.start;
            if !apart {
                if edit.range.len() > longest {
                    longest = edit.range.len();
                    signal = Arc::clone(&edit.signal);
                }
                range = range.start.min(edit.range.start)..range.end.max(edit.range.end);
            }
            apart
        });
        let at = self.edits.partition_point(|edit| edit.range.start < range.start);
        self.edits.insert(at, Edit { range, signal });
    }

    /// Says how far the text may be shown, now that it was judged up to `judged`.
    pub(super) fn clear(&mut self, shape: Shape) {
        if shape.mode == StreamMode::Audit {
            return;
        }
        let all = self.ended && self.judged == self.text.len();
        let mut cleared = self.judged;
        if shape.redacts && !all {
            let tail = self.text.floor_char_boundary(self.judged.saturating_sub(shape.tail));
            cleared = settle::settled(&self.text[..self.judged]).min(tail);
        }
        if let Some(edit) =
            self.edits.iter().find(|edit| edit.range.start < cleared && cleared < edit.range.end)
        {
            cleared = edit.range.start;
        }
        self.cleared = self.cleared.max(cleared);
    }

    pub(super) fn show(&mut self, to: usize) -> String {
        let mut out = String::new();
        let to = to.min(self.text.len());
        for edit in &self.edits {
            if edit.range.end <= self.shown || edit.range.start >= to {
                continue;
            }
            if edit.range.start >= self.shown {
                out += &self.restorer.push(&self.text[self.shown..edit.range.start]);
                out += &self.restorer.finish();
                out += &masked(&edit.signal);
            }
            self.shown = edit.range.end.min(to);
        }
        if self.shown < to {
            out += &self.restorer.push(&self.text[self.shown..to]);
            self.shown = to;
        }
        out
    }
}
