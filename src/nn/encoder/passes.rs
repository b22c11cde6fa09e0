//! The passes between matrix products: quantising rows, leaving int32 again, layer norm. Plain loops over slices of equal
//! length, which the compiler turns into vector code.

/// The byte that stands for zero in a quantised row.
pub(super) const ZERO: u8 = 128;

/// Quantises rows of `width` floats to bytes: `(byte - 128) * scale` of its row, the scale taken from the row's largest
/// magnitude (dynamic, symmetric, a scale for each token).
pub(super) fn quantize(x: &[f32], width: usize, bytes: &mut [u8], scales: &mut [f32]) {
    let rows = x.chunks_exact(width).zip(bytes.chunks_exact_mut(width)).zip(scales);
    for ((x, bytes), scale) in rows {
        let most = largest(x);
        *scale = most / 127.0;
        let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
        // Adding 1.5 * 2^23 rounds to the nearest whole number, which then stands in the float's low bits.
        for (byte, x) in bytes.iter_mut().zip(x) {
            *byte = ((x * inverse + 12_582_912.0 + f32::from(ZERO)).to_bits() & 0xff) as u8;
        }
    }
}

/// The largest magnitude, in eight lanes so that it needs no order.
fn largest(x: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let chunks = x.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            let x = x.abs();
            // A NaN stays: no comparison with it is true.
            *lane = if x <= *lane { *lane } else { x };
        }
    }
    rest.iter().chain(&lanes).fold(0.0, |most: f32, x| if x.abs() <= most { most } else { x.abs() })
}

/// `sums * row scale * column scale + bias` in float32.
pub(super) fn dequantize(sums: &[i32], rows: &[f32], columns: &[f32], bias: &[f32], out: &mut [f32]) {
    let width = columns.len();
    for ((sums, row), out) in sums.chunks_exact(width).zip(rows).zip(out.chunks_exact_mut(width)) {
        for (((out, sum), column), bias) in out.iter_mut().zip(sums).zip(columns).zip(bias) {
            *out = *sum as f32 * (row * column) + bias;
        }
    }
}

/// A layer norm's weights.
pub(super) struct Norm {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) eps: f32,
}

impl Norm {
    /// Normalises every row in place (Ba et al., 2016).
    pub(super) fn apply(&self, x: &mut [f32]) {
        let width = self.weight.len();
        for row in x.chunks_exact_mut(width) {
            let mean = sum(row, |x| x) / width as f32;
            let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
            let inverse = 1.0 / (variance + self.eps).sqrt();
            for ((x, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
                *x = (*x - mean) * inverse * weight + bias;
            }
        }
    }

    /// `x = norm(x + y)`.
    pub(super) fn apply_sum(&self, x: &mut [f32], y: &[f32]) {
        x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
        self.apply(x);
    }
}

/// A sum in sixteen lanes: float addition has an order that a single sum would have to keep.
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let chunks = x.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|x| f(*x)).sum();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f(*x);
        }
    }
    rest + lanes.iter().sum::<f32>()
}
