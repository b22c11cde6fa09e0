//! Linear layers whose products are in int8, for every network here: weights are quantised once, a scale for each
//! output; activations at every product, a scale for each token (dynamic quantisation as in Zafrir et al., Q8BERT, 2019,
//! finer grained).

use anyhow::{Result, anyhow};
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix, QuantParams};
use rten_tensor::{Matrix, NdTensorView};

/// The kernel for this processor. It can't be sent to another thread and costs nothing to choose.
pub(super) type Kernel = GemmExecutor<u8, i8, i32>;

/// The byte that stands for zero in a quantised row.
const ZERO: u8 = 128;

/// A quantised linear layer.
pub(super) struct Linear8 {
    weight: PackedBMatrix<i8>,
    scales: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear8 {
    /// Inputs of a row.
    pub(super) fn inputs(&self) -> usize {
        self.weight.rows()
    }

    /// Outputs of a row.
    pub(super) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// `W x + b` for the rows that were quantised last.
    ///
    /// # Errors
    /// The kernel refuses the shapes.
    pub(super) fn apply(&self, kernel: &Kernel, rows: &mut Rows, out: &mut [f32]) -> Result<()> {
        let count = rows.scales.len();
        rows.sums.resize(count * self.outputs(), 0);
        rows.zeros.resize(count, ZERO);
        let bytes: Matrix<'_, u8> = NdTensorView::from_data([count, self.inputs()], &rows.bytes[..]);
        let options =
            GemmOptions { a_quant: Some(QuantParams { zero_point: &rows.zeros }), ..Default::default() };
        kernel
            .gemm(&mut rows.sums, GemmInputA::Unpacked(bytes), GemmInputB::Packed(&self.weight), options)
            .map_err(|error| anyhow!("int8 product: {error}"))?;
        dequantize(&rows.sums, &rows.scales, &self.scales, &self.bias, out);
        Ok(())
    }
}

/// Makes a [`Linear8`] of weights that come some rows at a time, a row an output.
pub(super) struct Quantizer<'k> {
    kernel: &'k Kernel,
    inputs: usize,
    bytes: Vec<i8>,
    scales: Vec<f32>,
}

impl<'k> Quantizer<'k> {
    /// For rows of so many weights.
    pub(super) fn new(kernel: &'k Kernel, inputs: usize) -> Self {
        Self { kernel, inputs, bytes: Vec::new(), scales: Vec::new() }
    }

    /// Weights of a row.
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Takes the next rows.
    pub(super) fn push(&mut self, weight: &[f32]) {
        // Kernels without VNNI add pairs of products in 16 bits: seven bits of weight leave room for that.
        let most = if self.kernel.may_saturate() { 63.0 } else { 127.0 };
        for row in weight.chunks_exact(self.inputs) {
            let largest = largest(row);
            let scale = if largest > 0.0 { largest / most } else { 1.0 };
            self.bytes.extend(row.iter().map(|w| (w / scale).round() as i8));
            self.scales.push(scale);
        }
    }

    /// The layer, with a bias for each output.
    pub(super) fn finish(self, bias: Vec<f32>) -> Linear8 {
        let view: Matrix<'_, i8> = NdTensorView::from_data([self.scales.len(), self.inputs], &self.bytes[..]);
        Linear8 { weight: self.kernel.prepack_b(view.transposed()), scales: self.scales, bias }
    }
}

/// Quantised rows, and room for their products; kept from call to call.
#[derive(Default)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    scales: Vec<f32>,
    zeros: Vec<u8>,
    sums: Vec<i32>,
}

impl Rows {
    /// Quantises rows of `width` floats to bytes: `(byte - 128) * scale` of its row, the scale taken from the row's
    /// largest magnitude (symmetric).
    pub(super) fn quantize(&mut self, x: &[f32], width: usize) {
        self.bytes.resize(x.len(), 0);
        self.scales.resize(x.len() / width, 0.0);
        let rows = x.chunks_exact(width).zip(self.bytes.chunks_exact_mut(width)).zip(&mut self.scales);
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
}

/// The largest magnitude, in sixteen lanes so that it needs no order.
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
fn dequantize(sums: &[i32], rows: &[f32], columns: &[f32], bias: &[f32], out: &mut [f32]) {
    let width = columns.len();
    for ((sums, row), out) in sums.chunks_exact(width).zip(rows).zip(out.chunks_exact_mut(width)) {
        for (((out, sum), column), bias) in out.iter_mut().zip(sums).zip(columns).zip(bias) {
            *out = *sum as f32 * (row * column) + bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .take(n)
        .collect()
    }

    #[test]
    fn products_are_near_those_in_float32() {
        let (inputs, outputs, count) = (72, 35, 5);
        let (weight, bias, x) =
            (numbers(inputs * outputs, 1), numbers(outputs, 2), numbers(count * inputs, 3));
        let kernel = Kernel::new();
        let mut quantizer = Quantizer::new(&kernel, inputs);
        weight.chunks(10 * inputs).for_each(|some| quantizer.push(some));
        let layer = quantizer.finish(bias.clone());
        let mut rows = Rows::default();
        let mut out = vec![0.0; count * outputs];
        rows.quantize(&x, inputs);
        layer.apply(&kernel, &mut rows, &mut out).unwrap();
        for (i, y) in out.iter().enumerate() {
            let (x, w) = (&x[i / outputs * inputs..][..inputs], &weight[i % outputs * inputs..][..inputs]);
            let exact: f32 = x.iter().zip(w).map(|(x, w)| x * w).sum::<f32>() + bias[i % outputs];
            assert!((y - exact).abs() < 0.2, "output {i}: {y}, not {exact}");
        }
    }
}
