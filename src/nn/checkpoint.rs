//! Sequence-classification checkpoints in the form of Hugging Face's transformers, run by candle-transformers: BERT
//! (Devlin et al., 2018), DistilBERT (Sanh et al., 2019), ModernBERT (Warner et al., 2024), DeBERTa v2 and v3 (He et al.,
//! 2021). They judge a text by itself, in overlapping windows.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::{DType, Device, IndexOp, Module, Tensor};
use candle_nn::{
    Linear, VarBuilder, linear,
    ops::{sigmoid, softmax_last_dim},
};
use candle_transformers::models::{bert, debertav2, distilbert, modernbert};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    classify::Network,
    encoder::{
        WEIGHTS, Window,
        tokens::{Cut, Passage, Tokens},
    },
};

/// Tokens of a window at most, and tokens that neighbours share: the length these models are commonly trained on.
const WINDOW: usize = 512;
const STRIDE: usize = 64;

/// How logits become probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scores {
    /// One label holds.
    #[default]
    Softmax,
    /// Each label holds or not.
    Sigmoid,
}

/// What `config.json` says of itself, of every architecture.
#[derive(Deserialize)]
struct Common {
    model_type: String,
    id2label: BTreeMap<usize, String>,
    max_position_embeddings: usize,
}

enum Body {
    Bert { model: Box<bert::BertModel>, pooler: Linear, classifier: Linear },
    DistilBert { model: Box<distilbert::DistilBertModel>, before: Linear, classifier: Linear },
    ModernBert(Box<modernbert::ModernBertForSequenceClassification>),
    Deberta(Box<debertav2::DebertaV2SeqClassificationModel>),
}

/// A checkpoint, ready to judge.
pub struct Checkpoint {
    tokens: Tokens,
    body: Body,
    labels: Vec<String>,
    scores: Scores,
}

impl Checkpoint {
    /// Loads `config.json`, `tokenizer.json` and `model.safetensors` of a folder.
    ///
    /// # Errors
    /// A file is missing or of another form, or the architecture is none of those above.
    pub fn load(folder: &Path, scores: Scores) -> Result<Self> {
        let path = folder.join("config.json");
        let bytes = std::fs::read(&path).with_context(|| format!("can't read `{}`", path.display()))?;
        let config: Value =
            serde_json::from_slice(&bytes).with_context(|| format!("`{}`", path.display()))?;
        let common: Common = parse(&config).with_context(|| format!("`{}`", path.display()))?;
        let labels: Vec<String> = common.id2label.values().cloned().collect();
        ensure!(!labels.is_empty(), "`{}`: `id2label` is empty", path.display());
        let path = folder.join(WEIGHTS);
        let tensors = candle_core::safetensors::load(&path, &Device::Cpu)
            .with_context(|| format!("`{}` is no safetensors file", path.display()))?;
        let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let body = Body::load(&common.model_type, config, weights, labels.len())
            .with_context(|| format!("`{}`", path.display()))?;
        ensure!(
            scores == Scores::Softmax || !matches!(body, Body::ModernBert(_)),
            "`{}`: ModernBERT gives softmax only, `scores` asks for sigmoid",
            folder.display()
        );
        let window = WINDOW.min(common.max_position_embeddings);
        let tokens = Tokens::plain(&folder.join("tokenizer.json"), window, STRIDE.min(window / 4))?;
        Ok(Self { tokens, body, labels, scores })
    }

    /// Its labels, in the order of its scores.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    fn one(&self, window: &Window) -> Result<Vec<f32>> {
        let ids = Tensor::new(&*window.ids, &Device::Cpu)?.unsqueeze(0)?;
        let logits = self.body.logits(&ids)?;
        let probabilities = match (&self.body, self.scores) {
            (Body::ModernBert(_), _) => logits,
            (_, Scores::Softmax) => softmax_last_dim(&logits)?,
            (_, Scores::Sigmoid) => sigmoid(&logits)?,
        };
        let row: Vec<f32> = probabilities.squeeze(0)?.to_vec1()?;
        ensure!(row.iter().all(|p| p.is_finite()), "the network gave a number that is none");
        Ok(row)
    }
}

impl Body {
    fn load(kind: &str, mut config: Value, weights: VarBuilder, labels: usize) -> Result<Self> {
        let hidden = |name: &str| -> Result<usize> {
            let size = config[name].as_u64().ok_or_else(|| anyhow!("`config.json` has no `{name}`"))?;
            Ok(usize::try_from(size)?)
        };
        Ok(match kind {
            "bert" => {
                let h = hidden("hidden_size")?;
                let pooler = linear(h, h, weights.pp("bert.pooler.dense"))?;
                let classifier = linear(h, labels, weights.pp("classifier"))?;
                let model = bert::BertModel::load(weights.pp("bert"), &parse(&config)?)?;
                Self::Bert { model: Box::new(model), pooler, classifier }
            }
            "distilbert" => {
                let h = hidden("dim")?;
                let before = linear(h, h, weights.pp("pre_classifier"))?;
                let classifier = linear(h, labels, weights.pp("classifier"))?;
                let model = distilbert::DistilBertModel::load(weights.pp("distilbert"), &parse(&config)?)?;
                Self::DistilBert { model: Box::new(model), before, classifier }
            }
            "modernbert" => {
                // One name in transformers, another in older checkpoints.
                if config["layer_norm_eps"].is_null() {
                    config["layer_norm_eps"] = config["norm_eps"].clone();
                }
                // candle reads the numbers of labels as text, and without them no classifier.
                if let Some(labels) = config["label2id"].as_object_mut() {
                    labels
                        .values_mut()
                        .filter(|id| id.is_number())
                        .for_each(|id| *id = id.to_string().into());
                }
                let config = parse(&config)?;
                let model = modernbert::ModernBertForSequenceClassification::load(weights, &config)?;
                Self::ModernBert(Box::new(model))
            }
            "deberta-v2" => {
                // Defaults of transformers' DebertaV2Config, which it does not write out.
                for (name, value) in [("pooler_dropout", 0.0.into()), ("pooler_hidden_act", "gelu".into())] {
                    if config[name].is_null() {
                        config[name] = value;
                    }
                }
                if config["pooler_hidden_size"].is_null() {
                    config["pooler_hidden_size"] = config["hidden_size"].clone();
                }
                let config: debertav2::Config = parse(&config)?;
                let names = config.id2label.clone();
                let weights = weights.set_prefix("deberta");
                let model = debertav2::DebertaV2SeqClassificationModel::load(weights, &config, names)?;
                Self::Deberta(Box::new(model))
            }
            other => bail!(
                "`model_type` is `{other}`; expected `bert`, `distilbert`, `modernbert` or `deberta-v2` (v3 too)"
            ),
        })
    }

    /// [1, labels]; ModernBERT's are probabilities.
    fn logits(&self, ids: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Bert { model, pooler, classifier } => {
                let states = model.forward(ids, &ids.zeros_like()?, None)?;
                classifier.forward(&pooler.forward(&states.i((.., 0))?)?.tanh()?)?
            }
            Self::DistilBert { model, before, classifier } => {
                // Its mask marks what is left out.
                let t = ids.dim(1)?;
                let states = model.forward(ids, &Tensor::zeros((1, 1, t, t), DType::U8, &Device::Cpu)?)?;
                classifier.forward(&before.forward(&states.i((.., 0))?)?.relu()?)?
            }
            Self::ModernBert(model) => model.forward(ids, &ids.ones_like()?.to_dtype(DType::F32)?)?,
            Self::Deberta(model) => model.forward(ids, None, None)?,
        })
    }
}

fn parse<T: DeserializeOwned>(config: &Value) -> Result<T> {
    Ok(serde_json::from_value(config.clone())?)
}

impl Network for Checkpoint {
    fn windows(&self, passage: Passage<'_>, from: usize) -> Result<Cut> {
        self.tokens.windows(Passage { context: None, ..passage }, from)
    }

    fn probabilities(&mut self, windows: &[Window]) -> Result<Vec<Vec<f32>>> {
        windows.iter().map(|window| self.one(window)).collect()
    }
}
