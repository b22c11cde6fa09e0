//! The keys and values of one sequence.

use candle_core::{Result, Tensor, bail};
use candle_nn::kv_cache::Cache;

/// Memory is taken for this many positions at a time.
const GROWTH: usize = 256;

/// What a sequence has been through.
pub struct KvCache {
    layers: Vec<Layer>,
    len: usize,
}

/// One layer's rotated keys `(key heads, head length, positions)` and values `(positions, key heads, head
/// length)`: each lies as the product that reads it wants its right side, row by row.
struct Layer {
    keys: Cache,
    values: Cache,
}

/// The dimension of the positions.
const KEYS: usize = 2;
const VALUES: usize = 0;

impl Layer {
    fn new() -> Self {
        Self { keys: Cache::new(KEYS, GROWTH), values: Cache::new(VALUES, GROWTH) }
    }
}

impl KvCache {
    /// An empty cache for `layers` layers.
    pub(super) fn new(layers: usize) -> Self {
        Self { layers: (0..layers).map(|_| Layer::new()).collect(), len: 0 }
    }

    /// Positions held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the sequence has not begun.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A copy of the first `len` positions (or all, if there are fewer). A position depends on nothing after
    /// it, so this is the cache of that shorter sequence.
    ///
    /// # Errors
    /// Copying fails.
    pub fn prefix(&self, len: usize) -> Result<Self> {
        let mut copy = Self::new(self.layers.len());
        copy.len = len.min(self.len);
        for (from, to) in self.layers.iter().zip(&mut copy.layers) {
            if let (Some(keys), Some(values)) = (from.keys.current_data()?, from.values.current_data()?) {
                to.keys.append(&keys.narrow(KEYS, 0, copy.len)?.contiguous()?)?;
                to.values.append(&values.narrow(VALUES, 0, copy.len)?)?;
            }
        }
        Ok(copy)
    }

    /// Appends the keys and values of new rows, both `(rows, key heads, head length)`, to one layer, and gives
    /// all that it holds then.
    pub(super) fn append(
        &mut self,
        layer: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let layer = &mut self.layers[layer];
        layer.keys.append(&keys.permute((1, 2, 0))?.contiguous()?)?;
        layer.values.append(values)?;
        match (layer.keys.current_data()?, layer.values.current_data()?) {
            (Some(keys), Some(values)) => Ok((keys, values)),
            _ => bail!("a cache is empty after it was appended to"),
        }
    }

    /// Counts `positions` more, once every layer has its keys and values.
    pub(super) fn advance(&mut self, positions: usize) {
        self.len += positions;
    }
}
