//! The network for serving on CPUs: matrix products in int8, everything between them in float32.
//!
//! The tokens of all windows stand in one matrix, so nothing is padded and a weight is read once for all of them.
//! Several threads share the windows of a pass out among them; one window alone has its products split. Buffers are kept
//! from call to call.

use anyhow::{Result, anyhow};
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use rten_gemm::{BiasVector, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_simd::{SimdOp, SimdUnaryOp};
use rten_tensor::{Matrix, NdTensorView};
use rten_vecmath::{Gelu, Softmax};

use super::{
    Config, Window,
    deal::deal,
    files::{Table, Tensors},
    passes::Norm,
};
use crate::nn::int8::{Kernel, Linear8, Quantizer, Rows};

type Float = GemmExecutor<f32, f32, f32>;

/// The kernels for this processor. They can't be sent to another thread and cost nothing to choose, so each call does.
struct Kernels {
    int8: Kernel,
    float: Float,
}

impl Kernels {
    fn choose() -> Self {
        Self { int8: Kernel::new(), float: Float::new() }
    }
}

struct Layer {
    qkv: Linear8,
    out: Linear8,
    norm1: Norm,
    up: Linear8,
    down: Linear8,
    norm2: Norm,
}

/// A small float32 layer.
struct Linear {
    weight: PackedBMatrix<f32>,
    bias: Vec<f32>,
}

/// What a pass writes into, as large as the largest batch so far.
#[derive(Default)]
struct Buffers {
    x: Vec<f32>,
    wide: Vec<f32>,
    seen: Vec<f32>,
    scores: Vec<f32>,
    head: Vec<f32>,
    rows: Rows,
}

/// A hand that reads some windows of a pass.
struct Hand {
    /// One thread: in here the kernels don't split their products.
    pool: ThreadPool,
    buffers: Buffers,
}

impl Hand {
    fn new() -> Result<Self> {
        let pool =
            ThreadPoolBuilder::new().num_threads(1).thread_name(|_| "demur-guard".to_owned()).build()?;
        Ok(Self { pool, buffers: Buffers::default() })
    }
}

pub(super) struct Network {
    weights: Weights,
    hands: Vec<Hand>,
}

impl Network {
    pub(super) fn new(config: &Config, tensors: &Tensors, threads: usize) -> Result<Self> {
        let hands = (0..threads).map(|_| Hand::new()).collect::<Result<_>>()?;
        Ok(Self { weights: Weights::new(config, tensors)?, hands })
    }

    /// Splits the work over as many threads as the pool has that this is called in.
    pub(super) fn logits(&mut self, windows: &[Window]) -> Result<Vec<Vec<f32>>> {
        let Self { weights, hands } = self;
        let lengths: Vec<usize> = windows.iter().map(|window| window.ids.len()).collect();
        let Some(dealt) = deal(&lengths, hands.len()) else {
            let all: Vec<&Window> = windows.iter().collect();
            return hands.first_mut().map_or(Ok(Vec::new()), |hand| weights.logits(&all, &mut hand.buffers));
        };
        let parts = dealt.par_iter().zip(hands).map(|(mine, hand)| {
            let mine: Vec<&Window> = mine.iter().map(|window| &windows[*window]).collect();
            hand.pool.install(|| weights.logits(&mine, &mut hand.buffers))
        });
        let parts: Vec<Vec<Vec<f32>>> = parts.collect::<Result<_>>()?;
        let mut rows = vec![Vec::new(); windows.len()];
        for (window, row) in dealt.into_iter().flatten().zip(parts.into_iter().flatten()) {
            rows[window] = row;
        }
        Ok(rows)
    }
}

struct Weights {
    hidden: usize,
    heads: usize,
    context: u8,
    words: Table,
    positions: Vec<f32>,
    types: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    pooler: Linear,
    classifier: Linear,
}

impl Weights {
    fn new(config: &Config, tensors: &Tensors) -> Result<Self> {
        let (h, f) = (config.hidden_size, config.intermediate_size);
        let Kernels { int8, float } = Kernels::choose();
        let norm = |name: &str| -> Result<Norm> {
            Ok(Norm {
                weight: tensors.floats(&format!("{name}.weight"), &[h])?,
                bias: tensors.floats(&format!("{name}.bias"), &[h])?,
                eps: config.layer_norm_eps as f32,
            })
        };
        let linear8 = |name: &str, out: usize, into: usize| -> Result<Linear8> {
            let weight = tensors.floats(&format!("{name}.weight"), &[out, into])?;
            let mut quantizer = Quantizer::new(&int8, into);
            quantizer.push(&weight);
            Ok(quantizer.finish(tensors.floats(&format!("{name}.bias"), &[out])?))
        };
        let linear = |name: &str, out: usize, into: usize| -> Result<Linear> {
            let weight = tensors.floats(&format!("{name}.weight"), &[out, into])?;
            let view: Matrix<'_> = NdTensorView::from_data([out, into], &weight[..]);
            let bias = tensors.floats(&format!("{name}.bias"), &[out])?;
            Ok(Linear { weight: float.prepack_b(view.transposed()), bias })
        };
        // Query, key and value are one product; the scaling of attention scores goes into the query.
        let qkv = |at: &str| -> Result<Linear8> {
            let (mut quantizer, mut biases) = (Quantizer::new(&int8, h), Vec::new());
            let factor = 1.0 / ((h / config.num_attention_heads) as f32).sqrt();
            for (name, factor) in [("query", factor), ("key", 1.0), ("value", 1.0)] {
                let scaled = |mut values: Vec<f32>| {
                    values.iter_mut().for_each(|value| *value *= factor);
                    values
                };
                let name = format!("{at}.attention.self.{name}");
                quantizer.push(&scaled(tensors.floats(&format!("{name}.weight"), &[h, h])?));
                biases.extend(scaled(tensors.floats(&format!("{name}.bias"), &[h])?));
            }
            Ok(quantizer.finish(biases))
        };
        let layer = |n: usize| -> Result<Layer> {
            let at = format!("encoder.layer.{n}");
            Ok(Layer {
                qkv: qkv(&at)?,
                out: linear8(&format!("{at}.attention.output.dense"), h, h)?,
                norm1: norm(&format!("{at}.attention.output.LayerNorm"))?,
                up: linear8(&format!("{at}.intermediate.dense"), f, h)?,
                down: linear8(&format!("{at}.output.dense"), h, f)?,
                norm2: norm(&format!("{at}.output.LayerNorm"))?,
            })
        };
        Ok(Self {
            hidden: h,
            heads: config.num_attention_heads,
            context: config.context_type(),
            words: tensors.words(&[config.vocab_size, h])?,
            positions: tensors
                .floats("embeddings.position_embeddings.weight", &[config.max_position_embeddings, h])?,
            types: tensors.floats("embeddings.token_type_embeddings.weight", &[config.types.len(), h])?,
            norm: norm("embeddings.LayerNorm")?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            pooler: linear("pooler.dense", h, 2 * h)?,
            classifier: linear("classifier", config.heads.len(), h)?,
        })
    }

    fn logits(&self, windows: &[&Window], b: &mut Buffers) -> Result<Vec<Vec<f32>>> {
        let (h, kernels) = (self.hidden, &Kernels::choose());
        let tokens = windows.iter().map(|window| window.ids.len()).sum();
        b.resize(tokens, self);
        self.embed(windows, &mut b.x[..tokens * h]);
        for layer in &self.layers {
            product(kernels, &layer.qkv, tokens, Source::State, b)?;
            self.attend(kernels, windows, b)?;
            product(kernels, &layer.out, tokens, Source::Seen, b)?;
            layer.norm1.apply_sum(&mut b.x[..tokens * h], &b.wide[..tokens * h]);
            product(kernels, &layer.up, tokens, Source::State, b)?;
            Gelu {}.map_mut(&mut b.wide[..tokens * layer.up.outputs()]);
            product(kernels, &layer.down, tokens, Source::Wide, b)?;
            layer.norm2.apply_sum(&mut b.x[..tokens * h], &b.wide[..tokens * h]);
        }
        self.judge(kernels, windows, &b.x[..tokens * h])
    }

    fn embed(&self, windows: &[&Window], x: &mut [f32]) {
        let h = self.hidden;
        let places = windows.iter().flat_map(|w| w.ids.iter().zip(&w.types).enumerate());
        for ((place, (id, kind)), row) in places.zip(x.chunks_exact_mut(h)) {
            let kind = usize::from(*kind) * h;
            let sums = self.positions[place * h..][..h].iter().zip(&self.types[kind..][..h]);
            row.iter_mut().zip(sums).for_each(|(x, (place, kind))| *x = place + kind);
            self.words.add_row(*id as usize, row);
        }
        self.norm.apply(x);
    }

    /// Attention of every head within each window; queries, keys and values lie side by side in `wide`.
    fn attend(&self, kernels: &Kernels, windows: &[&Window], b: &mut Buffers) -> Result<()> {
        let (h, d) = (self.hidden, self.hidden / self.heads);
        let mut start = 0;
        for window in windows {
            let t = window.ids.len();
            let qkv = &b.wide[start * 3 * h..][..t * 3 * h];
            for head in 0..self.heads {
                let part = |n: usize| {
                    let from = &qkv[n * h + head * d..];
                    Matrix::from_data_with_strides([t, d], from, [3 * h, 1])
                };
                let (Ok(query), Ok(key), Ok(value)) = (part(0), part(1), part(2)) else {
                    return Err(anyhow!("attention over {t} tokens does not fit its buffer"));
                };
                let scores = &mut b.scores[..t * t];
                multiply(kernels, scores, query, key.transposed())?;
                for row in scores.chunks_exact_mut(t) {
                    Softmax::new_mut(row).dispatch();
                }
                let scores: Matrix<'_> = NdTensorView::from_data([t, t], &*scores);
                multiply(kernels, &mut b.head[..t * d], scores, value)?;
                let rows = b.seen[start * h..][..t * h].chunks_exact_mut(h);
                for (row, seen) in rows.zip(b.head.chunks_exact(d)) {
                    row[head * d..][..d].copy_from_slice(seen);
                }
            }
            start += t;
        }
        Ok(())
    }

    /// The mean and the maximum over the judged tokens, and the layers on top.
    fn judge(&self, kernels: &Kernels, windows: &[&Window], x: &[f32]) -> Result<Vec<Vec<f32>>> {
        let h = self.hidden;
        let mut rows = x.chunks_exact(h);
        let mut pooled = Vec::with_capacity(windows.len() * 2 * h);
        for window in windows {
            let (mut mean, mut most) = (vec![0.0; h], vec![f32::NEG_INFINITY; h]);
            let mut judged = 0.0;
            for (kind, row) in window.types.iter().zip(rows.by_ref()) {
                if *kind == self.context {
                    continue;
                }
                judged += 1.0;
                mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
                // `max` would pass over a NaN.
                most.iter_mut().zip(row).for_each(|(most, x)| *most = if *x <= *most { *most } else { *x });
            }
            pooled.extend(mean.iter().map(|mean| mean / judged));
            pooled.extend(most);
        }
        let mut hidden = dense(kernels, &self.pooler, &pooled, windows.len())?;
        Gelu {}.map_mut(&mut hidden);
        let logits = dense(kernels, &self.classifier, &hidden, windows.len())?;
        Ok(logits.chunks_exact(self.classifier.bias.len()).map(<[f32]>::to_vec).collect())
    }
}

/// Quantises the source, multiplies, and leaves the outputs in `wide`.
fn product(kernels: &Kernels, layer: &Linear8, tokens: usize, source: Source, b: &mut Buffers) -> Result<()> {
    let from = match source {
        Source::State => &b.x,
        Source::Seen => &b.seen,
        Source::Wide => &b.wide,
    };
    b.rows.quantize(&from[..tokens * layer.inputs()], layer.inputs());
    layer.apply(&kernels.int8, &mut b.rows, &mut b.wide[..tokens * layer.outputs()])
}

fn multiply(kernels: &Kernels, out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) -> Result<()> {
    let (a, b) = (GemmInputA::Unpacked(a), GemmInputB::Unpacked(b));
    kernels.float.gemm(out, a, b, GemmOptions::default()).map_err(|error| anyhow!("float product: {error}"))
}

fn dense(kernels: &Kernels, layer: &Linear, x: &[f32], rows: usize) -> Result<Vec<f32>> {
    let mut out = vec![0.0; rows * layer.bias.len()];
    let x: Matrix<'_> = NdTensorView::from_data([rows, layer.weight.rows()], x);
    let options = GemmOptions { bias: Some(BiasVector::Row(&layer.bias)), ..Default::default() };
    kernels
        .float
        .gemm(&mut out, GemmInputA::Unpacked(x), GemmInputB::Packed(&layer.weight), options)
        .map_err(|error| anyhow!("float product: {error}"))?;
    Ok(out)
}

/// What a product reads.
#[derive(Clone, Copy)]
enum Source {
    State,
    Seen,
    Wide,
}

impl Buffers {
    /// Makes room for that many tokens.
    fn resize(&mut self, tokens: usize, network: &Weights) {
        let h = network.hidden;
        let widest = network.layers.iter().map(|layer| layer.up.outputs()).max().unwrap_or(0).max(3 * h);
        let longest = network.positions.len() / h;
        for (buffer, size) in [
            (&mut self.x, tokens * h),
            (&mut self.wide, tokens * widest),
            (&mut self.seen, tokens * h),
            (&mut self.scores, longest * longest),
            (&mut self.head, longest * h / network.heads),
        ] {
            buffer.resize(size.max(buffer.len()), 0.0);
        }
    }
}
