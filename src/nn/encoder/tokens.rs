//! Text to windows: token ids in the layout the network was trained on, each window with the place of what it shows.

use std::{ops::Range, path::Path};

use anyhow::{Result, anyhow, bail};
use tokenizers::Tokenizer;

use super::{Config, Window};

/// A text is given to the tokenizer in pieces of at most about this many bytes: some models take more than linear time.
const PIECE: usize = 4096;
/// Bytes of a text that are cut into windows at once: others need not wait until megabytes are read.
const STRETCH: usize = 4 * PIECE;

/// A text to judge: whose it is, and what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Passage<'a> {
    /// The text.
    pub text: &'a str,
    /// Index of its kind in [`Config::types`].
    pub kind: u8,
    /// The question that it answers, or the task that it came in for.
    pub context: Option<&'a str>,
}

/// A part of a text, as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What the network reads.
    pub window: Window,
    /// Which bytes of the text it shows.
    pub bytes: Range<usize>,
}

/// The windows over a stretch of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// In their order.
    pub shown: Vec<Shown>,
    /// The byte from which the text goes on, if it does: the last words of this stretch are shown again.
    pub rest: Option<usize>,
}

/// The tokenizer, and how windows are laid out.
pub struct Tokens {
    tokenizer: Tokenizer,
    cls: u32,
    sep: u32,
    window: usize,
    stride: usize,
    context: u8,
}

impl Tokens {
    pub(super) fn load(path: &Path, config: &Config) -> Result<Self> {
        let tokenizer = read(path)?;
        let (cls, sep, window, stride) = (config.cls, config.sep, config.window, config.stride);
        Ok(Self { tokenizer, cls, sep, window, stride, context: config.context_type() })
    }

    /// The tokenizer of a model that reads one text and nothing beside it; what begins and ends a window is what the
    /// tokenizer puts around an empty text.
    pub(in crate::nn) fn plain(path: &Path, window: usize, stride: usize) -> Result<Self> {
        let tokenizer = read(path)?;
        let around = tokenizer.encode("", true).map_err(|error| anyhow!("the tokenizer failed: {error}"))?;
        let [cls, sep] = around.get_ids() else {
            bail!("`{}` puts {} tokens around a text, expected are 2", path.display(), around.get_ids().len())
        };
        let (cls, sep) = (*cls, *sep);
        Ok(Self { tokenizer, cls, sep, window, stride, context: u8::MAX })
    }

    /// Cuts the next stretch of a passage, from a byte on, into windows that overlap and together show all of it: `<cls>
    /// [context <sep>] text <sep>`. The context takes at most a quarter of a window: the first half of that and the last. A
    /// text without tokens has no windows.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub fn windows(&self, passage: Passage<'_>, from: usize) -> Result<Cut> {
        let text = &passage.text[from..];
        let end = from + cut(text, STRETCH);
        let is_last = end == passage.text.len();
        let (ids, places) = self.encode(passage.text, from..end)?;
        let last_words = ids.len().checked_sub(self.stride).and_then(|at| places.get(at));
        let again = last_words.map(|place| passage.text.floor_char_boundary(place.start));
        // Tokens may be so long that a stretch has hardly more of them than are shown again.
        let again = again.filter(|at| *at > from + (end - from) / 2).unwrap_or(end);
        let mut cut = Cut { shown: Vec::new(), rest: (!is_last).then_some(again) };
        if ids.is_empty() {
            return Ok(cut);
        }
        let context = self.context(passage.context)?;
        let room = self.window - 2 - if context.is_empty() { 0 } else { context.len() + 1 };
        let step = room - self.stride;
        for start in (0..ids.len()).step_by(step) {
            let part = start..ids.len().min(start + room);
            let end = if part.end == ids.len() { end } else { places[part.end - 1].end };
            let begin = if start == 0 { from } else { places[start].start };
            let window = self.layout(&ids[part.clone()], &context, passage.kind);
            cut.shown.push(Shown { window, bytes: begin..end.max(begin) });
            if part.end == ids.len() {
                break;
            }
        }
        Ok(cut)
    }

    fn layout(&self, ids: &[u32], context: &[u32], kind: u8) -> Window {
        let mut window = Window { ids: vec![self.cls], types: vec![kind] };
        if !context.is_empty() {
            window.ids.extend(context.iter().chain([&self.sep]));
            window.types.resize(window.ids.len(), self.context);
        }
        window.ids.extend(ids.iter().chain([&self.sep]));
        window.types.resize(window.ids.len(), kind);
        window
    }

    fn context(&self, text: Option<&str>) -> Result<Vec<u32>> {
        let half = self.window / 8;
        let Some(text) = text else { return Ok(Vec::new()) };
        // Of a long text only the ends are needed; a token is rarely longer than 16 bytes.
        let most = half * 32;
        if text.len() <= 2 * most {
            let (ids, _) = self.encode(text, 0..text.len())?;
            return Ok(if ids.len() <= 2 * half {
                ids
            } else {
                [&ids[..half], &ids[ids.len() - half..]].concat()
            });
        }
        let (head, _) = self.encode(text, 0..text.floor_char_boundary(most))?;
        let (tail, _) = self.encode(text, text.ceil_char_boundary(text.len() - most)..text.len())?;
        let (head, tail) = (&head[..head.len().min(half)], &tail[tail.len().saturating_sub(half)..]);
        Ok([head, tail].concat())
    }

    /// Token ids of these bytes, each with the bytes that it stands for.
    fn encode(&self, text: &str, bytes: Range<usize>) -> Result<(Vec<u32>, Vec<Range<usize>>)> {
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        let mut at = bytes.start;
        while at < bytes.end {
            let rest = &text[at..bytes.end];
            let piece = &rest[..cut(rest, PIECE)];
            let encoding = self.tokenizer.encode(piece, false);
            let encoding = encoding.map_err(|error| anyhow!("the tokenizer failed: {error}"))?;
            ids.extend_from_slice(encoding.get_ids());
            places.extend(encoding.get_offsets().iter().map(|(start, end)| at + start..at + end));
            at += piece.len();
        }
        Ok((ids, places))
    }
}

fn read(path: &Path) -> Result<Tokenizer> {
    Tokenizer::from_file(path).map_err(|error| anyhow!("`{}` is no tokenizer: {error}", path.display()))
}

/// How much of a text makes a piece of at most so many bytes: all of a short one, else up to the last white space within
/// reach.
fn cut(text: &str, most: usize) -> usize {
    if text.len() <= most {
        return text.len();
    }
    let most = text.floor_char_boundary(most);
    text[..most].rfind(char::is_whitespace).filter(|at| *at > most / 2).unwrap_or(most)
}
