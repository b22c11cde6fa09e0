//! A checkpoint's files: verified by hash, read as float32 tensors.

use std::{collections::HashMap, path::Path};

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::{DType, Device, Tensor};

use crate::nn::models;

/// The file of the weights.
pub const WEIGHTS: &str = "model.safetensors";
/// The list of hashes, in the form of coreutils' `sha256sum`.
const SUMS: &str = "SHA256SUMS";

/// The SHA-256 of the weights, in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve, as in the names of policies.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// Compares every file that `SHA256SUMS` lists with its hash.
pub(super) fn verify(folder: &Path) -> Result<Digest> {
    let path = folder.join(SUMS);
    let sums = std::fs::read_to_string(&path).with_context(|| format!("can't read `{}`", path.display()))?;
    let mut weights = None;
    for (n, line) in sums.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (expected, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let name = name.trim_start().trim_start_matches('*');
        ensure!(
            expected.len() == 64 && !name.is_empty(),
            "{}:{}: expected 64 hex digits and a file name",
            path.display(),
            n + 1
        );
        let file = folder.join(name);
        let found = models::hash(&file).with_context(|| {
            format!("can't read `{}`; a file with the SHA-256 {expected} is expected there", file.display())
        })?;
        if found != expected {
            bail!(
                "`{}` is not the file that belongs there: its SHA-256 is {found}, expected is {expected}",
                file.display()
            );
        }
        if name == WEIGHTS {
            weights = Some(Digest(found));
        }
    }
    weights.ok_or_else(|| anyhow!("`{}` does not list `{WEIGHTS}`", path.display()))
}

/// The tensors of a file.
pub(super) struct Tensors(HashMap<String, Tensor>);

/// A table whose rows are bytes with a scale each, or plain float32.
pub(super) enum Table {
    /// `(byte - 128) * scale` of its row.
    Bytes(Vec<u8>, Vec<f32>),
    /// As they are.
    Floats(Vec<f32>),
}

impl Table {
    /// Adds a row of that width to `out`.
    pub(super) fn add_row(&self, row: usize, out: &mut [f32]) {
        let at = row * out.len()..(row + 1) * out.len();
        match self {
            Self::Bytes(bytes, scales) => {
                let scale = scales[row];
                for (out, byte) in out.iter_mut().zip(&bytes[at]) {
                    *out += (f32::from(*byte) - 128.0) * scale;
                }
            }
            Self::Floats(values) => out.iter_mut().zip(&values[at]).for_each(|(out, value)| *out += value),
        }
    }
}

impl Tensors {
    pub(super) fn load(path: &Path) -> Result<Self> {
        let tensors = candle_core::safetensors::load(path, &Device::Cpu);
        Ok(Self(tensors.with_context(|| format!("`{}` is no safetensors file", path.display()))?))
    }

    fn raw(&self, name: &str, shape: &[usize]) -> Result<&Tensor> {
        let tensor = self.0.get(name).ok_or_else(|| anyhow!("the weights have no tensor `{name}`"))?;
        ensure!(
            tensor.dims() == shape,
            "the weights' `{name}` has the shape {:?}, expected is {shape:?}",
            tensor.dims()
        );
        Ok(tensor)
    }

    /// A tensor of that shape in float32. Bytes stand for `(byte - 128) * scale` of their row.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let raw = self.raw(name, shape)?;
        let mut tensor = raw.to_dtype(DType::F32)?;
        if raw.dtype() == DType::U8 {
            let scales = self.get(&scale_of(name), &shape[..1])?;
            tensor = tensor.affine(1.0, -128.0)?.broadcast_mul(&scales.unsqueeze(1)?)?;
        }
        // The sum of finite numbers as large as weights are is finite.
        let sum = tensor.abs()?.sum_all()?.to_scalar::<f32>()?;
        ensure!(sum.is_finite(), "the weights' `{name}` holds a number that is none (NaN or infinite)");
        Ok(tensor)
    }

    /// Its numbers, row by row.
    pub(super) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        Ok(self.get(name, shape)?.flatten_all()?.to_vec1()?)
    }

    /// The word embeddings: float rows, or bytes with a scale for each row beside them.
    pub(super) fn words(&self, shape: &[usize]) -> Result<Table> {
        const NAME: &str = "embeddings.word_embeddings.weight";
        let words = self.raw(NAME, shape)?;
        if words.dtype() != DType::U8 {
            return Ok(Table::Floats(self.floats(NAME, shape)?));
        }
        let scales = self.floats(&scale_of(NAME), &shape[..1])?;
        Ok(Table::Bytes(words.flatten_all()?.to_vec1()?, scales))
    }
}

/// The tensor of the scales of a tensor of bytes.
fn scale_of(name: &str) -> String {
    format!("{}.scale", name.strip_suffix(".weight").unwrap_or(name))
}
