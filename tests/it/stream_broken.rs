//! Streams as upstreams really send them: cut anywhere, in every legal spelling, and broken in every way. A client gets a
//! correct end, what was held back is never shown, and a metric tells.

use axum::body::Bytes;
use serde_json::json;
use tokio::sync::mpsc::Sender;

use crate::support::{
    DONE, Live, Model, PolicyFile, Reply, Script, TestApp, chunk, delta, fed, finish, sse, words,
};

/// Takes card numbers out of answers, so that one that may go on is held back.
const MASK_CARDS: &str = "rules:\n  - {id: cards, on: [output], when: pii.credit_card > 0, do: redact}\n";

/// Words that fill the first window.
const SHOWN: &str = "Once upon a time ";

fn ask() -> serde_json::Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Tell me a story."}]})
}

async fn streams(app: &TestApp, outcome: &str) -> f64 {
    app.metric(&format!("demur_streams_total{{outcome=\"{outcome}\",surface=\"chat\"}}")).await
}

/// What a client gets of a stream that comes whole.
async fn reply_to(body: Vec<u8>) -> (Reply, f64) {
    let model = Model::start(Script::Raw(200, "text/event-stream", body.into())).await;
    let policy = PolicyFile::new(MASK_CARDS);
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    let reply = app.chat(ask()).await;
    (reply, streams(&app, "done").await)
}

#[tokio::test]
async fn every_legal_spelling_of_a_stream_arrives_as_it_is() {
    let plain = String::from_utf8(sse("größer als die Welt").concat()).unwrap();
    let pretty = serde_json::to_string_pretty(&json!({
        "id": "x", "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": "größer als die Welt"}, "finish_reason": "stop"}],
    }));
    let lines = format!("data: {}\n\ndata: [DONE]\n\n", pretty.unwrap().replace('\n', "\ndata: "));
    let spellings = [
        ("comments", format!(": hello\n\n{}", plain.replace("data: [DONE]", ": still here\n\ndata: [DONE]"))),
        ("line ends of Windows", plain.replace('\n', "\r\n")),
        ("line ends of old", plain.replace('\n', "\r")),
        ("no blank behind the colon", plain.replace("data: ", "data:")),
        ("other fields", plain.replace("data: {", "id: 7\nretry: 100\ndata: {")),
        ("data on several lines", lines),
        (
            "two ends of the choice",
            plain.replace("data: [DONE]", &format!("{}data: [DONE]", text(&finish("stop")))),
        ),
        ("words behind the end", format!("{plain}{}", text(&words("")))),
    ];
    for (name, body) in spellings {
        let (reply, done) = reply_to(body.clone().into_bytes()).await;
        // What comes behind the end is nobody's.
        let expected = body.split_inclusive("[DONE]\n\n").next().unwrap();
        // Neither is what no client is shown, and nobody judges.
        let unjudged = [": hello", ": still here", "id: 7\nretry: 100\n"];
        let expected = expected.replace(unjudged[0], ":").replace(unjudged[1], ":").replace(unjudged[2], "");
        assert_eq!((reply.text, done), (expected, 1.0), "{name}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_missing_end_is_put_where_the_answer_had_ended() {
    let mut pieces = sse("all said");
    pieces.pop();
    let (reply, done) = reply_to(pieces.concat()).await;
    assert_eq!(
        (reply.streamed().as_str(), reply.events().last().unwrap().as_str(), done),
        ("all said", "[DONE]", 1.0)
    );
}

#[tokio::test]
async fn an_end_without_its_blank_line_gets_one() {
    let body = sse("all said").concat();
    let (reply, done) = reply_to(body[..body.len() - 2].to_vec()).await;
    assert_eq!((reply.text.as_bytes(), done), (&*body, 1.0));
}

#[tokio::test]
async fn tool_arguments_that_never_close_arrive_as_they_are() {
    let call =
        |arguments: &str| delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}));
    let named = delta(
        json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": ""}}]}),
    );
    let body = [named, call("{\"city\": \"Pa"), call("ris"), finish("tool_calls"), Bytes::from_static(DONE)]
        .concat();
    let (reply, done) = reply_to(body.clone()).await;
    assert_eq!((reply.text.as_bytes(), done), (&*body, 1.0));
}

/// A stream whose first words the client has.
async fn begun() -> (Sender<Bytes>, Live, TestApp, PolicyFile) {
    let (feed, script) = fed();
    let model = Model::start(script).await;
    let policy = PolicyFile::new(MASK_CARDS);
    let app = TestApp::with(&model, |settings| settings.policy = Some(policy.path())).await;
    feed.send(words(SHOWN)).await.unwrap();
    let mut live = Live::of(app.post("/v1/chat/completions").json(&ask())).await;
    live.until("upon").await;
    // From here on only the stream itself holds the other end of the feed.
    model.change(Script::Hang);
    (feed, live, app, policy)
}

#[tokio::test]
async fn what_breaks_a_stream_ends_it_with_an_error_and_shows_nothing_that_was_held() {
    let held = words("4111 1111 ");
    let error =
        Bytes::from_static(b"data: {\"error\": {\"message\": \"4111 1111 1111\", \"code\": 500}}\n\n");
    let far_call = json!({"tool_calls": [{"index": 4_000_000_000_u64, "function": {"arguments": "{}"}}]});
    let cases: [(&str, Vec<Bytes>); 9] = [
        ("garbage for JSON", vec![Bytes::from_static(b"data: {\"choices\": [\n\n")]),
        ("no object", vec![Bytes::from_static(b"data: [1, 2]\n\n")]),
        ("no UTF-8", vec![Bytes::from_static(b"data: \xff\xfe\n\n")]),
        ("a choice out of nowhere", vec![chunk(999_999, json!({"content": "x"}), json!(null))]),
        ("a tool call out of nowhere", vec![delta(far_call)]),
        ("an error event of the upstream's own", vec![error]),
        ("half an event", vec![Bytes::from_static(b"data: {\"choi")]),
        ("an end in the middle", vec![]),
        ("a connection that breaks", vec![Bytes::new()]),
    ];
    for (name, tail) in cases {
        let (feed, live, app, _policy) = begun().await;
        feed.send(held.clone()).await.unwrap();
        for piece in tail {
            // The gateway may have let go already.
            let _ = feed.send(piece).await;
        }
        drop(feed);
        let reply = live.rest().await;
        let last = reply.chunks().pop().unwrap();
        assert_eq!(last["error"]["code"], "upstream_broken", "{name}: {}", reply.text);
        assert!(!reply.text.contains("1111"), "{name}: {}", reply.text);
        assert_eq!(streams(&app, "broken").await, 1.0, "{name}");
    }
}

#[tokio::test]
async fn a_cut_may_fall_anywhere() {
    let rest = [words("größer "), finish("stop"), Bytes::from_static(DONE)].concat();
    let within = |part: &[u8]| rest.windows(part.len()).position(|window| window == part).unwrap();
    // In the name of the field, in a code point, between two line ends, before the last byte.
    for at in [2, within("ö".as_bytes()) + 1, within(b"\n\n") + 1, rest.len() - 1] {
        let (feed, mut live, _app, _policy) = begun().await;
        // What comes in one piece is read at once: when its words are here, so is the half event behind them.
        feed.send([&words("and then some more words came ")[..], &rest[..at]].concat().into()).await.unwrap();
        live.until("came").await;
        feed.send(Bytes::copy_from_slice(&rest[at..])).await.unwrap();
        drop(feed);
        let reply = live.rest().await;
        assert_eq!(reply.streamed(), format!("{SHOWN}and then some more words came größer "), "cut at {at}");
    }
}

#[tokio::test]
async fn who_leaves_takes_the_upstream_along() {
    let (feed, live, app, _policy) = begun().await;
    drop(live);
    feed.closed().await;
    assert_eq!(streams(&app, "cancelled").await, 1.0);
}
