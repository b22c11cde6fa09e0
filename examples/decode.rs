//! Measures the model inside: `decode FILE.gguf [TOKENS]` prints tokens per second as a JSON object.
//! `benches/decode.py` sets it beside llama.cpp. Threads: `RAYON_NUM_THREADS`.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result};
use demur::nn::{chat::ChatModel, llama::Span, template::ChatMessage};

/// Rows of a prompt in one step.
const STRETCH: usize = 32;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let path: PathBuf = args.next().context("usage: decode FILE.gguf [TOKENS]")?.into();
    let count: usize = args.next().map_or(Ok(128), |count| count.parse()).context("TOKENS is no number")?;
    let model = ChatModel::load(&path, 2048)?;
    let content = "Describe the water cycle. ".to_owned() + &"Be thorough and name every stage. ".repeat(18);
    let prompt = model.template.encode(&[ChatMessage { role: "user", content }], &model.tokenizer)?;

    // The first round packs the weights; the second is measured.
    let mut figures = (0., 0.);
    for _ in 0..2 {
        let mut cache = model.llama.new_cache();
        let start = Instant::now();
        let mut logits = Vec::new();
        for tokens in prompt.chunks(STRETCH) {
            logits = model.llama.forward(&mut [Span { tokens, cache: &mut cache, logits: true }])?;
        }
        let prefill = prompt.len() as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        for _ in 0..count {
            let best = (0u32..).zip(&logits[0]).max_by(|a, b| a.1.total_cmp(b.1)).context("no logits")?.0;
            logits = model.llama.forward(&mut [Span { tokens: &[best], cache: &mut cache, logits: true }])?;
        }
        figures = (prefill, count as f64 / start.elapsed().as_secs_f64());
    }
    let figures = serde_json::json!({"prompt": prompt.len(), "prefill": figures.0, "decode": figures.1});
    anstream::println!("{figures}");
    Ok(())
}
