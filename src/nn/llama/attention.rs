//! Causal attention with grouped queries (<https://arxiv.org/abs/2305.13245>): the query heads that share a key
//! head are rows of one product.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;

/// What new rows attend to. `queries` is `(rows, heads, head length)`; the keys `(key heads, head length,
/// positions)` and the values `(positions, key heads, head length)` end with those of the new rows. Gives
/// `(rows, heads * head length)`.
pub(super) fn attend(queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
    let (rows, heads, head) = queries.dims3()?;
    let (kv_heads, _, positions) = keys.dims3()?;
    let group = heads / kv_heads;
    let queries = (queries * (head as f64).sqrt().recip())?;
    let queries = queries.reshape((rows, kv_heads, group * head))?.transpose(0, 1)?;
    let queries = queries.reshape((kv_heads, rows * group, head))?;
    let mut scores = queries.matmul(keys)?;
    if rows > 1 {
        let mask = mask(rows, positions)?.reshape((1, rows, 1, positions))?;
        let apart = scores.reshape((kv_heads, rows, group, positions))?.broadcast_add(&mask)?;
        scores = apart.reshape((kv_heads, rows * group, positions))?;
    }
    let mixed = softmax_last_dim(&scores)?.matmul(&values.transpose(0, 1)?)?;
    mixed.reshape((kv_heads, rows, group * head))?.transpose(0, 1)?.flatten_from(D::Minus2)
}

/// Minus infinity where a row may not look: at what comes after it.
fn mask(rows: usize, positions: usize) -> Result<Tensor> {
    let before = positions - rows;
    let mask: Vec<f32> = (0..rows)
        .flat_map(|row| (0..positions).map(move |at| if at > before + row { f32::NEG_INFINITY } else { 0. }))
        .collect();
    Tensor::from_vec(mask, (rows, positions), &Device::Cpu)
}
