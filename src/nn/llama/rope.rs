//! Rotary position embedding: <https://arxiv.org/abs/2104.09864>.

use candle_core::{Device, Result, Tensor};
use candle_nn::rotary_emb::rope_i;

use super::Config;

/// The rotation of every position.
pub(super) struct Rope {
    /// Cosines and sines, each of shape `(positions, head length / 2)`.
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// Tables for `context` positions.
    pub(super) fn new(config: &Config, context: usize) -> Result<Self> {
        let head = config.head_length();
        let frequencies: Vec<f32> =
            (0..head).step_by(2).map(|i| config.rope_freq_base.powf(-(i as f32) / head as f32)).collect();
        let angles: Vec<f32> =
            (0..context).flat_map(|position| frequencies.iter().map(move |f| position as f32 * f)).collect();
        let angles = Tensor::from_vec(angles, (context, head / 2), &Device::Cpu)?;
        Ok(Self { cos: angles.cos()?, sin: angles.sin()? })
    }

    /// How many positions there are.
    pub(super) fn context(&self) -> usize {
        self.cos.dims()[0]
    }

    /// The rotations for rows at these positions.
    pub(super) fn at(&self, positions: Vec<u32>) -> Result<Turn> {
        let positions = Tensor::new(positions, &Device::Cpu)?;
        let pick = |table: &Tensor| table.index_select(&positions, 0)?.unsqueeze(1);
        Ok(Turn { cos: pick(&self.cos)?, sin: pick(&self.sin)? })
    }
}

/// The rotations of one step's rows, each of shape `(rows, 1, head length / 2)`.
pub(super) struct Turn {
    cos: Tensor,
    sin: Tensor,
}

impl Turn {
    /// Rotates rows of `heads` heads and gives them as `(rows, heads, head length)`. The two halves of a pair
    /// lie side by side, as in GGUF's `llama` (its converter permutes the weights for that).
    pub(super) fn apply(&self, rows: &Tensor, heads: usize) -> Result<Tensor> {
        let (count, width) = rows.dims2()?;
        let rows = rows.reshape((count, heads, 1, width / heads))?;
        rope_i(&rows, &self.cos, &self.sin)?.squeeze(2)
    }
}
