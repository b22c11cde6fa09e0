//! A chat model as one thing: network, tokenizer and template from one GGUF file.

use std::{fs::File, io::BufReader, path::Path};

use anyhow::{Context, Result};
use candle_core::quantized::gguf_file::Content;

use super::{gguf::Metadata, llama::Llama, template::ChatTemplate, tokens::Tokenizer};

/// Everything that turns a chat into tokens and tokens into logits. Read only.
pub struct ChatModel {
    /// The network.
    pub llama: Llama,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The chat template.
    pub template: ChatTemplate,
}

impl ChatModel {
    /// Loads a GGUF file for sequences of up to `context` tokens (at most those the model was trained for).
    ///
    /// # Errors
    /// The file can't be read, or is not of a kind that this program runs.
    pub fn load(path: &Path, context: usize) -> Result<Self> {
        let load = || -> Result<Self> {
            let mut reader = BufReader::new(File::open(path)?);
            Self::read(&mut reader, context)
        };
        load().with_context(|| format!("can't load the model `{}`", path.display()))
    }

    /// Reads a GGUF file from an open reader.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn read<R: std::io::Read + std::io::Seek>(reader: &mut R, context: usize) -> Result<Self> {
        let content = Content::read(reader)?;
        let tokenizer = Tokenizer::read(&content)?;
        let template =
            ChatTemplate::new(Metadata::new(&content).text("tokenizer.chat_template")?, &tokenizer)?;
        let llama = Llama::load(&content, reader, context)?;
        Ok(Self { llama, tokenizer, template })
    }
}
