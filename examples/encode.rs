//! Times the guard's encoder, or prints what it makes of texts; `benches/encoder.py` drives it.
//!
//! `encode time FOLDER ENGINE THREADS` reads lines `LENGTH BATCH` and answers each with the seconds of one pass; the engine
//! `stock` is candle's BertModel.
//! `encode judge FOLDER ENGINE` reads JSON lines of [kind, text, context] and answers each with the windows' probabilities.

use std::{
    io::{BufRead, Write, stdin, stdout},
    path::Path,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use candle_transformers::models::bert::BertModel;
use demur::nn::encoder::{Encoder, Engine, Window, tokens::Passage};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, folder, engine, rest @ ..] = &args[..] else {
        bail!("usage: encode time|judge FOLDER fast|reference [THREADS]")
    };
    if engine == "stock" {
        return stock(Path::new(folder));
    }
    let engine = if engine == "fast" { Engine::Fast } else { Engine::Reference };
    let threads = rest.first().map_or(Ok(1), |threads| threads.parse()).context("THREADS is no number")?;
    let mut encoder = Encoder::load(Path::new(folder), engine, threads)?;
    for line in stdin().lock().lines() {
        let line = line?;
        let answer = if mode == "time" { time(&mut encoder, &line)? } else { judge(&mut encoder, &line)? };
        writeln!(stdout(), "{answer}")?;
        stdout().flush()?;
    }
    Ok(())
}

fn time(encoder: &mut Encoder, line: &str) -> Result<String> {
    let (length, batch) = line.split_once(' ').context("expected `LENGTH BATCH`")?;
    let (length, batch): (u32, usize) = (length.parse()?, batch.parse()?);
    let ids = (0..length).map(|i| 1000 + i * 7 % 20_000).collect();
    let windows = vec![Window { ids, types: vec![0; length as usize] }; batch];
    let started = Instant::now();
    encoder.probabilities(&windows)?;
    Ok(format!("{:.9}", started.elapsed().as_secs_f64()))
}

/// candle's own BertModel of the same sizes, on random weights: times do not depend on them.
fn stock(folder: &Path) -> Result<()> {
    let sizes: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("config.json"))?)?;
    let mut config = serde_json::json!({"hidden_act": "gelu", "hidden_dropout_prob": 0.0, "initializer_range": 0.02,
        "pad_token_id": 0, "type_vocab_size": 5, "position_embedding_type": "absolute"});
    for name in [
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "layer_norm_eps",
    ] {
        config[name] = sizes[name].clone();
    }
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let model = BertModel::load(builder, &serde_json::from_value(config)?)?;
    for line in stdin().lock().lines() {
        let line = line?;
        let (length, batch) = line.split_once(' ').context("expected `LENGTH BATCH`")?;
        let (length, batch): (u32, usize) = (length.parse()?, batch.parse()?);
        let row: Vec<u32> = (0..length).map(|i| 1000 + i * 7 % 20_000).collect();
        let ids = Tensor::new(row, &Device::Cpu)?.unsqueeze(0)?.repeat((batch, 1))?;
        let types = ids.zeros_like()?;
        let started = Instant::now();
        model.forward(&ids, &types, None)?;
        writeln!(stdout(), "{:.9}", started.elapsed().as_secs_f64())?;
        stdout().flush()?;
    }
    Ok(())
}

fn judge(encoder: &mut Encoder, line: &str) -> Result<String> {
    let (kind, text, context): (u8, String, Option<String>) = serde_json::from_str(line)?;
    let passage = Passage { text: &text, kind, context: context.as_deref() };
    let (mut windows, mut rest) = (Vec::<Window>::new(), Some(0));
    while let Some(from) = rest {
        let cut = encoder.tokens().windows(passage, from)?;
        windows.extend(cut.shown.into_iter().map(|shown| shown.window));
        rest = cut.rest;
    }
    Ok(serde_json::to_string(&encoder.probabilities(&windows)?)?)
}
