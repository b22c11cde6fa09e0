//! A network small enough for any test: random weights from a fixed seed, a vocabulary of single bytes.

use std::io::Cursor;

use candle_core::{
    DType, Device, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{Value, write},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::chat::ChatModel;

/// Layers and widths; the heads are two over one key head.
const LAYERS: usize = 2;
const WIDTH: usize = 64;

/// The ids of the control tokens; the 256 bytes follow.
pub(crate) const END: u32 = 2;

/// A chat model whose sequences may be as long as a test could want.
pub(crate) fn chat_model() -> ChatModel {
    ChatModel::read(&mut Cursor::new(gguf(GgmlDType::Q8_0)), CONTEXT).expect("the file is whole")
}

/// How long sequences may get.
pub(crate) const CONTEXT: usize = 1 << 15;

/// The bytes of a whole GGUF file with matrices of the given kind.
pub(crate) fn gguf(kind: GgmlDType) -> Vec<u8> {
    let metadata = metadata();
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors = tensors(kind);
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (&**name, tensor)).collect();
    let mut file = Cursor::new(Vec::new());
    write(&mut file, &metadata, &tensors).expect("memory takes it");
    file.into_inner()
}

fn vocabulary() -> Vec<String> {
    let prints = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut other = 0x100;
    let bytes = (0..=u8::MAX).map(|byte| {
        if prints(byte) {
            return char::from(byte).to_string();
        }
        other += 1;
        char::from_u32(other - 1).expect("a character has one before it").to_string()
    });
    ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(String::from).into_iter().chain(bytes).collect()
}

fn metadata() -> Vec<(&'static str, Value)> {
    let tokens = vocabulary();
    let text = |text: &str| Value::String(text.to_owned());
    let number = |number: usize| Value::U32(number as u32);
    let types = (0..tokens.len()).map(|id| Value::I32(if id < 3 { 3 } else { 1 })).collect();
    let template = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] \
                    + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}\
                    {% endif %}";
    vec![
        ("general.architecture", text("llama")),
        ("llama.block_count", number(LAYERS)),
        ("llama.context_length", number(CONTEXT)),
        ("llama.embedding_length", number(WIDTH)),
        ("llama.feed_forward_length", number(WIDTH)),
        ("llama.attention.head_count", number(2)),
        ("llama.attention.head_count_kv", number(1)),
        ("llama.rope.freq_base", Value::F32(10_000.)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("smollm")),
        ("tokenizer.ggml.tokens", Value::Array(tokens.iter().map(|token| text(token)).collect())),
        ("tokenizer.ggml.token_type", Value::Array(types)),
        ("tokenizer.ggml.merges", Value::Array(Vec::new())),
        ("tokenizer.ggml.eos_token_id", Value::U32(END)),
        ("tokenizer.chat_template", text(template)),
    ]
}

fn tensors(kind: GgmlDType) -> Vec<(String, QTensor)> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut matrix = |name: String, rows: usize| {
        let values: Vec<f32> = (0..rows * WIDTH).map(|_| rng.random_range(-0.3..0.3)).collect();
        let tensor = Tensor::from_vec(values, (rows, WIDTH), &Device::Cpu).expect("the shape fits");
        (name, QTensor::quantize(&tensor, kind).expect("the rows fit the blocks"))
    };
    let vector = |name: String| {
        let ones = Tensor::ones(WIDTH, DType::F32, &Device::Cpu).expect("the shape fits");
        (name, QTensor::quantize(&ones, GgmlDType::F32).expect("F32 takes any shape"))
    };
    let mut tensors = vec![
        matrix("token_embd.weight".to_owned(), vocabulary().len()),
        vector("output_norm.weight".to_owned()),
    ];
    for i in 0..LAYERS {
        let name = |name: &str| format!("blk.{i}.{name}.weight");
        tensors.extend(["attn_norm", "ffn_norm"].map(|norm| vector(name(norm))));
        let square = ["attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
        tensors.extend(square.map(|square| matrix(name(square), WIDTH)));
        tensors.extend(["attn_k", "attn_v"].map(|half| matrix(name(half), WIDTH / 2)));
    }
    tensors
}
