//! A canary: a secret that an operator puts into the system prompt. When it shows up in an answer, in whatever dress,
//! the prompt is leaking.
//!
//! Text is compared by its ASCII letters and digits alone, in lower case, so that case, spaces, dashes and invisible
//! characters between them hide nothing. What is looked for are all runs of the secret of a certain length, plain and
//! in every encoding that a model can be talked into, under one Aho–Corasick. Readings that `disguise` uncovers are
//! scanned too; here the encodings are known in advance, so that no reading has to look like a language.

mod forms;

use std::{fmt, sync::Arc};

use aho_corasick::{AhoCorasick, MatchKind};

use super::{Hit, TextDetector};
use crate::verdict::{SignalInfo, SignalKind};

/// The detector's name, and the namespace of its signal.
pub const NAME: &str = "canary";

const LEAK: &str = "canary.leak";

/// The lengths that a secret may have.
const LENGTHS: std::ops::RangeInclusive<usize> = 12..=64;

/// The shortest part that counts as a leak.
const SHORTEST: usize = 8;

/// The detector. It never shows the secret.
pub struct Canary {
    signal: Arc<str>,
    search: AhoCorasick,
    /// What each of its searches found is worth: 1 for the whole secret, less for a part.
    scores: Vec<f32>,
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canary(..)")
    }
}

/// A secret that is of no use as a canary. The error does not quote it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected {} to {} ASCII characters without spaces, {SHORTEST} or more of them letters or digits; found {length}{what}",
    LENGTHS.start(),
    LENGTHS.end(),
)]
pub struct BadCanary {
    length: usize,
    what: &'static str,
}

impl Canary {
    /// A detector of this secret.
    ///
    /// # Errors
    /// It is too short, too long, or not of plain characters.
    pub fn new(secret: &str) -> Result<Self, BadCanary> {
        let bad = |what| BadCanary { length: secret.chars().count(), what };
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad(" characters, some of them spaces or no ASCII"));
        }
        if !LENGTHS.contains(&secret.len()) {
            return Err(bad(" characters"));
        }
        if plain(secret).count() < SHORTEST {
            return Err(bad(" characters, most of them signs"));
        }
        let (texts, scores) = forms::all(secret, SHORTEST).into_iter().unzip::<String, f32, Vec<_>, Vec<_>>();
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts);
        let search = search.expect("a few thousand short texts fit");
        Ok(Self { signal: LEAK.into(), search, scores })
    }
}

/// The ASCII letters and digits of a text in lower case, each with its place.
fn plain(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let letters = text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric());
    letters.map(|(at, byte)| (at, byte.to_ascii_lowercase()))
}

/// The first letter or digit of each line behind its bullet or number, where it stands alone: `1. C`, `C as in cat`.
fn spelled(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let start = text.as_ptr() as usize;
    text.lines().filter_map(move |line| {
        let numbered = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        let behind_number = numbered.strip_prefix(['.', ')', ':']).unwrap_or(line);
        let rest = behind_number.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let mut bytes = rest.bytes();
        let first = bytes.next()?;
        let alone = bytes.next().is_none_or(|next| !next.is_ascii_alphanumeric());
        alone.then(|| (rest.as_ptr() as usize - start, first.to_ascii_lowercase()))
    })
}

/// Every signal of this detector.
pub fn signals() -> Vec<SignalInfo> {
    vec![SignalInfo {
        name: LEAK.into(),
        kind: SignalKind::Score,
        detector: NAME,
        hazard: None,
        about: "The canary of the settings, whole (1) or in part, plain or encoded.".into(),
    }]
}

impl TextDetector for Canary {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signals(&self) -> Vec<SignalInfo> {
        signals()
    }

    fn scan(&self, text: &str, hits: &mut Vec<Hit>) {
        let readings: [Vec<(usize, u8)>; 2] = [plain(text).collect(), spelled(text).collect()];
        for reading in readings {
            let letters: Vec<u8> = reading.iter().map(|(_, letter)| *letter).collect();
            for found in self.search.find_iter(&letters) {
                let (first, last) = (reading[found.start()].0, reading[found.end() - 1].0);
                let score = self.scores[found.pattern().as_usize()];
                hits.push(Hit { signal: Arc::clone(&self.signal), score, span: first..last + 1 });
            }
        }
    }
}

#[cfg(test)]
mod tests;
