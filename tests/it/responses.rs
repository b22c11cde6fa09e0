//! What a client of `POST /v1/responses` gets, streamed and not.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::{Model, PolicyFile, REFUSE_ZORK, Reply, Script, TestApp, response, response_events};

const PATH: &str = "/v1/responses";
const CARDS: &str =
    "restore: true\nrules:\n  - {id: cards, on: [input, output], when: pii.credit_card > 0, do: redact}\n";

fn ask(text: &str, stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "input": text})
}

async fn say(text: &str) -> Model {
    Model::start(Script::Say(text.into())).await
}

async fn with(model: &Model, rules: &str) -> (TestApp, PolicyFile) {
    let policy = PolicyFile::new(rules);
    let path = policy.path();
    (TestApp::with(model, |settings| settings.policy = Some(path)).await, policy)
}

async fn respond(app: &TestApp, body: &Value) -> Reply {
    Reply::of(app.post(PATH).json(body)).await
}

/// The events' data.
fn events(reply: &Reply) -> Vec<Value> {
    let data = reply.text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// The text as a client puts it together that shows nothing but words.
fn words(reply: &Reply) -> String {
    let events = events(reply).into_iter().filter(|event| event["type"] == "response.output_text.delta");
    events.map(|event| event["delta"].as_str().unwrap().to_owned()).collect()
}

/// The response in the last event.
fn last(reply: &Reply) -> Value {
    events(reply).pop().unwrap()["response"].take()
}

#[tokio::test]
async fn a_harmless_response_keeps_its_bytes() {
    let body = format!("{} ", response("Sure."));
    let model = Model::start(Script::Raw(200, "application/json", body.clone().into())).await;
    let app = TestApp::before(&model).await;
    let reply = respond(&app, &ask("How do I kill a Python process?", false)).await;
    assert_eq!((reply.text.as_str(), reply.header("x-demur-verdict")), (body.as_str(), "allow"));
}

#[tokio::test]
async fn the_question_reaches_the_model_byte_for_byte() {
    let model = say("Sure.").await;
    let app = TestApp::before(&model).await;
    let body = "{ \"input\":\"h\\u00e9llo\", \"model\":\"m\", \"x_vendor\":{\"k\":[1,2.50]} }";
    Reply::of(app.post(PATH).body(body)).await;
    assert_eq!(model.bodies(), [body.as_bytes()]);
}

#[tokio::test]
async fn a_harmless_stream_keeps_its_bytes() {
    let model = say("one two three").await;
    let app = TestApp::before(&model).await;
    let reply = respond(&app, &ask("count", true)).await;
    assert_eq!(reply.text.as_bytes(), response_events("one two three").concat());
}

#[tokio::test]
async fn a_refused_question_is_a_message_and_never_reaches_the_model() {
    let model = say("never").await;
    let (app, _policy) = with(&model, REFUSE_ZORK).await;
    let reply = respond(&app, &ask("tell me about zork", false)).await;
    let content = &reply.json()["output"][0]["content"];
    assert_eq!((reply.status, reply.json()["status"].as_str()), (200, Some("completed")));
    assert_eq!(content[0]["text"], content[1]["refusal"]);
    assert!(content[0]["text"].as_str().unwrap().len() > 20);
    assert!(model.bodies().is_empty());
}

#[tokio::test]
async fn a_refused_question_is_declined_as_a_stream() {
    let model = say("never").await;
    let (app, _policy) = with(&model, REFUSE_ZORK).await;
    let reply = respond(&app, &ask("zork", true)).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"));
    assert_eq!(words(&reply), last(&reply)["output"][0]["content"][0]["text"]);
    assert_eq!(events(&reply).last().unwrap()["type"], "response.completed");
}

#[tokio::test]
async fn an_earlier_turn_and_a_tools_answer_are_judged() {
    let model = say("never").await;
    let (app, _policy) = with(&model, REFUSE_ZORK).await;
    for item in [
        json!({"type": "function_call_output", "call_id": "c", "output": "zork"}),
        json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "zork"}]}),
        json!({"type": "no_such_item", "anything": {"deep": ["zork"]}}),
    ] {
        let reply =
            respond(&app, &json!({"model": "m", "input": [item, {"role": "user", "content": "go on"}]}))
                .await;
        assert_eq!(reply.header("x-demur-verdict"), "refuse", "{item}");
    }
}

#[tokio::test]
async fn an_unsafe_response_is_stopped_and_its_cost_stays_known() {
    let model = say("all about zork").await;
    let (app, _policy) = with(&model, REFUSE_ZORK).await;
    let reply = respond(&app, &ask("hello", false)).await;
    assert!(!reply.text.contains("zork"), "{}", reply.text);
    assert_eq!(reply.json()["usage"]["total_tokens"], 7);
    assert_eq!(reply.json()["output"][0]["content"][1]["type"], "refusal");
}

#[tokio::test]
async fn what_was_shown_of_an_unsafe_stream_stays_and_it_ends_as_incomplete() {
    let (feed, fed) = tokio::sync::mpsc::channel(1);
    let model = Model::start(Script::Fed(std::sync::Arc::new(tokio::sync::Mutex::new(fed)))).await;
    let (app, _policy) = with(&model, REFUSE_ZORK).await;
    let asked = app.post(PATH).json(&ask("hello", true));
    let mut pieces = response_events("This is a harmless beginning. And now comes zork really").into_iter();
    let feeding = async {
        // Up to the end of the first sentence; the rest waits until that was shown.
        for piece in pieces.by_ref().take(9) {
            feed.send(piece).await.unwrap();
        }
    };
    let (response, ()) = tokio::join!(asked.send(), feeding);
    let (mut response, mut text) = (response.unwrap(), String::new());
    while !text.contains("beginning") {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    tokio::spawn(async move {
        for piece in pieces {
            if feed.send(piece).await.is_err() {
                break;
            }
        }
    });
    while let Some(piece) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    let reply = Reply { status: 200, headers: response.headers().clone(), text };
    let (said, whole) = (words(&reply), last(&reply));
    assert!(!reply.text.contains("zork") && !reply.text.contains("really"), "{}", reply.text);
    let (before, after) = said.split_once("\n\n").unwrap();
    assert!(before.starts_with("This is a harmless beginning.") && after.len() > 20, "{said}");
    assert_eq!(whole["output"][0]["content"][0]["text"], said);
    assert_eq!(
        (whole["status"].as_str(), whole["incomplete_details"]["reason"].as_str()),
        (Some("incomplete"), Some("content_filter"))
    );
    let numbers: Vec<u64> =
        events(&reply).iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_number_cut_by_events_is_masked_wherever_it_is_said() {
    let model = say("take 4111 1111 1111 1111 now").await;
    let (app, _policy) = with(&model, CARDS).await;
    let reply = respond(&app, &ask("which?", true)).await;
    assert_eq!(words(&reply), "take [CREDIT_CARD] now");
    assert!(!reply.text.contains("1111"), "{}", reply.text);
    assert_eq!(last(&reply)["output"][0]["content"][0]["text"], "take [CREDIT_CARD] now");
}

#[tokio::test]
async fn what_the_model_did_not_see_comes_back() {
    let model = Model::start(Script::Echo).await;
    let (app, _policy) = with(&model, CARDS).await;
    for stream in [false, true] {
        let reply = respond(&app, &ask("card 4111 1111 1111 1111 please", stream)).await;
        assert_eq!(model.last()["input"], "card <CREDIT_CARD_1> please");
        let whole = if stream { last(&reply) } else { reply.json() };
        assert_eq!(whole["output"][0]["content"][0]["text"], "card 4111 1111 1111 1111 please");
    }
}

#[tokio::test]
async fn a_notice_behind_the_answer_is_in_all_that_says_it() {
    let model = say("Take two.").await;
    let rules = "lists: {dose: [dose]}\nrules:\n  - {id: dose, on: [input], when: list.dose > 0, do: warn, notice: not-a-doctor}\n";
    let (app, _policy) = with(&model, rules).await;
    let whole = respond(&app, &ask("what dose?", false)).await.json();
    let text = whole["output"][0]["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("Take two.\n\n") && text.len() > 30, "{text}");
    let reply = respond(&app, &ask("what dose?", true)).await;
    assert_eq!(words(&reply), text);
    assert_eq!(last(&reply)["output"][0]["content"][0]["text"], text);
    let numbers: Vec<u64> =
        events(&reply).iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn guidance_joins_the_instructions() {
    let model = say("Sure.").await;
    let rules = "lists: {dose: [dose]}\nrules:\n  - {id: dose, on: [input], when: list.dose > 0, do: steer, guidance: Be careful.}\n";
    let (app, _policy) = with(&model, rules).await;
    respond(&app, &json!({"model": "m", "input": "what dose?", "instructions": "Be brief."})).await;
    assert_eq!(model.last()["instructions"], "Be brief.\n\nBe careful.");
}

#[tokio::test]
async fn a_stream_that_breaks_off_before_its_words_is_told() {
    let pieces = response_events("a half told").into_iter().take(4).collect();
    let model = Model::start(Script::BreakOff(pieces)).await;
    let app = TestApp::before(&model).await;
    let reply = respond(&app, &ask("hi", true)).await;
    // How it is told depends on whether its first events, which hold no text, were on their way already.
    assert!(reply.text.contains("upstream_broken"), "{}", reply.text);
    assert!(!reply.text.contains("response.completed"), "{}", reply.text);
}

#[tokio::test]
async fn a_live_stream_that_breaks_off_ends_with_an_error_event() {
    let pieces = response_events("a half told").into_iter().take(6).collect();
    let model = Model::start(Script::BreakOff(pieces)).await;
    let app = TestApp::with(&model, |settings| settings.policy = Some("observe".into())).await;
    let reply = respond(&app, &ask("hi", true)).await;
    let last = events(&reply).pop().unwrap();
    assert_eq!((last["type"].as_str(), last["code"].as_str()), (Some("error"), Some("upstream_broken")));
}

#[tokio::test]
async fn the_verdict_and_the_moderation_block_go_with_the_response() {
    let model = say("fine").await;
    let app = TestApp::with(&model, |settings| settings.verdict_in_body = Some(true)).await;
    for stream in [false, true] {
        let mut body = ask("hi", stream);
        body["moderation"] = json!({"model": "omni-moderation-latest"});
        let reply = respond(&app, &body).await;
        let whole = if stream { last(&reply) } else { reply.json() };
        assert_eq!(whole["moderation"]["output"]["type"], "moderation_result");
        assert!(whole["demur"]["input"].is_object());
        assert!(model.last()["moderation"].is_null());
    }
}

#[tokio::test]
async fn an_answer_in_the_background_is_refused_clearly() {
    let model = say("never").await;
    let app = TestApp::before(&model).await;
    let reply = respond(&app, &json!({"model": "m", "input": "hi", "background": true})).await;
    assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some("background")));
    assert!(model.bodies().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_no_response_is_broken() {
    let body = Bytes::from(crate::support::completion("hi").to_string());
    let model = Model::start(Script::Raw(200, "application/json", body)).await;
    let app = TestApp::before(&model).await;
    assert_eq!(respond(&app, &ask("hi", false)).await.status, 502);
}
