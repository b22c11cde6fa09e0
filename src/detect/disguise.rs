//! Disguises: undoes what hides a text from a search, and keeps where everything stood.
//!
//! Each reading is one more *view* of a segment; every other detector scans it too, and what it finds maps back to
//! the original. Readings are read again, to a depth and within a budget, so that a text that unfolds without end
//! costs no more than a few times its length.

mod backwards;
mod encoded;
mod escapes;
mod facts;
mod reading;
mod spelling;
#[cfg(test)]
mod tests;
mod unicode;

use std::{
    ops::Range,
    sync::{Arc, LazyLock},
    time::Instant,
};

use super::view::View;
use crate::verdict::{Finding, SignalInfo, SignalKind};
use facts::Facts;
use reading::{Pieces, Reading};
use unicode::{Mark, Seen};

/// The name under which findings and times stand.
pub const NAME: &str = "disguise";

/// How often a reading is read again.
const DEPTH: usize = 3;

/// The most readings of one segment.
const MOST_VIEWS: usize = 32;

/// The most bytes of all readings of a segment: so many times its own, and these.
const TIMES: usize = 4;
const BYTES: usize = 64 << 10;

const BUDGET: &str = "budget";

const SIGNALS: [(&str, &str); 15] = [
    ("invisible", "Characters that are not seen, put between letters or spelling a hidden text."),
    ("bidi", "Characters that turn the direction in which a text is shown."),
    ("confusable", "Letters of another script that look like Latin ones."),
    ("leetspeak", "Digits and signs in place of letters (m4k3)."),
    ("spacing", "Letters of a word that stand apart (b o m b)."),
    ("base64", "Readable text in base64."),
    ("base32", "Readable text in base32."),
    ("hex", "Readable text in hexadecimal."),
    ("rot13", "English with its letters moved by thirteen."),
    ("url", "Plain letters written as URL escapes."),
    ("html", "Plain letters written as HTML entities."),
    ("unicode_escape", "Plain letters written as Unicode escapes."),
    ("reversed", "English written backwards."),
    ("morse", "Morse code."),
    (BUDGET, "More layers of encoding than are undone; the rest is not judged."),
];

static NAMES: LazyLock<Vec<Arc<str>>> =
    LazyLock::new(|| SIGNALS.iter().map(|(name, _)| format!("{NAME}.{name}").into()).collect());

/// Every signal of this detector.
pub fn signals() -> Vec<SignalInfo> {
    let info = |(name, (_, about)): (&Arc<str>, (_, &str))| SignalInfo {
        name: Arc::clone(name),
        kind: SignalKind::Score,
        detector: NAME,
        hazard: None,
        about: Arc::from(about),
    };
    NAMES.iter().zip(SIGNALS).map(info).collect()
}

/// The views of a text, the text itself first, and the disguises it wears. `segment` goes into the findings.
/// Stops early at the deadline, which whoever scans the views will notice too.
pub fn uncover(text: &Arc<str>, segment: usize, deadline: Instant) -> (Vec<View>, Vec<Finding>) {
    let mut views = vec![View::plain(Arc::clone(text))];
    let mut findings = Vec::new();
    let mut left = text.len() * TIMES + BYTES;
    let mut at = 0;
    while at < views.len() {
        let view = views[at].clone();
        at += 1;
        for reading in readings(&view.text, deadline) {
            let mut found = |name: &str, score: f32, span: Range<usize>| {
                let i = SIGNALS.iter().position(|(signal, _)| *signal == name).unwrap_or_default();
                let span = Some(span);
                findings.push(Finding {
                    signal: Arc::clone(&NAMES[i]),
                    detector: NAME,
                    score,
                    segment,
                    span,
                });
            };
            for (by, score, span) in &reading.found {
                found(by, *score, view.map.to_original(span));
            }
            let Some(text) = reading.text.filter(|text| views.iter().all(|view| *view.text != **text)) else {
                continue;
            };
            if view.by.len() >= DEPTH || views.len() >= MOST_VIEWS || text.len() > left {
                found(BUDGET, 1.0, view.map.to_original(&(0..view.text.len())));
                return (views, findings);
            }
            left -= text.len();
            let mut by = view.by.clone();
            by.push(reading.by);
            views.push(View { text: text.into(), by, map: view.map.through(reading.map) });
        }
    }
    (views, findings)
}

/// From so many letters that stand alone on, they are looked at.
const ALONE: usize = 4;

/// From so many encoded characters on, they are looked at.
const ENCODED: usize = 16;

/// From so many bytes written one by one on, they are looked at.
const PAIRS: usize = 6;

/// From so many dots and dashes side by side on, they are looked at.
const DOTS: usize = 3;

/// Undoes one kind of disguise.
type Undo = fn(&str) -> Vec<Reading>;

/// Every other reading of a text.
fn readings(text: &str, deadline: Instant) -> Vec<Reading> {
    let facts = Facts::of(text);
    let long_dashes = || facts.non_ascii && text.contains(['•', '·', '−', '–', '—']);
    let steps: [(bool, Undo); 8] = [
        (facts.non_ascii || facts.inner > 0 || facts.alone >= ALONE, respelled),
        (facts.percents > 0, |text| escapes::url(text).into_iter().collect()),
        (facts.ampersands > 0, |text| escapes::html(text).into_iter().collect()),
        (facts.escapes > 0, |text| escapes::unicode(text).into_iter().collect()),
        (facts.longest_run >= ENCODED, encoded::runs),
        (facts.pairs >= PAIRS, encoded::pairs),
        (facts.dots_and_dashes >= DOTS || long_dashes(), encoded::morse),
        (facts.turned >= backwards::ENOUGH, backwards::turned),
    ];
    let in_time = |_: &_| Instant::now() < deadline;
    steps
        .into_iter()
        .filter(|(worth_it, _)| *worth_it)
        .take_while(in_time)
        .flat_map(|(_, undo)| undo(text))
        .collect()
}

/// The text with plain characters, plain letters and joined words.
fn respelled(text: &str) -> Vec<Reading> {
    if u32::try_from(text.len()).is_err() {
        return Vec::new();
    }
    let mut seen = Seen::default();
    let (mut leetspeak, mut spacing) = (Mark::default(), Mark::default());
    let mut characters = unicode::plain_characters(text, &mut seen);
    unicode::undo_look_alikes(&mut characters, &mut seen.confusable);
    let mut characters = spelling::join_letters(&characters, &mut spacing);
    spelling::undo_leetspeak(&mut characters, &mut leetspeak);
    let marks = [
        ("invisible", seen.invisible),
        ("bidi", seen.bidi),
        ("confusable", seen.confusable),
        ("spacing", spacing),
        ("leetspeak", leetspeak),
    ];
    let found: Vec<_> = marks
        .into_iter()
        .filter(|(_, mark)| mark.score > 0.0)
        .filter_map(|(name, mark)| {
            mark.span.map(|span| (name, mark.score, span.start as usize..span.end as usize))
        })
        .collect();
    let mut pieces = Pieces::default();
    characters.into_iter().for_each(|(c, from)| pieces.push(c, from.start as usize..from.end as usize));
    let (plain, map) = pieces.finish();
    let by = found.first().map_or("normalised", |(name, ..)| name);
    if plain == text && found.is_empty() {
        return Vec::new();
    }
    vec![Reading { by, text: (plain != text).then_some(plain), map, found }]
}
