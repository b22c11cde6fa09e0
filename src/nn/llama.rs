//! A Llama decoder with quantised weights, on the CPU, one step for several sequences at once.
//!
//! Architecture: Touvron et al. 2023, <https://arxiv.org/abs/2302.13971>, with grouped-query attention
//! (Ainslie et al. 2023, <https://arxiv.org/abs/2305.13245>); tensor names and the order of the rotary pairs are
//! those of GGUF's `llama`. Rows of all sequences go through the layers together, so the weights are read once a
//! step; only attention looks at one sequence at a time.

mod attention;
mod cache;
mod linear;
mod rope;

use std::io::{Read, Seek};

use candle_core::{
    Device, Result, Tensor, bail,
    quantized::{QTensor, gguf_file::Content},
    utils::with_threadpool,
};
use candle_nn::ops::{rms_norm, silu};

pub use self::cache::KvCache;
use self::{linear::Linear, rope::Rope};
use super::gguf::Metadata;

/// The sizes of a network, under GGUF's names.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Layers.
    pub block_count: usize,
    /// Positions the network was trained for.
    pub context_length: usize,
    /// Width of the residual stream.
    pub embedding_length: usize,
    /// Query heads.
    pub head_count: usize,
    /// Key and value heads; each serves `head_count / head_count_kv` query heads.
    pub head_count_kv: usize,
    /// Width of the gated layer.
    pub feed_forward_length: usize,
    /// Base of the rotary frequencies.
    pub rope_freq_base: f32,
    /// Added to the mean square before its root.
    pub rms_epsilon: f32,
}

impl Config {
    /// Reads the sizes from a GGUF file of architecture `llama`.
    ///
    /// # Errors
    /// A key is missing, or the file is of another architecture or of sizes that don't fit together.
    pub fn read(content: &Content) -> Result<Self> {
        let metadata = Metadata::new(content);
        let architecture = metadata.text("general.architecture")?;
        if architecture != "llama" {
            bail!("the GGUF file is of architecture `{architecture}`; expected `llama`")
        }
        let config = Self {
            block_count: metadata.number("llama.block_count")?,
            context_length: metadata.number("llama.context_length")?,
            embedding_length: metadata.number("llama.embedding_length")?,
            head_count: metadata.number("llama.attention.head_count")?,
            head_count_kv: metadata.number("llama.attention.head_count_kv")?,
            feed_forward_length: metadata.number("llama.feed_forward_length")?,
            rope_freq_base: metadata.float("llama.rope.freq_base")?,
            rms_epsilon: metadata.float("llama.attention.layer_norm_rms_epsilon")?,
        };
        let Self { embedding_length, head_count, head_count_kv, .. } = config;
        let fits = head_count > 0
            && head_count_kv > 0
            && embedding_length.is_multiple_of(2 * head_count)
            && head_count.is_multiple_of(head_count_kv);
        if !fits {
            bail!(
                "{embedding_length} units don't divide into {head_count} heads over {head_count_kv} key heads"
            )
        }
        Ok(config)
    }

    /// Width of one head.
    pub fn head_length(&self) -> usize {
        self.embedding_length / self.head_count
    }
}

/// One sequence's part of a step.
pub struct Span<'a> {
    /// The new tokens, which follow what the cache holds.
    pub tokens: &'a [u32],
    /// What the sequence has been through; the step adds `tokens` to it.
    pub cache: &'a mut KvCache,
    /// Whether the logits after the last token are wanted.
    pub logits: bool,
}

/// The network. It is read only: what a sequence remembers is in its [`KvCache`].
pub struct Llama {
    config: Config,
    token_embd: QTensor,
    blocks: Vec<Block>,
    output_norm: Tensor,
    output: Linear,
    rope: Rope,
}

struct Block {
    attn_norm: Tensor,
    attn_q: Linear,
    attn_k: Linear,
    attn_v: Linear,
    attn_output: Linear,
    ffn_norm: Tensor,
    ffn_gate: Linear,
    ffn_up: Linear,
    ffn_down: Linear,
}

impl Llama {
    /// Loads the weights for sequences of up to `context` positions (at most those trained for).
    ///
    /// # Errors
    /// A tensor is missing, broken or of the wrong shape.
    pub fn load<R: Read + Seek>(content: &Content, reader: &mut R, context: usize) -> Result<Self> {
        let config = Config::read(content)?;
        let mut tensor = |name: &str| content.tensor(reader, name, &Device::Cpu);
        let token_embd = tensor("token_embd.weight")?;
        // Small models share the embedding with the output layer, and their files hold it once.
        let has_output = content.tensor_infos.contains_key("output.weight");
        let output = tensor(if has_output { "output.weight" } else { "token_embd.weight" })?;
        let blocks = (0..config.block_count)
            .map(|i| {
                let mut tensor = |name: &str| tensor(&format!("blk.{i}.{name}.weight"));
                Ok(Block {
                    attn_norm: tensor("attn_norm")?.dequantize(&Device::Cpu)?,
                    attn_q: Linear::new(&tensor("attn_q")?)?,
                    attn_k: Linear::new(&tensor("attn_k")?)?,
                    attn_v: Linear::new(&tensor("attn_v")?)?,
                    attn_output: Linear::new(&tensor("attn_output")?)?,
                    ffn_norm: tensor("ffn_norm")?.dequantize(&Device::Cpu)?,
                    ffn_gate: Linear::new(&tensor("ffn_gate")?)?,
                    ffn_up: Linear::new(&tensor("ffn_up")?)?,
                    ffn_down: Linear::new(&tensor("ffn_down")?)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            token_embd,
            blocks,
            output_norm: tensor("output_norm.weight")?.dequantize(&Device::Cpu)?,
            output: Linear::new(&output)?,
            rope: Rope::new(&config, context.min(config.context_length))?,
            config,
        })
    }

    /// The network's sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How many positions a sequence may have.
    pub fn context(&self) -> usize {
        self.rope.context()
    }

    /// A cache for a sequence that has not begun.
    pub fn new_cache(&self) -> KvCache {
        KvCache::new(self.blocks.len())
    }

    /// Memory that one position of a sequence takes, in bytes.
    pub fn bytes_per_position(&self) -> usize {
        2 * self.blocks.len() * self.config.head_count_kv * self.config.head_length() * size_of::<f32>()
    }

    /// Takes every span one step further and gives the logits (one `f32` a token of the vocabulary) after the
    /// last token of those spans that ask for them, in order. After an error the caches are of no more use.
    ///
    /// # Errors
    /// A token is outside the vocabulary, a sequence would outgrow the context, or a product fails.
    pub fn forward(&self, spans: &mut [Span<'_>]) -> Result<Vec<Vec<f32>>> {
        // Inside candle's own pool its operations call each other directly; from outside each of the hundreds
        // in a step would be handed over to the pool and waited for.
        with_threadpool(|| self.step(spans))
    }

    fn step(&self, spans: &mut [Span<'_>]) -> Result<Vec<Vec<f32>>> {
        let mut ids = Vec::new();
        let mut positions = Vec::new();
        for span in spans.iter() {
            let end = span.cache.len() + span.tokens.len();
            if end > self.context() || span.tokens.is_empty() {
                bail!("a step of {} tokens to position {end} of {}", span.tokens.len(), self.context())
            }
            ids.extend_from_slice(span.tokens);
            positions.extend((span.cache.len()..end).map(|position| position as u32));
        }
        let turn = self.rope.at(positions)?;
        let mut rows = self.token_embd.embedding(&Tensor::new(ids, &Device::Cpu)?)?;
        for (i, block) in self.blocks.iter().enumerate() {
            rows = (&rows + self.attend(i, block, &rows, &turn, spans)?)?;
            rows = (&rows + self.feed_forward(block, &rows)?)?;
        }
        for span in spans.iter_mut() {
            span.cache.advance(span.tokens.len());
        }
        self.logits(&rows, spans)
    }

    fn attend(
        &self,
        i: usize,
        block: &Block,
        rows: &Tensor,
        turn: &rope::Turn,
        spans: &mut [Span<'_>],
    ) -> Result<Tensor> {
        let Config { head_count, head_count_kv, rms_epsilon, .. } = self.config;
        let head = self.config.head_length();
        let rows = rms_norm(rows, &block.attn_norm, rms_epsilon)?;
        let queries = turn.apply(&block.attn_q.forward(&rows)?, head_count)?;
        let keys = turn.apply(&block.attn_k.forward(&rows)?, head_count_kv)?;
        let values = block.attn_v.forward(&rows)?.reshape(((), head_count_kv, head))?;

        let mut row = 0;
        let mut parts = Vec::with_capacity(spans.len());
        for span in spans.iter_mut() {
            let count = span.tokens.len();
            let part = |all: &Tensor| all.narrow(0, row, count);
            let (keys, values) = span.cache.append(i, &part(&keys)?, &part(&values)?)?;
            parts.push(attention::attend(&part(&queries)?, &keys, &values)?);
            row += count;
        }
        let mixed = Tensor::cat(&parts, 0)?;
        block.attn_output.forward(&mixed)
    }

    /// SwiGLU, <https://arxiv.org/abs/2002.05202>.
    fn feed_forward(&self, block: &Block, rows: &Tensor) -> Result<Tensor> {
        let rows = rms_norm(rows, &block.ffn_norm, self.config.rms_epsilon)?;
        let gated = (silu(&block.ffn_gate.forward(&rows)?)? * block.ffn_up.forward(&rows)?)?;
        block.ffn_down.forward(&gated)
    }

    fn logits(&self, rows: &Tensor, spans: &[Span<'_>]) -> Result<Vec<Vec<f32>>> {
        let mut end = 0;
        let mut last = Vec::new();
        for span in spans {
            end += span.tokens.len();
            if span.logits {
                last.push(end as u32 - 1);
            }
        }
        if last.is_empty() {
            return Ok(Vec::new());
        }
        let rows = rows.index_select(&Tensor::new(last, &Device::Cpu)?, 0)?;
        let rows = rms_norm(&rows, &self.output_norm, self.config.rms_epsilon)?;
        self.output.forward(&rows)?.to_vec2()
    }
}

#[cfg(test)]
mod tests;
