//! Requests and answers in OpenAI's format, over a tiny network.

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::*;
use crate::nn::tiny;

fn local_with(config: LocalConfig) -> (Local, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let model = Arc::new(tiny::chat_model());
    (Local::with_model(model, "0123456789abcdef", config, metrics.clone()).unwrap(), metrics)
}

fn local() -> Local {
    local_with(LocalConfig::default()).0
}

fn ask(body: &Value) -> Ask {
    Ask {
        path: PATH,
        model: "demur-chat".to_owned(),
        stream: body["stream"] == true,
        body: body.to_string().into(),
        headers: HeaderMap::new(),
        request_id: "test".into(),
    }
}

/// A request whose answer no end token cuts short, with `more` fields.
fn body(more: Value) -> Value {
    let mut body = json!({
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 8, "seed": 1, "temperature": 1,
        "logit_bias": {"0": -100, "1": -100, "2": -100},
    });
    let Value::Object(more) = more else { panic!("fields") };
    body.as_object_mut().unwrap().extend(more);
    body
}

async fn answer(local: &Local, body: &Value) -> Value {
    match local.send(ask(body)).await.unwrap().body {
        ReplyBody::Whole(bytes) => serde_json::from_slice(&bytes).unwrap(),
        ReplyBody::Events(_) => panic!("a whole answer"),
    }
}

async fn chunks(local: &Local, body: &Value) -> Vec<Value> {
    let ReplyBody::Events(events) = local.send(ask(body)).await.unwrap().body else { panic!("a stream") };
    let events: Vec<Bytes> = events.map(Result::unwrap).collect().await;
    let text = String::from_utf8(events.concat()).unwrap();
    let mut events: Vec<&str> = text.strip_suffix("\n\n").unwrap().split("\n\n").collect();
    assert_eq!(events.pop(), Some("data: [DONE]"));
    events.iter().map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn answers_with_text_counts_and_a_reason() {
    let answer = answer(&local(), &body(json!({}))).await;
    assert_eq!(answer["object"], "chat.completion");
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(answer["model"], "demur-chat");
    assert_eq!(answer["system_fingerprint"], "fp_0123456789");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");
    assert_eq!(answer["choices"][0]["logprobs"], Value::Null);
    // `<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n`, every byte a token.
    let expected = json!({"prompt_tokens": 24, "completion_tokens": 8, "total_tokens": 32,
                          "prompt_tokens_details": {"cached_tokens": 0}});
    assert_eq!(answer["usage"], expected);
}

#[tokio::test]
async fn a_stream_has_the_same_text_and_ends_properly() {
    let local = local();
    let more = json!({"n": 2, "stream": true, "stream_options": {"include_usage": true}});
    let chunks = chunks(&local, &body(more)).await;
    let whole = answer(&local, &body(json!({"n": 2}))).await;
    for choice in [0, 1] {
        let of: Vec<&Value> = chunks
            .iter()
            .flat_map(|chunk| chunk["choices"].as_array().unwrap())
            .filter(|c| c["index"] == choice)
            .collect();
        let text: String = of.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!(whole["choices"][choice]["message"]["content"], text);
        assert_eq!(of[0]["delta"]["role"], "assistant");
        assert_eq!(of.last().unwrap()["finish_reason"], "length");
        assert!(of[..of.len() - 1].iter().all(|choice| choice["finish_reason"].is_null()));
    }
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 16);
    assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
}

#[tokio::test]
async fn log_probabilities_come_when_asked_for() {
    let answer = answer(&local(), &body(json!({"logprobs": true, "top_logprobs": 2}))).await;
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert!(!tokens.is_empty() && tokens.len() <= 8);
    assert!(tokens.iter().all(|token| token["logprob"].as_f64().unwrap() < 0.));
    assert!(tokens.iter().all(|token| token["top_logprobs"].as_array().unwrap().len() == 2));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let local = local();
    for (more, param, part) in [
        (json!({"messages": []}), "messages", "at least one message"),
        (json!({"messages": "hi"}), "messages", "found a string"),
        (json!({"messages": [{"role": "robot", "content": "x"}]}), "messages[0].role", "`developer`"),
        (json!({"messages": [{"role": "user", "content": 5}]}), "messages[0].content", "found 5"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            "messages[0].content[0]",
            "text only",
        ),
        (json!({"temperature": 3}), "temperature", "a number from 0 to 2; found 3"),
        (json!({"temperature": "hot"}), "temperature", "found a string"),
        (json!({"n": 9}), "n", "an integer from 1 to 8; found 9"),
        (json!({"n": 1.5}), "n", "found 1.5"),
        (json!({"max_tokens": 0}), "max_tokens", "at least 1"),
        (json!({"stop": ["a", ""]}), "stop", "each of 1 to 256 bytes"),
        (json!({"stop": {"a": 1}}), "stop", "found an object"),
        (json!({"logit_bias": {"x": 1}}), "logit_bias", "token ids"),
        (json!({"logit_bias": {"1": 101}}), "logit_bias", "found 101"),
        (json!({"top_logprobs": 3}), "top_logprobs", "`logprobs`"),
        (json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs", "found 21"),
        (json!({"response_format": {"type": "json_object"}}), "response_format", "text only"),
        (json!({"tool_choice": "required"}), "tool_choice", "can't call tools"),
        (json!({"stream_options": 1}), "stream_options", "an object"),
        (json!({"seed": "x"}), "seed", "an integer"),
    ] {
        let error = local.send(ask(&body(more.clone()))).await.err().unwrap();
        let UpstreamError::Invalid { param: Some(found), message } = error else {
            panic!("{more}: {error:?}")
        };
        assert_eq!(found, param, "{more}");
        assert!(message.contains(part), "{more}: {message}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_object_and_another_path_are_refused() {
    let local = local();
    for bytes in ["", "{", "[1]", "\"x\"", "\u{fffd}"] {
        let ask = Ask { body: bytes.to_owned().into(), ..ask(&json!({})) };
        assert!(matches!(local.send(ask).await, Err(UpstreamError::Invalid { .. })), "{bytes}");
    }
    let ask = Ask { path: "/embeddings", ..ask(&body(json!({}))) };
    assert!(matches!(local.send(ask).await, Err(UpstreamError::Invalid { .. })));
}

#[tokio::test]
async fn unknown_fields_and_nulls_are_ignored_and_tools_are_answered_in_words() {
    let more = json!({
        "stop": null, "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto",
        "whatever": {"a": 1}, "response_format": {"type": "text"}, "top_k": -1,
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief"}]},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": null,
             "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "sunny"},
        ],
    });
    let answer = answer(&local(), &body(more)).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn a_prompt_as_long_as_the_context_is_refused() {
    let long = "x".repeat(tiny::CONTEXT);
    let error =
        local().send(ask(&body(json!({"messages": [{"role": "user", "content": long}]})))).await.err();
    let Some(UpstreamError::Invalid { message, .. }) = error else { panic!("{error:?}") };
    // The template adds 19 tokens.
    assert!(
        message.contains(&format!("is {} tokens; the messages have {}", tiny::CONTEXT, tiny::CONTEXT + 19)),
        "{message}"
    );
}

#[tokio::test]
async fn a_full_queue_says_when_to_try_again() {
    let (local, metrics) = local_with(LocalConfig { queue: 1, slots: 1, ..LocalConfig::default() });
    let long = body(json!({"max_tokens": tiny::CONTEXT, "stream": true}));
    let running = local.send(ask(&long)).await.unwrap();
    let mut waiting = Box::pin(local.send(ask(&long)));
    // It waits once the queue's gauge says so; until then it has not been polled far enough.
    while metrics.generation_queue.get() == 0 {
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
    }
    let refused = local.send(ask(&long)).await.err();
    assert!(matches!(refused, Some(UpstreamError::Overloaded { .. })), "{refused:?}");
    drop(running);
    drop(waiting.await.unwrap());
    assert_eq!(metrics.generation_queue.get(), 0);
    assert_eq!(metrics.generations.with_label_values(&["cancelled"]).get(), 2);
}

#[tokio::test]
async fn endings_are_counted() {
    let (local, metrics) = local_with(LocalConfig::default());
    answer(&local, &body(json!({"n": 2}))).await;
    answer(&local, &body(json!({"logit_bias": {"2": 100}}))).await;
    let count = |outcome| metrics.generations.with_label_values(&[outcome]).get();
    assert_eq!((count("length"), count("stop"), count("cancelled"), count("error")), (2, 1, 0, 0));
}
