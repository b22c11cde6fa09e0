//! A linear layer without bias on quantised weights.

use candle_core::{
    D, Device, Module, Result, Tensor,
    quantized::{GgmlDType, QMatMul, QTensor},
};

/// candle's vector kernels for Q8_0 take rows in blocks of this many inputs.
const KERNEL_BLOCK: usize = 256;

/// `y = W x` for the rows of a matrix of `f32`.
pub(super) struct Linear {
    weight: QMatMul,
    /// Inputs, with their padding.
    inputs: usize,
}

impl Linear {
    /// A layer with `weight` of shape `(outputs, inputs)`.
    pub(super) fn new(weight: QTensor) -> Result<Self> {
        let (_, inputs) = weight.shape().dims2()?;
        let padded = if pays_to_pad(&weight) { inputs.next_multiple_of(KERNEL_BLOCK) } else { inputs };
        let weight = if padded == inputs { weight } else { pad(&weight, padded - inputs)? };
        Ok(Self { weight: QMatMul::from_qtensor(weight)?, inputs: padded })
    }

    /// Zeros at the right of every row, as many as this layer's weights have; several layers may share them.
    pub(super) fn pad(&self, rows: Tensor) -> Result<Tensor> {
        match self.inputs - rows.dim(D::Minus1)? {
            0 => Ok(rows),
            missing => rows.pad_with_zeros(D::Minus1, 0, missing),
        }
    }

    /// Applies the layer to padded rows.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        self.weight.forward(rows)
    }
}

/// Whether the processor has the 8-bit dot products that candle's padded kernels are written for. With them
/// SmolLM2-135M's rows of 576 padded to 768 prefill 3.4 times and decode 1.4 times as fast. The price: these
/// kernels share one scale among 256 activations instead of 32, and the mean difference of the best 64 logits to
/// float32 goes from 0.16 to 0.33.
fn pays_to_pad(weight: &QTensor) -> bool {
    #[cfg(target_arch = "x86_64")]
    let has_dot_products = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let has_dot_products = false;
    has_dot_products && weight.dtype() == GgmlDType::Q8_0
}

/// Zero columns at the right; they change no product.
fn pad(weight: &QTensor, columns: usize) -> Result<QTensor> {
    let wide = weight.dequantize(&Device::Cpu)?.pad_with_zeros(1, 0, columns)?;
    QTensor::quantize(&wide, weight.dtype())
}
