//! A linear layer without bias on quantised weights.

use candle_core::{Device, Error, Result, Tensor, quantized::QTensor};

use crate::nn::int8::{Kernel, Linear8, Quantizer, Rows};

/// Rows of weights that are unpacked at a time.
const SOME: usize = 1024;

/// Inputs that share a scale, at most: a decoder's states have a few entries that are far larger than the rest, which
/// one scale for all of a row would round away (mean difference of the best 64 logits to float32 0.48, with groups 0.38).
const GROUP: usize = 256;

/// `y = W x` for the rows of a matrix of `f32`. The weights are the file's, rounded once more to a scale for each output
/// and group of inputs: next to candle's products on the file's own blocks a prompt is read several times as fast, and
/// the weights lie in memory once.
pub(super) struct Linear {
    groups: Vec<Linear8>,
}

impl Linear {
    /// A layer with `weight` of shape `(outputs, inputs)`.
    pub(super) fn new(weight: &QTensor) -> Result<Self> {
        let (outputs, inputs) = weight.shape().dims2()?;
        let kernel = Kernel::new();
        let width = inputs.div_ceil(inputs.div_ceil(GROUP));
        let mut groups: Vec<_> = (0..inputs)
            .step_by(width)
            .map(|start| (start, Quantizer::new(&kernel, width.min(inputs - start))))
            .collect();
        for start in (0..outputs).step_by(SOME) {
            let end = outputs.min(start + SOME);
            let rows = weight.embedding(&Tensor::arange(start as u32, end as u32, &Device::Cpu)?)?;
            for (start, group) in &mut groups {
                group.push(&columns(&rows, *start, group.inputs())?);
            }
        }
        Ok(Self { groups: groups.into_iter().map(|(_, group)| group.finish(vec![0.0; outputs])).collect() })
    }

    /// Applies the layer to rows of shape `(rows, inputs)`.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let count = rows.dim(0)?;
        let kernel = Kernel::new();
        let outputs = self.groups[0].outputs();
        let mut quantized = Rows::default();
        let (mut sum, mut part) = (vec![0.0; count * outputs], vec![0.0; count * outputs]);
        let mut start = 0;
        for group in &self.groups {
            quantized.quantize(&columns(rows, start, group.inputs())?, group.inputs());
            group.apply(&kernel, &mut quantized, &mut part).map_err(|error| Error::Msg(error.to_string()))?;
            sum.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
            start += group.inputs();
        }
        Tensor::from_vec(sum, (count, outputs), &Device::Cpu)
    }
}

/// Some columns of a matrix, row by row.
fn columns(rows: &Tensor, start: usize, count: usize) -> Result<Vec<f32>> {
    rows.narrow(1, start, count)?.flatten_all()?.to_vec1()
}
