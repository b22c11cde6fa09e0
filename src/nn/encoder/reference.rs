//! The network in plain candle, float32: what the fast engine is compared with, and what runs on other devices.

use anyhow::Result;
use candle_core::{DType, Device, IndexOp, Module, Tensor};
use candle_nn::{LayerNorm, Linear, ops::softmax_last_dim};

use super::{
    Config, Window,
    files::{Table, Tensors},
};

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm1: LayerNorm,
    up: Linear,
    down: Linear,
    norm2: LayerNorm,
}

pub(super) struct Network {
    words: Table,
    positions: Tensor,
    types: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    pooler: Linear,
    classifier: Linear,
    heads: usize,
    context: u8,
}

impl Network {
    pub(super) fn new(config: &Config, tensors: &Tensors) -> Result<Self> {
        let (h, f) = (config.hidden_size, config.intermediate_size);
        let linear = |name: &str, out: usize, into: usize| -> Result<Linear> {
            let weight = tensors.get(&format!("{name}.weight"), &[out, into])?;
            Ok(Linear::new(weight, Some(tensors.get(&format!("{name}.bias"), &[out])?)))
        };
        let norm = |name: &str| -> Result<LayerNorm> {
            let weight = tensors.get(&format!("{name}.weight"), &[h])?;
            let bias = tensors.get(&format!("{name}.bias"), &[h])?;
            Ok(LayerNorm::new(weight, bias, config.layer_norm_eps))
        };
        let layer = |n: usize| -> Result<Layer> {
            let at = format!("encoder.layer.{n}");
            Ok(Layer {
                query: linear(&format!("{at}.attention.self.query"), h, h)?,
                key: linear(&format!("{at}.attention.self.key"), h, h)?,
                value: linear(&format!("{at}.attention.self.value"), h, h)?,
                out: linear(&format!("{at}.attention.output.dense"), h, h)?,
                norm1: norm(&format!("{at}.attention.output.LayerNorm"))?,
                up: linear(&format!("{at}.intermediate.dense"), f, h)?,
                down: linear(&format!("{at}.output.dense"), h, f)?,
                norm2: norm(&format!("{at}.output.LayerNorm"))?,
            })
        };
        Ok(Self {
            words: tensors.words(&[config.vocab_size, h])?,
            positions: tensors
                .get("embeddings.position_embeddings.weight", &[config.max_position_embeddings, h])?,
            types: tensors.get("embeddings.token_type_embeddings.weight", &[config.types.len(), h])?,
            norm: norm("embeddings.LayerNorm")?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            pooler: linear("pooler.dense", h, 2 * h)?,
            classifier: linear("classifier", config.heads.len(), h)?,
            heads: config.num_attention_heads,
            context: config.context_type(),
        })
    }

    pub(super) fn logits(&self, windows: &[Window]) -> Result<Vec<Vec<f32>>> {
        windows.iter().map(|window| self.one(window)).collect()
    }

    fn one(&self, window: &Window) -> Result<Vec<f32>> {
        let (t, h) = (window.ids.len(), self.positions.dim(1)?);
        let mut words = vec![0.0; t * h];
        for (id, row) in window.ids.iter().zip(words.chunks_exact_mut(h)) {
            self.words.add_row(*id as usize, row);
        }
        let kinds: Vec<u32> = window.types.iter().map(|kind| u32::from(*kind)).collect();
        let kinds = self.types.index_select(&Tensor::new(kinds, &Device::Cpu)?, 0)?;
        let x = (Tensor::from_vec(words, (t, h), &Device::Cpu)? + self.positions.i(..t)? + kinds)?;
        let mut x = self.norm.forward(&x)?;
        for layer in &self.layers {
            x = layer.forward(&x, self.heads)?;
        }
        let judged = (0..t as u32).filter(|i| window.types[*i as usize] != self.context);
        let x = x.index_select(&Tensor::new(judged.collect::<Vec<_>>(), &Device::Cpu)?, 0)?;
        let pooled = Tensor::cat(&[x.mean(0)?, x.max(0)?], 0)?.unsqueeze(0)?;
        let logits = self.classifier.forward(&self.pooler.forward(&pooled)?.gelu_erf()?)?;
        Ok(logits.to_dtype(DType::F32)?.squeeze(0)?.to_vec1()?)
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, heads: usize) -> Result<Tensor> {
        let (t, h) = x.dims2()?;
        let split = |y: Tensor| y.reshape((t, heads, h / heads))?.transpose(0, 1)?.contiguous();
        let query = split(self.query.forward(x)?)?;
        let key = split(self.key.forward(x)?)?;
        let value = split(self.value.forward(x)?)?;
        let scores = (query.matmul(&key.t()?)? / ((h / heads) as f64).sqrt())?;
        let seen = softmax_last_dim(&scores)?.matmul(&value)?.transpose(0, 1)?.reshape((t, h))?;
        let x = self.norm1.forward(&(x + self.out.forward(&seen)?)?)?;
        let y = self.down.forward(&self.up.forward(&x)?.gelu_erf()?)?;
        Ok(self.norm2.forward(&(x + y)?)?)
    }
}
