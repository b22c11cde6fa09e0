//! From text to token ids and back, with the vocabulary that a GGUF file carries.
//!
//! Byte-level BPE as in GPT-2 with every digit on its own, which is what GGUF calls `smollm`:
//! `llama_vocab::impl::load` in <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>.

mod detokenizer;

use aho_corasick::{AhoCorasick, MatchKind};
use anyhow::{Context, Result, anyhow, bail};
use candle_core::quantized::gguf_file::Content;
use tokenizers::{
    Tokenizer as Inner,
    models::bpe::{BPE, Vocab},
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
};

pub use self::detokenizer::Detokenizer;
use super::gguf::Metadata;

/// `tokenizer.ggml.token_type` of tokens that steer the model and stand for no text.
const CONTROL: i32 = 3;

/// A tokenizer; reading it needs no lock.
pub struct Tokenizer {
    inner: Inner,
    /// Finds control tokens in text.
    finder: AhoCorasick,
    /// The control tokens in the finder's order.
    control: Vec<(String, u32)>,
    /// What every token stands for; nothing for control tokens.
    bytes: Vec<Box<[u8]>>,
    /// The tokens after which an answer is over.
    ends: Vec<u32>,
}

impl Tokenizer {
    /// Builds the tokenizer of a GGUF file.
    ///
    /// # Errors
    /// The file lacks a key, or its vocabulary is of another kind than GPT-2's with single digits.
    pub fn read(content: &Content) -> Result<Self> {
        let metadata = Metadata::new(content);
        let kind = (metadata.text("tokenizer.ggml.model")?, metadata.text("tokenizer.ggml.pre")?);
        if kind != ("gpt2", "smollm") {
            bail!("the tokenizer is `{}`/`{}`; expected `gpt2`/`smollm`", kind.0, kind.1);
        }
        let tokens = metadata.texts("tokenizer.ggml.tokens")?;
        let types = metadata.integers("tokenizer.ggml.token_type")?;
        let merges = metadata.texts("tokenizer.ggml.merges")?;
        let end = metadata.number("tokenizer.ggml.eos_token_id")?;

        let ids = (0u32..).zip(&tokens).zip(&types);
        let control: Vec<_> = ids
            .filter(|&(_, &kind)| kind == CONTROL)
            .map(|((id, token), _)| ((*token).to_owned(), id))
            .collect();
        let spelling = Spelling::new();
        let bytes = tokens.iter().zip(&types);
        let bytes = bytes
            .map(|(token, &kind)| if kind == CONTROL { Box::default() } else { spelling.bytes(token) })
            .collect();
        // Besides the end of a turn, a model may end the whole text.
        let is_end = |&(ref token, id): &(String, u32)| id as usize == end || token == "<|endoftext|>";
        let ends = control.iter().filter(|item| is_end(item)).map(|(_, id)| *id).collect();
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(control.iter().map(|(token, _)| token))
            .context("control tokens")?;
        Ok(Self { inner: byte_level_bpe(&tokens, &merges)?, finder, control, bytes, ends })
    }

    /// The ids of a text in which control tokens such as `<|im_start|>` count as such: for text that comes
    /// from a template, never for words of a user.
    ///
    /// # Errors
    /// The library fails on the text.
    pub fn encode_with_control(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut end = 0;
        for found in self.finder.find_iter(text) {
            self.extend(&text[end..found.start()], &mut ids)?;
            ids.push(self.control[found.pattern()].1);
            end = found.end();
        }
        self.extend(&text[end..], &mut ids)?;
        Ok(ids)
    }

    /// The ids of a text that is nothing but text, whatever it looks like.
    ///
    /// # Errors
    /// The library fails on the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.extend(text, &mut ids)?;
        Ok(ids)
    }

    fn extend(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        if !text.is_empty() {
            let encoding = self.inner.encode_fast(text, false).map_err(|error| anyhow!(error))?;
            ids.extend_from_slice(encoding.get_ids());
        }
        Ok(())
    }

    /// The texts of the control tokens.
    pub fn control_tokens(&self) -> impl Iterator<Item = &str> {
        self.control.iter().map(|(token, _)| token.as_str())
    }

    /// What a token stands for: bytes that need not be whole characters; none for a control token and for an
    /// id outside the vocabulary.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// Whether an answer is over after this token.
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no tokens at all.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

fn byte_level_bpe(tokens: &[&str], merges: &[&str]) -> Result<Inner> {
    let vocab: Vocab = tokens.iter().map(|token| (*token).to_owned()).zip(0..).collect();
    let merges = merges
        .iter()
        .map(|merge| match merge.split_once(' ') {
            Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
            None => bail!("the merge `{merge}` is not a pair"),
        })
        .collect::<Result<_>>()?;
    let bpe = BPE::builder().vocab_and_merges(vocab, merges).build().map_err(|error| anyhow!(error))?;
    let mut inner = Inner::new(bpe);
    let digits = Digits::new(true);
    let byte_level = ByteLevel::new(false, false, true);
    inner.with_pre_tokenizer(Some(Sequence::new(vec![digits.into(), byte_level.into()])));
    Ok(inner)
}

/// Undoes GPT-2's spelling of bytes as printable characters (`bytes_to_unicode` in
/// <https://github.com/openai/gpt-2/blob/master/src/encoder.py>): bytes that Latin-1 prints stand for themselves,
/// the others follow from U+0100 on, in order.
struct Spelling {
    /// The bytes that U+0100 and the characters after it stand for.
    others: Vec<u8>,
}

impl Spelling {
    fn new() -> Self {
        Self { others: (0..=u8::MAX).filter(|&byte| !Self::prints(byte)).collect() }
    }

    fn prints(byte: u8) -> bool {
        matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
    }

    fn byte(&self, c: char) -> Option<u8> {
        match u8::try_from(c) {
            Ok(byte) if Self::prints(byte) => Some(byte),
            _ => self.others.get((c as usize).checked_sub(0x100)?).copied(),
        }
    }

    fn bytes(&self, token: &str) -> Box<[u8]> {
        token.chars().filter_map(|c| self.byte(c)).collect()
    }
}
