//! Streams: judged before they are shown, changed across chunk borders, shown live where no rule may act.

use serde_json::json;

use crate::support::{Model, PolicyFile, REFUSE_ZORK, Reply, Script, TestApp, sse};

fn ask(text: &str) -> serde_json::Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": text}]})
}

#[tokio::test]
async fn a_harmless_stream_keeps_its_bytes() {
    let model = Model::start(Script::Say("one two three".into())).await;
    let app = TestApp::before(&model).await;
    let reply = app.chat(ask("count")).await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let expected: Vec<u8> = sse("one two three").concat();
    assert_eq!(reply.text.as_bytes(), expected);
}

#[tokio::test]
async fn an_unsafe_stream_is_never_shown() {
    let model = Model::start(Script::Say("this is zork really".into())).await;
    let policy = PolicyFile::new(REFUSE_ZORK);
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    let reply = app.chat(ask("hello")).await;
    assert!(!reply.text.contains("zork") && !reply.text.contains("really"), "{}", reply.text);
    assert!(reply.streamed().len() > 20);
    assert!(reply.text.contains(r#""finish_reason":"content_filter""#));
    assert_eq!(reply.events().last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn a_refused_question_is_declined_as_a_stream() {
    let model = Model::start(Script::Echo).await;
    let policy = PolicyFile::new(REFUSE_ZORK);
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    let reply = app.chat(ask("zork")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"));
    assert!(reply.streamed().len() > 20);
    assert_eq!(reply.events().last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn a_number_cut_by_chunks_is_masked_and_restored() {
    let model = Model::start(Script::Echo).await;
    let policy = PolicyFile::new(
        "restore: true\nrules:\n  - {id: cards, on: [input, output], when: pii.credit_card > 0, do: redact}\n",
    );
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    // The echo says it in pieces of a word each.
    let reply = app.chat(ask("card 4111 1111 1111 1111 please")).await;
    assert!(!model.last().to_string().contains("1111"));
    assert_eq!(reply.streamed(), "card 4111 1111 1111 1111 please");
    let own = Model::start(Script::Say("take 4111 1111 1111 1111 now".into())).await;
    let app = TestApp::with(&own, |settings| settings.policy = Some(policy.path())).await;
    assert_eq!(app.chat(ask("which?")).await.streamed(), "take [CREDIT_CARD] now");
}

#[tokio::test]
async fn a_shadow_policy_lets_a_stream_flow() {
    let (feed, fed) = tokio::sync::mpsc::channel(1);
    let model = Model::start(Script::Fed(std::sync::Arc::new(tokio::sync::Mutex::new(fed)))).await;
    let app = TestApp::with(&model, |settings| settings.policy = Some("observe".into())).await;
    let mut pieces = sse("first second").into_iter();
    feed.send(pieces.next().unwrap()).await.unwrap();
    let mut response = app.post("/v1/chat/completions").json(&ask("hi")).send().await.unwrap();
    // The first piece is here although the stream has not ended.
    let first = response.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: "));
    for piece in pieces {
        feed.send(piece).await.unwrap();
    }
    drop(feed);
    let mut rest = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        rest.extend_from_slice(&piece);
    }
    assert!(String::from_utf8(rest).unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error_and_nothing_of_it_is_shown() {
    let pieces = sse("a half told").into_iter().take(3).collect();
    let model = Model::start(Script::BreakOff(pieces)).await;
    let app = TestApp::before(&model).await;
    let reply = app.chat(ask("hi")).await;
    assert_eq!(reply.status, 502);
    assert_eq!(reply.json()["error"]["code"], "upstream_broken");
    assert!(!reply.text.contains("half"));
}

#[tokio::test]
async fn a_live_stream_that_breaks_off_ends_with_an_error_event() {
    let pieces = sse("a half told").into_iter().take(3).collect();
    let model = Model::start(Script::BreakOff(pieces)).await;
    let app = TestApp::with(&model, |settings| settings.policy = Some("observe".into())).await;
    let reply = app.chat(ask("hi")).await;
    let last = reply.events().pop().unwrap();
    assert!(last.contains("upstream_broken"), "{last}");
}

#[tokio::test]
async fn the_moderation_block_comes_as_a_chunk_of_its_own() {
    let model = Model::start(Script::Say("fine".into())).await;
    let app = TestApp::before(&model).await;
    let mut body = ask("hi");
    body["moderation"] = json!({"model": "omni"});
    let reply: Reply = app.chat(body).await;
    let chunk = reply.events().into_iter().find(|data| data.contains("moderation_results")).unwrap();
    assert!(chunk.contains(r#""choices":[]"#));
    assert_eq!(reply.streamed(), "fine");
}
