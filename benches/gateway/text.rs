//! Plain texts: nothing in them for a rule to act on.

use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

const SENTENCES: &[&str] = &[
    "The committee met on the second floor because the larger hall was being painted.",
    "Could you explain in a few words how a suspension bridge carries its load?",
    "She has kept bees for twelve years and still forgets to close the gate.",
    "Our train leaves at a quarter past nine, so breakfast should be an early one.",
    "A good summary names the question first, then the answer, then what is still open.",
    "In autumn the river carries leaves from three valleys down to the old mill.",
    "Please rewrite the following paragraph so that a new colleague can follow it.",
    "The recipe asks for flour, butter, two eggs and more patience than I have.",
    "Nobody on the team had used that database before, and it showed in the reviews.",
    "What is the difference between a list and a tuple, and when does it matter?",
    "Grandfather's workshop smelled of cedar, machine oil and yesterday's coffee.",
    "Translations keep the meaning; good translations keep the tone of voice as well.",
    "We measured the garden twice and got two different answers, as always.",
    "Most of the letters in the archive were written in a hurry and never answered.",
    "If the test fails only on some days, look for a clock or for the order of things.",
    "The museum opens late on Thursdays, which suits people who work until six.",
    "Draft a friendly note to the neighbours about the street party in June.",
    "His argument was simple: a map that shows everything is of no use to a walker.",
    "After the storm the harbour was full of branches, and one very calm swan.",
    "Give me three titles for an essay about learning to cook as an adult.",
];

/// Prose of this many bytes; another order of sentences for every seed.
pub(crate) fn plain(bytes: usize, seed: u64) -> String {
    let mut random = StdRng::seed_from_u64(seed);
    let mut text = String::with_capacity(bytes + 100);
    while text.len() < bytes {
        text.push_str(SENTENCES[random.random_range(0..SENTENCES.len())]);
        text.push(' ');
    }
    text.truncate(bytes);
    text
}

/// A chat request whose prompt has one kilobyte.
pub(crate) fn request() -> Bytes {
    json!({"model": "scripted", "messages": [{"role": "user", "content": plain(1024, 1)}]}).to_string().into()
}

/// A chat completion of one kilobyte.
pub(crate) fn completion() -> Bytes {
    let completion = |text: &str| {
        json!({
            "id": "chatcmpl-scripted", "object": "chat.completion", "created": 1, "model": "scripted",
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": text, "refusal": null},
                "finish_reason": "stop", "logprobs": null,
            }],
            "usage": {"prompt_tokens": 210, "completion_tokens": 150, "total_tokens": 360},
        })
        .to_string()
    };
    let frame = completion("").len();
    completion(&plain(1024 - frame, 2)).into()
}
