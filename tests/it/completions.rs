//! What a client of `POST /v1/completions` gets, verdict by verdict.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use crate::support::{Model, PolicyFile, REFUSE_ZORK, Reply, Script, TestApp, text_completion, text_sse};

const PATH: &str = "/v1/completions";

fn ask(prompt: &str) -> Value {
    json!({"model": "m", "prompt": prompt})
}

fn ask_streamed(prompt: &str) -> Value {
    json!({"model": "m", "prompt": prompt, "stream": true})
}

async fn refusing_zork(model: &Model) -> (TestApp, PolicyFile) {
    let policy = PolicyFile::new(REFUSE_ZORK);
    (TestApp::with(model, |settings| settings.policy = Some(policy.path())).await, policy)
}

/// The text of a stream, put together.
fn streamed(text: &str) -> String {
    let data = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    let chunks = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks.filter_map(|chunk| chunk["choices"][0]["text"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn what_is_harmless_keeps_its_bytes_both_ways() {
    let body =
        r#"{"id":"x", "choices":[{"index":0,"text":" Sure.","finish_reason":"stop"}],"vendor":{"a":1}}"#;
    let model = Model::start(Script::Raw(200, "application/json", body.into())).await;
    let app = TestApp::before(&model).await;
    let request = "{ \"prompt\":\"h\\u00e9llo\",\"model\":\"m\",  \"x_vendor\":{\"k\":[1,2.50]} }";
    let reply = Reply::of(app.post(PATH).body(request)).await;
    assert_eq!((reply.status, &*reply.text, reply.header("x-demur-verdict")), (200, body, "allow"));
    assert_eq!(model.bodies(), [request.as_bytes()]);
    assert_eq!(
        app.metric(r#"demur_requests_total{code="200",policy="default",surface="completions"}"#).await,
        1.0
    );
}

#[tokio::test]
async fn a_harmless_stream_keeps_its_bytes() {
    let model = Model::start(Script::Say("one two three".into())).await;
    let app = TestApp::before(&model).await;
    let reply = app.send(PATH, ask_streamed("count")).await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert_eq!(reply.text.as_bytes(), text_sse("one two three").concat());
}

#[tokio::test]
async fn a_refused_prompt_never_reaches_the_model() {
    let model = Model::start(Script::Echo).await;
    let (app, _policy) = refusing_zork(&model).await;
    let reply = app.send(PATH, ask("tell me about zork")).await;
    let json = reply.json();
    assert_eq!((reply.status, json["object"].as_str()), (200, Some("text_completion")));
    assert_eq!(json["choices"][0]["finish_reason"], "content_filter");
    assert!(json["choices"][0]["text"].as_str().unwrap().len() > 20);
    let reply = app.send(PATH, ask_streamed("tell me about zork")).await;
    assert!(streamed(&reply.text).len() > 20);
    assert!(reply.text.contains(r#""finish_reason":"content_filter""#));
    assert_eq!(reply.events().last().unwrap(), "[DONE]");
    assert!(model.bodies().is_empty());
}

#[tokio::test]
async fn every_prompt_and_the_suffix_are_judged() {
    let model = Model::start(Script::Echo).await;
    let (app, _policy) = refusing_zork(&model).await;
    for body in [
        json!({"model": "m", "prompt": ["fine", "zork"], "n": 2}),
        json!({"model": "m", "prompt": "fine", "suffix": "zork"}),
        json!({"model": "m", "prompt": "fine", "guided_choice": ["zork"]}),
    ] {
        let reply = app.send(PATH, body.clone()).await;
        assert_eq!(reply.header("x-demur-verdict"), "refuse", "{body}");
        let expected = if body["n"] == 2 { 4 } else { 1 };
        assert_eq!(reply.json()["choices"].as_array().unwrap().len(), expected);
    }
    assert!(model.bodies().is_empty());
}

#[tokio::test]
async fn every_choice_is_judged() {
    let mut body = text_completion("fine");
    let second = json!({"index": 1, "text": "zork", "finish_reason": "stop"});
    body["choices"].as_array_mut().unwrap().push(second);
    let model = Model::start(Script::Raw(200, "application/json", body.to_string().into())).await;
    let (app, _policy) = refusing_zork(&model).await;
    let reply = app.send(PATH, ask("hello")).await;
    assert!(!reply.text.contains("zork"), "{}", reply.text);
    assert_eq!(reply.json()["choices"][1]["finish_reason"], "content_filter");
    // What the answer cost stays known.
    assert_eq!(reply.json()["usage"]["total_tokens"], 7);
}

#[tokio::test]
async fn log_probabilities_are_judged() {
    let mut body = text_completion("fine");
    body["choices"][0]["logprobs"] =
        json!({"tokens": ["fine"], "top_logprobs": [{"fine": -0.1, "zork": -3.0}]});
    let model = Model::start(Script::Raw(200, "application/json", body.to_string().into())).await;
    let (app, _policy) = refusing_zork(&model).await;
    assert!(!app.send(PATH, ask("hello")).await.text.contains("zork"));
}

#[tokio::test]
async fn a_refusal_in_a_stream_stands_behind_what_was_shown() {
    let (feed, fed) = mpsc::channel(16);
    let model = Model::start(Script::Fed(Arc::new(Mutex::new(fed)))).await;
    let (app, _policy) = refusing_zork(&model).await;
    let safe = "This is a harmless beginning of an answer, and it goes on for a while. ";
    for piece in text_sse(safe).iter().take(safe.split(' ').count() - 1) {
        feed.send(piece.clone()).await.unwrap();
    }
    let mut response = app.post(PATH).json(&ask_streamed("hello")).send().await.unwrap();
    let mut text = String::new();
    while streamed(&text).is_empty() {
        text += std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap();
    }
    for piece in text_sse("zork and more") {
        // The upstream is dropped as soon as the refusal is out.
        if feed.send(piece).await.is_err() {
            break;
        }
    }
    while let Some(piece) = response.chunk().await.unwrap() {
        text += std::str::from_utf8(&piece).unwrap();
    }
    let (shown, refusal) =
        streamed(&text).split_once("\n\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(safe.starts_with(&shown) && !shown.is_empty(), "{shown}");
    assert!(refusal.len() > 20 && !text.contains("zork") && !text.contains("more"), "{text}");
    assert_eq!(text.matches("content_filter").count(), 1);
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_number_cut_by_chunks_is_masked_and_restored() {
    let rules = "restore: true\nrules:\n  - {id: cards, on: [input, output], when: pii.credit_card > 0, do: redact}\n";
    let policy = PolicyFile::new(rules);
    let model = Model::start(Script::Echo).await;
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    let prompt = "card 4111 1111 1111 1111 please";
    let whole = app.send(PATH, ask(prompt)).await;
    assert_eq!(whole.json()["choices"][0]["text"], prompt);
    // The echo says it in pieces of a word each.
    let reply = app.send(PATH, ask_streamed(prompt)).await;
    assert_eq!(model.last()["prompt"], "card <CREDIT_CARD_1> please");
    assert_eq!(streamed(&reply.text), prompt);
    model.change(Script::Say("take 4111 1111 1111 1111 now".into()));
    let reply = app.send(PATH, ask_streamed("which?")).await;
    assert_eq!(streamed(&reply.text), "take [CREDIT_CARD] now");
}

#[tokio::test]
async fn guidance_stands_before_the_prompt() {
    let policy = PolicyFile::new(
        "lists: {dose: [dose]}\nguidance: {care: Be careful.}\nrules:\n  - {id: dose, on: [input], when: list.dose > 0, do: steer, guidance: care}\n",
    );
    let model = Model::start(Script::Echo).await;
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    app.send(PATH, ask("Which dose?")).await;
    assert_eq!(model.last()["prompt"], "Be careful.\n\nWhich dose?");
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_told() {
    let pieces: Vec<_> = text_sse("a half told").into_iter().take(2).collect();
    let model = Model::start(Script::BreakOff(pieces)).await;
    let app = TestApp::before(&model).await;
    let reply = app.send(PATH, ask_streamed("hi")).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (502, Some("upstream_broken")));
    assert!(!reply.text.contains("half"));
    let live = TestApp::with(&model, |settings| settings.policy = Some("observe".into())).await;
    let reply = live.send(PATH, ask_streamed("hi")).await;
    assert!(reply.events().pop().unwrap().contains("upstream_broken"), "{}", reply.text);
}

#[tokio::test]
async fn tokens_are_turned_away() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::before(&model).await;
    for prompt in [json!([1, 2, 3]), json!([[1], [2]])] {
        let reply = app.send(PATH, json!({"model": "m", "prompt": prompt})).await;
        assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some("prompt")));
        assert!(reply.text.contains("holds tokens, which can't be judged"), "{}", reply.text);
    }
    assert!(model.bodies().is_empty());
}
