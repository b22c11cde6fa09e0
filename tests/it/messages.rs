//! What a client of Anthropic's API gets: `POST /v1/messages`, streamed and not, and the counting of tokens.

mod errors;

use axum::body::Bytes;
use serde_json::{Value, json};

use crate::support::{
    Live, Model, PolicyFile, REFUSE_ZORK, Reply, Script, TestApp, block_delta, block_start, fed, message,
    message_end, message_events, message_start, text_delta, typed,
};

const PATH: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";
const CARD: &str = "4111 1111 1111 1111";

fn ask(text: &str) -> Value {
    json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": text}]})
}

fn streamed(text: &str) -> Value {
    let mut body = ask(text);
    body["stream"] = json!(true);
    body
}

async fn under(model: &Model, rules: &str) -> (TestApp, PolicyFile) {
    let policy = PolicyFile::new(rules);
    let app = TestApp::with(model, |settings| settings.policy = Some(policy.path())).await;
    (app, policy)
}

/// The events of a stream, each named as its type says.
fn events(reply: &Reply) -> Vec<Value> {
    let read = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let json: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), json["type"].as_str(), "{event}");
        json
    };
    reply.text.split_terminator("\n\n").map(read).collect()
}

/// The types of a stream's events.
fn types(reply: &Reply) -> Vec<String> {
    events(reply).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// The pieces of this kind, put together.
fn said(reply: &Reply, key: &str) -> String {
    events(reply).iter().filter_map(|event| event["delta"][key].as_str().map(str::to_owned)).collect()
}

fn raw(pieces: &[Bytes]) -> Script {
    Script::Raw(200, "text/event-stream", pieces.concat().into())
}

#[tokio::test]
async fn what_is_harmless_passes_byte_for_byte() {
    let body = r#"{"id":"msg", "type":"message","content":[{"type":"text","text":"S\u00fcre."}],"stop_reason":"end_turn","vendor":{"a":1}}"#;
    let model = Model::start(Script::Raw(200, "application/json", body.into())).await;
    let app = TestApp::before(&model).await;
    let question = "{ \"max_tokens\":9, \"model\":\"m\",\"messages\":[{\"content\":\"h\\u00e9llo\",\"role\":\"user\"}] }";
    let reply = Reply::of(app.post(PATH).body(question)).await;
    assert_eq!((reply.text.as_str(), reply.header("x-demur-verdict")), (body, "allow"));
    assert_eq!(model.bodies(), [question.as_bytes()]);
    assert_eq!(reply.header("request-id"), reply.header("x-request-id"));
    model.change(Script::Say("one two three".into()));
    let reply = app.send(PATH, streamed("count")).await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert_eq!(reply.text.as_bytes(), message_events("one two three").concat());
    assert_eq!(
        app.metric(r#"demur_requests_total{code="200",policy="default",surface="messages"}"#).await,
        2.0
    );
}

#[tokio::test]
async fn a_refused_question_is_a_message_that_says_so() {
    let model = Model::start(Script::Echo).await;
    let (app, _policy) = under(&model, REFUSE_ZORK).await;
    let reply = app.send(PATH, ask("tell me about zork")).await;
    let json = reply.json();
    assert_eq!((reply.status, reply.header("x-demur-verdict")), (200, "refuse"));
    assert_eq!((&json["type"], &json["stop_reason"]), (&json!("message"), &json!("refusal")));
    let text = json["content"][0]["text"].as_str().unwrap();
    assert!(text.len() > 20, "{text}");
    assert_eq!(json["stop_details"], json!({"type": "refusal", "category": "cyber", "explanation": text}));
    let reply = app.send(PATH, streamed("tell me about zork")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"));
    assert_eq!(said(&reply, "text"), text);
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(types(&reply), expected);
    assert_eq!(events(&reply)[4]["delta"]["stop_reason"], "refusal");
    assert!(model.bodies().is_empty());
}

#[tokio::test]
async fn an_unsafe_answer_is_stopped_and_what_it_cost_stays_known() {
    let model = Model::start(Script::Say("all about zork".into())).await;
    let (app, _policy) = under(&model, REFUSE_ZORK).await;
    let reply = app.send(PATH, ask("hello")).await;
    assert!(!reply.text.contains("zork"), "{}", reply.text);
    let json = reply.json();
    assert_eq!((&json["id"], &json["usage"]["output_tokens"]), (&json!("msg_scripted"), &json!(4)));
    assert_eq!(json["stop_reason"], "refusal");
}

#[tokio::test]
async fn a_refusal_in_the_middle_goes_on_behind_what_was_shown() {
    let (feed, script) = fed();
    let model = Model::start(script).await;
    let (app, _policy) = under(&model, REFUSE_ZORK).await;
    let begin = [
        message_start(),
        block_start(0, &json!({"type": "text", "text": ""})),
        text_delta(0, "Once upon a time "),
    ];
    feed.send(begin.concat().into()).await.unwrap();
    let mut live = Live::of(app.post(PATH).json(&streamed("Tell me a story."))).await;
    live.until("upon").await;
    // From here on only the connection holds the other end of the feed.
    model.change(Script::Hang);
    feed.send(text_delta(0, "there was zork and ")).await.unwrap();
    feed.send(text_delta(0, "then more of it and a few words that fill a window ")).await.unwrap();
    // The model is told to stop: nobody takes its words any more.
    feed.closed().await;
    let reply = live.rest().await;
    let all = said(&reply, "text");
    let (shown, refusal) = all.split_once("\n\n").unwrap();
    assert_eq!(shown, "Once upon a time ");
    assert!(refusal.len() > 20 && !reply.text.contains("zork"), "{refusal}");
    let types = types(&reply);
    assert_eq!(types[types.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let end = &events(&reply)[types.len() - 2];
    assert_eq!(
        (&end["delta"]["stop_reason"], &end["delta"]["stop_details"]["category"]),
        (&json!("refusal"), &json!("cyber"))
    );
    assert!(end["usage"]["output_tokens"].is_u64(), "{end}");
}

#[tokio::test]
async fn a_refused_tool_call_is_closed_before_the_words() {
    let (feed, script) = fed();
    let model = Model::start(script).await;
    let (app, _policy) = under(&model, REFUSE_ZORK).await;
    let input = |json: &str| block_delta(0, &json!({"type": "input_json_delta", "partial_json": json}));
    let tool = block_start(0, &json!({"type": "tool_use", "id": "t", "name": "search", "input": {}}));
    feed.send([message_start(), tool, input("{\"query\": \"a harmless one\", ")].concat().into())
        .await
        .unwrap();
    let mut live = Live::of(app.post(PATH).json(&streamed("Look it up."))).await;
    live.until("harmless").await;
    model.change(Script::Hang);
    feed.send(input("\"zork\": 1, \"and more that fills a window\": 2 ")).await.unwrap();
    feed.closed().await;
    let reply = live.rest().await;
    assert!(!reply.text.contains("zork"), "{}", reply.text);
    let ending: Vec<(Value, Value)> = events(&reply)
        .into_iter()
        .skip_while(|event| event["type"] != "content_block_stop")
        .map(|event| (event["type"].clone(), event["index"].clone()))
        .collect();
    let expected = [
        ("content_block_stop", json!(0)),
        ("content_block_start", json!(1)),
        ("content_block_delta", json!(1)),
        ("content_block_stop", json!(1)),
        ("message_delta", Value::Null),
        ("message_stop", Value::Null),
    ];
    assert_eq!(ending, expected.map(|(kind, index)| (json!(kind), index)));
}

#[tokio::test]
async fn a_number_cut_by_events_is_masked_and_restored() {
    let model = Model::start(Script::Echo).await;
    let rules = "restore: true\nrules:\n  - {id: cards, on: [input, output], when: pii.credit_card > 0, do: redact}\n";
    let (app, policy) = under(&model, rules).await;
    let text = format!("card {CARD} please");
    let reply = app.send(PATH, streamed(&text)).await;
    assert!(!model.last().to_string().contains("1111"));
    assert_eq!(said(&reply, "text"), text);
    assert_eq!(app.send(PATH, ask(&text)).await.json()["content"][0]["text"], text);
    let own = Model::start(Script::Say(format!("take {CARD} now"))).await;
    let app = TestApp::with(&own, |settings| settings.policy = Some(policy.path())).await;
    assert_eq!(said(&app.send(PATH, streamed("which?")).await, "text"), "take [CREDIT_CARD] now");
}

#[tokio::test]
async fn originals_come_back_into_a_tools_input_as_json() {
    let message = json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
        "content": [{"type": "tool_use", "id": "t", "name": "pay", "input": {"card": "<CREDIT_CARD_1>", "sum": 5}}]});
    let model = Model::start(Script::Raw(200, "application/json", message.to_string().into())).await;
    let rules = "restore: true\nrules:\n  - {id: cards, on: [input, output], when: pii.credit_card > 0, do: redact}\n";
    let (app, _policy) = under(&model, rules).await;
    let reply = app.send(PATH, ask(&format!("Pay 5 with {CARD}."))).await;
    assert_eq!(reply.json()["content"][0]["input"], json!({"card": CARD, "sum": 5}));
}

#[tokio::test]
async fn thinking_of_which_something_was_taken_out_loses_its_signature() {
    let thinking = |text: &str| block_delta(0, &json!({"type": "thinking_delta", "thinking": text}));
    let stream = |text: &[&str]| {
        let mut events = vec![
            message_start(),
            block_start(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        ];
        events.extend(text.iter().map(|text| thinking(text)));
        events.push(block_delta(0, &json!({"type": "signature_delta", "signature": "c2lnbmVk"})));
        events.push(typed(&json!({"type": "content_block_stop", "index": 0})));
        events.extend(message_end("end_turn"));
        events
    };
    let rules = "rules:\n  - {id: cards, on: [output], when: pii.credit_card > 0, do: redact}\n";
    let model = Model::start(raw(&stream(&["It is 4111 1111 ", "1111 1111, ", "I think."]))).await;
    let (app, _policy) = under(&model, rules).await;
    let reply = app.send(PATH, streamed("which?")).await;
    assert_eq!(said(&reply, "thinking"), "It is [CREDIT_CARD], I think.");
    assert!(!reply.text.contains("c2lnbmVk"), "{}", reply.text);
    let harmless = stream(&["It is ", "nothing."]);
    model.change(raw(&harmless));
    assert_eq!(app.send(PATH, streamed("which?")).await.text.as_bytes(), harmless.concat());
}

#[tokio::test]
async fn a_notice_stands_behind_the_answer() {
    let rules =
        "rules:\n  - {id: careful, on: [output], when: 'list.zork > 0', do: warn}\nlists:\n  zork: [zork]\n";
    let model = Model::start(Script::Say("this is zork".into())).await;
    let (app, _policy) = under(&model, rules).await;
    let whole = app.send(PATH, ask("hello")).await.json();
    let text = whole["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("this is zork\n\n") && text.len() > 30, "{text}");
    let reply = app.send(PATH, streamed("hello")).await;
    assert_eq!(said(&reply, "text"), text);
    // In a block of its own: what comes behind a block is not known before it is closed.
    let starts = types(&reply).iter().filter(|kind| *kind == "content_block_start").count();
    assert_eq!(starts, 2);
}

#[tokio::test]
async fn guidance_joins_the_system_prompt() {
    let rules = "rules:\n  - {id: careful, on: [input], when: 'list.zork > 0', do: steer, guidance: Be careful.}\nlists:\n  zork: [zork]\n";
    let model = Model::start(Script::Echo).await;
    let (app, _policy) = under(&model, rules).await;
    let mut body = ask("zork");
    body["system"] = json!("You are kind.");
    app.send(PATH, body).await;
    assert_eq!(model.last()["system"], "You are kind.\n\nBe careful.");
}

#[tokio::test]
async fn the_verdict_rides_on_a_ping() {
    let model = Model::start(Script::Say("fine".into())).await;
    let app = TestApp::with(&model, |settings| settings.verdict_in_body = Some(true)).await;
    let reply = app.send(PATH, streamed("hello")).await;
    let ping = events(&reply).into_iter().find(|event| event["type"] == "ping").unwrap();
    assert_eq!(ping["demur"]["output"]["action"], "allow");
    assert_eq!(types(&reply).last().unwrap(), "message_stop");
    assert_eq!(app.send(PATH, ask("hello")).await.json()["demur"]["input"]["action"], "allow");
}

#[tokio::test]
async fn counting_is_guarded_and_its_answer_passes() {
    let count = r#"{"input_tokens": 14}"#;
    let model = Model::start(Script::Raw(200, "application/json", count.into())).await;
    let (app, _policy) = under(&model, REFUSE_ZORK).await;
    let mut body = ask("hello");
    body.as_object_mut().unwrap().remove("max_tokens");
    let reply = app.send(COUNT, body).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, count));
    let refused = app.send(COUNT, ask("zork")).await;
    let error = refused.json();
    assert_eq!((refused.status, &error["type"]), (400, &json!("error")));
    assert_eq!(error["error"]["type"], "invalid_request_error");
    assert!(error["error"]["message"].as_str().unwrap().len() > 20);
    assert_eq!(refused.header("x-demur-verdict"), "refuse");
    assert_eq!(model.bodies().len(), 1);
}

#[tokio::test]
async fn images_are_taken_out_where_the_policy_says_so() {
    let model = Model::start(Script::Say("fine".into())).await;
    let (app, _policy) = under(&model, "media: strip\nrules: []\n").await;
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}});
    let mut body = ask("");
    body["messages"][0]["content"] = json!([{"type": "text", "text": "What is this?"}, image]);
    app.send(PATH, body).await;
    let sent = model.last();
    assert_eq!(sent["messages"][0]["content"][1]["type"], "text");
    assert!(!sent.to_string().contains("iVBOR"));
}

#[tokio::test]
async fn the_answer_of_a_message_is_whole() {
    let model = Model::start(Script::Raw(200, "application/json", message("fine").to_string().into())).await;
    let app = TestApp::before(&model).await;
    assert_eq!(app.send(PATH, ask("hello")).await.json(), message("fine"));
}
