//! The guard's encoder: BERT's layers (Devlin et al., 2018), the mean and the maximum over the judged tokens, one dense
//! layer, and one logit a head.
//!
//! Two engines give the same numbers: [`reference`] is plain candle in float32, [`fast`] multiplies in int8 on the kernels
//! of `rten-gemm`, which pick AVX-512 VNNI, AVX2, NEON or portable code when the program starts.

mod deal;
mod fast;
mod files;
mod passes;
mod reference;
pub mod tokens;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Deserialize;

pub use self::files::{Digest, WEIGHTS};
use self::{files::Tensors, tokens::Tokens};

/// A checkpoint's `config.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Rows of the word embedding table.
    pub vocab_size: usize,
    /// Width of a token's state.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads; each is `hidden_size / num_attention_heads` wide.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Rows of the position table: the longest window.
    pub max_position_embeddings: usize,
    /// Added to the variance in layer norms.
    pub layer_norm_eps: f64,
    /// What a token's type says; the last one is the context, which is read and not judged.
    pub types: Vec<String>,
    /// The names of the outputs.
    pub heads: Vec<String>,
    /// Token that begins a window.
    pub cls: u32,
    /// Token that ends a part.
    pub sep: u32,
    /// The model's name, for logs and disclosure.
    #[serde(default = "unnamed")]
    pub name: String,
    /// Tokens of a window, with its special ones.
    #[serde(default = "default_window")]
    pub window: usize,
    /// Tokens that two neighbouring windows share.
    #[serde(default = "default_stride")]
    pub stride: usize,
}

fn unnamed() -> String {
    "unnamed".to_owned()
}

fn default_window() -> usize {
    256
}

fn default_stride() -> usize {
    64
}

impl Config {
    /// The type of tokens that are read and not judged.
    pub fn context_type(&self) -> u8 {
        (self.types.len() - 1) as u8
    }

    fn check(&self) -> Result<()> {
        ensure!(
            self.types.len() > 1,
            "`types` names {} kinds of text, two at least are needed",
            self.types.len()
        );
        ensure!(!self.heads.is_empty(), "`heads` is empty");
        ensure!(
            self.num_attention_heads > 0 && self.hidden_size.is_multiple_of(self.num_attention_heads),
            "`hidden_size` {} is no multiple of `num_attention_heads` {}",
            self.hidden_size,
            self.num_attention_heads
        );
        ensure!(
            self.window <= self.max_position_embeddings && self.window >= 16 && self.stride * 2 < self.window,
            "`window` {} must lie from 16 to `max_position_embeddings` {}, and `stride` {} below half of it",
            self.window,
            self.max_position_embeddings,
            self.stride
        );
        Ok(())
    }
}

/// What the network reads at once: token ids, and the type of each (see [`Config::types`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Token ids, the special ones included.
    pub ids: Vec<u32>,
    /// As many types.
    pub types: Vec<u8>,
}

/// How the network is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Int8 on the CPU, for serving.
    #[default]
    Fast,
    /// Float32 by candle: what the fast engine is compared with.
    Reference,
}

enum Network {
    Fast(Box<fast::Network>),
    Reference(Box<reference::Network>),
}

/// A network and its tokenizer.
pub struct Encoder {
    config: Config,
    tokens: Tokens,
    network: Network,
    digest: Digest,
    /// What a pass is spread over; candle and the kernels split products over the pool they are called in.
    pool: ThreadPool,
}

impl Encoder {
    /// Loads a checkpoint's folder: `config.json`, `tokenizer.json`, `model.safetensors`, and `SHA256SUMS`, which all
    /// of them must agree with. A pass is spread over `threads` threads.
    ///
    /// # Errors
    /// A file is missing, is not the one that was shipped, or is of another form.
    pub fn load(folder: &Path, engine: Engine, threads: usize) -> Result<Self> {
        let threads = threads.max(1);
        let digest = files::verify(folder)?;
        let path = folder.join("config.json");
        let text = std::fs::read(&path).with_context(|| format!("can't read `{}`", path.display()))?;
        let config: Config =
            serde_json::from_slice(&text).with_context(|| format!("`{}`", path.display()))?;
        config.check().with_context(|| format!("`{}`", path.display()))?;
        let tokens = Tokens::load(&folder.join("tokenizer.json"), &config)?;
        let tensors = Tensors::load(&folder.join(WEIGHTS))?;
        let network = match engine {
            Engine::Fast => Network::Fast(Box::new(fast::Network::new(&config, &tensors, threads)?)),
            Engine::Reference => Network::Reference(Box::new(reference::Network::new(&config, &tensors)?)),
        };
        let pool = ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.thread_name(|n| format!("demur-guard-{n}")).build()?;
        Ok(Self { config, tokens, network, digest, pool })
    }

    /// Sizes and names.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tokenizer.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The hash of the weights.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The probability of each head for each window. All windows are computed at once; none is padded.
    ///
    /// # Errors
    /// A window is longer than the position table or holds an unknown token, or a number came out that is none.
    pub fn probabilities(&mut self, windows: &[Window]) -> Result<Vec<Vec<f32>>> {
        for window in windows {
            ensure!(
                !window.ids.is_empty() && window.ids.len() == window.types.len(),
                "a window has {} tokens and {} types",
                window.ids.len(),
                window.types.len()
            );
            ensure!(
                window.ids.len() <= self.config.max_position_embeddings,
                "a window of {} tokens is longer than the network's {}",
                window.ids.len(),
                self.config.max_position_embeddings
            );
            let known = |id: &u32| (*id as usize) < self.config.vocab_size;
            ensure!(window.ids.iter().all(known), "a token is not in the vocabulary");
            let typed = |kind: &u8| (*kind as usize) < self.config.types.len();
            ensure!(window.types.iter().all(typed), "a token is of an unknown type");
            let judged = window.types.iter().any(|kind| *kind != self.config.context_type());
            ensure!(judged, "a window has nothing to judge");
        }
        if windows.is_empty() {
            return Ok(Vec::new());
        }
        let network = &mut self.network;
        let logits = self.pool.install(|| match network {
            Network::Fast(network) => network.logits(windows),
            Network::Reference(network) => network.logits(windows),
        })?;
        let finite = logits.iter().flatten().all(|logit| logit.is_finite());
        ensure!(finite, "the guard model gave a number that is none (NaN or infinite)");
        let sigmoid = |logit: f32| 1.0 / (1.0 + (-logit).exp());
        Ok(logits.into_iter().map(|row| row.into_iter().map(sigmoid).collect()).collect())
    }
}
