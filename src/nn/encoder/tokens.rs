//! Text to windows: token ids in the layout the network was trained on, each window with the place of what it shows.

use std::{ops::Range, path::Path};

use anyhow::{Result, anyhow, bail};
use tokenizers::Tokenizer;

use super::{Config, Window};

/// A text is given to the tokenizer in pieces of at most about this many bytes: some models take more than linear time.
const PIECE: usize = 4096;

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

    /// Cuts a passage into windows that overlap and together show all of it: `<cls> [context <sep>] text <sep>`. The
    /// context takes at most a quarter of a window: the first half of that and the last. A text without tokens has no
    /// windows.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub fn windows(&self, passage: Passage<'_>) -> Result<Vec<Shown>> {
        let (ids, places) = self.encode(passage.text)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let context = self.context(passage.context)?;
        let room = self.window - 2 - if context.is_empty() { 0 } else { context.len() + 1 };
        let step = room - self.stride;
        let mut shown = Vec::new();
        for start in (0..ids.len()).step_by(step) {
            let part = start..ids.len().min(start + room);
            let end = if part.end == ids.len() { passage.text.len() } else { places[part.end - 1].end };
            let begin = if start == 0 { 0 } else { places[start].start };
            let window = self.layout(&ids[part.clone()], &context, passage.kind);
            shown.push(Shown { window, bytes: begin..end.max(begin) });
            if part.end == ids.len() {
                break;
            }
        }
        Ok(shown)
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
            let (ids, _) = self.encode(text)?;
            return Ok(if ids.len() <= 2 * half {
                ids
            } else {
                [&ids[..half], &ids[ids.len() - half..]].concat()
            });
        }
        let (head, _) = self.encode(&text[..text.floor_char_boundary(most)])?;
        let (tail, _) = self.encode(&text[text.ceil_char_boundary(text.len() - most)..])?;
        let (head, tail) = (&head[..head.len().min(half)], &tail[tail.len().saturating_sub(half)..]);
        Ok([head, tail].concat())
    }

    /// Token ids with the bytes that each stands for.
    fn encode(&self, text: &str) -> Result<(Vec<u32>, Vec<Range<usize>>)> {
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < text.len() {
            let piece = &text[at..at + cut(&text[at..])];
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

/// How much of a text makes a piece: all of a short one, else up to the last white space within reach.
fn cut(text: &str) -> usize {
    if text.len() <= PIECE {
        return text.len();
    }
    let most = text.floor_char_boundary(PIECE);
    text[..most].rfind(char::is_whitespace).filter(|at| *at > most / 2).unwrap_or(most)
}
