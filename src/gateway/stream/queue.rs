//! Events that wait to be shown, in their order.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::Value;

use crate::{dialect::sse::Event, guard::stream::Windows};

/// A piece of a text in an event that waits.
#[derive(Debug)]
pub(super) struct Part {
    /// The text, as the windows count them.
    pub(super) text: usize,
    /// Which bytes of it.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Where it stands in the event.
    pub(super) pointer: String,
    /// Whether the whole text is said once more.
    pub(super) again: bool,
}

/// An event that waits.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) event: Event,
    pub(super) json: Option<Value>,
    pub(super) parts: Vec<Part>,
    /// Tracks that must be over before it is shown.
    pub(super) ends: Vec<usize>,
    pub(super) spelled: Vec<String>,
    pub(super) signed: Vec<(usize, String)>,
    /// Whether the stream ends with it.
    pub(super) last: bool,
    /// Events of our own behind it.
    pub(super) ours: Vec<Bytes>,
}

impl Queued {
    /// The end of a stream that the upstream left out.
    pub(super) fn ours(ours: Vec<Bytes>) -> Self {
        let event = Event { raw: Bytes::new(), name: String::new(), data: None };
        Self {
            event,
            json: None,
            parts: Vec::new(),
            ends: Vec::new(),
            spelled: Vec::new(),
            signed: Vec::new(),
            last: true,
            ours,
        }
    }
}

/// A track of the stream, and which text of the windows it is.
#[derive(Clone, Copy, Debug)]
struct Track {
    text: usize,
    visible: bool,
    worded: bool,
    ended: bool,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Queued>,
    /// Pieces of text in those that wait.
    pieces: usize,
    tracks: Vec<Track>,
}

impl Queue {
    /// Takes a track whose text the windows have just opened.
    pub(super) fn open(&mut self, text: usize, visible: bool) {
        self.tracks.push(Track { text, visible, worded: false, ended: false });
    }

    /// How many tracks are known.
    pub(super) fn tracks(&self) -> usize {
        self.tracks.len()
    }

    /// The text of a track.
    pub(super) fn text(&self, track: usize) -> usize {
        self.tracks[track].text
    }

    /// Whether these are the first words of a text that a person reads. It is so once.
    pub(super) fn is_first_words(&mut self, text: usize) -> bool {
        let track = self.tracks.iter_mut().find(|track| track.text == text && track.visible && !track.worded);
        track.map(|track| track.worded = true).is_some()
    }

    /// Ends a track; whether it had not ended before.
    pub(super) fn end(&mut self, track: usize) -> bool {
        !std::mem::replace(&mut self.tracks[track].ended, true)
    }

    pub(super) fn push(&mut self, queued: Queued) {
        self.pieces += queued.parts.len();
        self.waiting.push_back(queued);
    }

    /// Whether the end of the stream waits already.
    pub(super) fn has_last(&self) -> bool {
        self.waiting.back().is_some_and(|queued| queued.last)
    }

    /// The next event, when all of it may be shown.
    pub(super) fn next_clear(&mut self, windows: &Windows) -> Option<Queued> {
        let next = self.waiting.front()?;
        let clear = next.parts.iter().all(|part| windows.cleared(part.text) >= part.to)
            && next.ends.iter().all(|&track| windows.is_over(self.text(track)))
            && (!next.last || windows.all_judged());
        if !clear {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.pieces -= next.parts.len();
        Some(next)
    }

    /// Pieces of text that wait: about as many tokens.
    pub(super) fn pieces(&self) -> usize {
        self.pieces
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.pieces = 0;
    }
}
