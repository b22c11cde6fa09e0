//! What a policy makes of a stream: refused in the middle, held, buffered or audited, asked beside the judging.

use std::sync::Arc;

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{
    DONE, Live, Model, PolicyFile, REFUSE_ZORK, Reply, Script, TestApp, chunk, delta, fed, finish, sse, words,
};

fn ask(text: &str) -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": text}]})
}

async fn before(model: &Model, policy: &PolicyFile) -> TestApp {
    TestApp::with(model, |settings| settings.policy = Some(policy.path())).await
}

/// What a client gets of these pieces under a policy that refuses `zork`.
async fn reply_to(pieces: &[Bytes], body: &Value) -> Reply {
    let model = Model::start(Script::Raw(200, "text/event-stream", pieces.concat().into())).await;
    let policy = PolicyFile::new(REFUSE_ZORK);
    before(&model, &policy).await.chat(body.clone()).await
}

/// The finish reasons of a choice.
fn reasons(reply: &Reply, index: usize) -> Vec<String> {
    let choices = reply.chunks().into_iter().map(|chunk| chunk["choices"][0].clone());
    let of_choice = choices.filter(|choice| choice["index"] == index);
    of_choice.filter_map(|choice| choice["finish_reason"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_refusal_in_the_middle_keeps_what_was_shown_and_ends_as_the_format_does() {
    let (feed, script) = fed();
    let model = Model::start(script).await;
    let policy = PolicyFile::new(REFUSE_ZORK);
    let app = before(&model, &policy).await;
    feed.send(words("Once upon a time ")).await.unwrap();
    let mut body = ask("Tell me a story.");
    body["stream_options"] = json!({"include_usage": true});
    let mut live = Live::of(app.post("/v1/chat/completions").json(&body)).await;
    live.until("upon").await;
    // From here on only the connection holds the other end of the feed.
    model.change(Script::Hang);
    feed.send(words("there was zork and ")).await.unwrap();
    feed.send(words("then more of it and a few words that fill a window ")).await.unwrap();
    // The model is told to stop: nobody takes its words any more.
    feed.closed().await;
    let reply = live.rest().await;
    let said = reply.streamed();
    let (shown, refusal) = said.split_once("\n\n").unwrap();
    assert_eq!(shown, "Once upon a time ");
    assert!(refusal.len() > 20 && !refusal.contains("zork"), "{refusal}");
    assert_eq!(reasons(&reply, 0), ["content_filter"]);
    assert!(reply.chunks().last().unwrap()["usage"]["completion_tokens"].is_u64(), "{}", reply.text);
    assert_eq!(reply.events().last().unwrap(), "[DONE]");
    assert_eq!(app.metric("demur_streams_total{outcome=\"refused\",surface=\"chat\"}").await, 1.0);
    let refusals =
        "demur_refusals_total{direction=\"output\",hazard=\"cyber\",policy=\"test\",rule=\"no-zork\"}";
    assert_eq!(app.metric(refusals).await, 1.0);
}

#[tokio::test]
async fn a_bad_second_choice_ends_both() {
    let mut body = ask("Two of them.");
    body["n"] = json!(2);
    let of = |index, text: &str| chunk(index, json!({"content": text}), Value::Null);
    let pieces = [
        of(0, "Once upon a time "),
        of(1, "Once upon a zork "),
        finish("stop"),
        chunk(1, json!({}), "stop".into()),
    ];
    let reply = reply_to(&[&pieces[..], &[Bytes::from_static(DONE)]].concat(), &body).await;
    assert!(!reply.text.contains("zork"), "{}", reply.text);
    assert_eq!(
        (reasons(&reply, 0), reasons(&reply, 1)),
        (vec!["content_filter".to_owned()], vec!["content_filter".to_owned()])
    );
    assert!(reply.streamed_of(1).len() > 20);
}

#[tokio::test]
async fn reasoning_and_fragments_of_tool_arguments_are_judged() {
    let call =
        |arguments: &str| delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}));
    let cases = [
        vec![
            delta(json!({"reasoning_content": "Let me think: zo"})),
            delta(json!({"reasoning_content": "rk it is. "})),
            words("Fine."),
        ],
        vec![call("{\"q\": \"zo"), call("rk\""), call("}")],
        vec![delta(json!({"refusal": "I never talk about zo"})), delta(json!({"refusal": "rk things"}))],
    ];
    for mut pieces in cases {
        pieces.extend([finish("stop"), Bytes::from_static(DONE)]);
        let reply = reply_to(&pieces, &ask("Look it up.")).await;
        assert!(!reply.text.contains("zo\"") && !reply.text.contains("rk\""), "{}", reply.text);
        assert_eq!(reasons(&reply, 0), ["content_filter"]);
    }
}

/// Harmless words that more than fill a window, and what is refused.
fn long_answer() -> String {
    "Once upon a time there was a lighthouse. ".repeat(10) + "Then came zork and all was over."
}

async fn under(mode: &str) -> Reply {
    let model = Model::start(Script::Say(long_answer())).await;
    let policy = PolicyFile::new(&format!("stream: {mode}{REFUSE_ZORK}"));
    before(&model, &policy).await.chat(ask("Tell me a story.")).await
}

#[tokio::test]
async fn hold_shows_what_is_judged_and_buffer_nothing_before_all_is() {
    let (held, buffered) = (under("hold").await.streamed(), under("buffer").await.streamed());
    assert!(held.starts_with("Once upon a time") && !held.contains("zork"), "{held}");
    assert!(!buffered.contains("Once") && buffered.len() > 20, "{buffered}");
}

#[tokio::test]
async fn audit_shows_at_once_and_may_cut_the_stream() {
    let (feed, script) = fed();
    let model = Model::start(script).await;
    let policy = PolicyFile::new(&format!("stream: audit{REFUSE_ZORK}"));
    let app = before(&model, &policy).await;
    // Too little for a window: only an audit shows it while the stream goes on.
    feed.send(words("A zork ")).await.unwrap();
    let mut live = Live::of(app.post("/v1/chat/completions").json(&ask("Tell me a story."))).await;
    live.until("zork").await;
    model.change(Script::Hang);
    feed.send(words("came over the hills and far away ")).await.unwrap();
    feed.closed().await;
    let reply = live.rest().await;
    assert!(reply.streamed().starts_with("A zork "), "{}", reply.text);
    assert_eq!(reasons(&reply, 0), ["content_filter"]);
}

#[tokio::test]
async fn what_is_taken_out_and_what_comes_back_may_be_cut_anywhere() {
    let policy = PolicyFile::new(
        "restore: true\nrules:\n  - {id: cards, on: [input, output], when: pii.credit_card > 0, do: redact}\n",
    );
    let said = "Yours is <CREDIT_CARD_1>, not 5500 0000 0000 0004.";
    for size in [1, 2, 5, 11] {
        let letters: Vec<char> = said.chars().collect();
        let mut pieces: Vec<Bytes> =
            letters.chunks(size).map(|letters| words(&letters.iter().collect::<String>())).collect();
        pieces.extend([finish("stop"), Bytes::from_static(DONE)]);
        let model = Model::start(Script::Raw(200, "text/event-stream", pieces.concat().into())).await;
        let reply = before(&model, &policy).await.chat(ask("My card is 4111 1111 1111 1111.")).await;
        assert!(!model.last().to_string().contains("4111"));
        assert_eq!(reply.streamed(), "Yours is 4111 1111 1111 1111, not [CREDIT_CARD].", "pieces of {size}");
    }
}

/// A gateway that asks another guard about texts of this direction, with its policy. `more` stands before the rule.
async fn judged_by(guard: &Model, model: &Model, direction: &str, more: &str) -> (TestApp, PolicyFile) {
    let rule = format!(
        "{{id: opinion, on: [{direction}], when: llama_guard.harm > 0.5, do: refuse, reply: generic}}"
    );
    let policy = PolicyFile::new(&format!("{more}rules:\n  - {rule}\n"));
    let upstream = format!("upstream: {{name: guard, url: '{}', retries: 0}}", guard.url);
    let app = TestApp::with(model, |settings| {
        settings.policy = Some(policy.path());
        settings.guards = Some(format!("[{{kind: llama_guard, model: guard, {upstream}}}]").parse().unwrap());
    });
    (app.await, policy)
}

/// What a client gets when the first words are judged before the others are said, and how second looks ended: refused,
/// cleared.
async fn after_first_words(guard: &Model) -> (Reply, [f64; 2]) {
    let (feed, script) = fed();
    let model = Model::start(script).await;
    let (app, _policy) = judged_by(guard, &model, "output", "").await;
    let asked = tokio::spawn(Live::of(app.post("/v1/chat/completions").json(&ask("hello"))));
    feed.send(words("The first words of it ")).await.unwrap();
    guard.was_asked().await;
    for piece in [words("and the others."), finish("stop"), DONE.into()] {
        // Refused by then, the model is no longer listened to.
        feed.send(piece).await.ok();
    }
    drop(feed);
    let reply = asked.await.unwrap().rest().await;
    let looks = async |outcome| {
        app.metric(&format!("demur_stream_second_looks_total{{outcome=\"{outcome}\"}}")).await
    };
    (reply, [looks("refused").await, looks("cleared").await])
}

#[tokio::test]
async fn what_reads_as_harm_in_part_is_judged_again_with_what_follows() {
    let unsafe_ = || Box::new(Script::Say("unsafe\nS9".into()));
    let then = |second| Model::start(Script::Then(unsafe_(), second));
    let (reply, looks) = after_first_words(&then(Box::new(Script::Say("safe".into()))).await).await;
    assert_eq!((reply.streamed().as_str(), looks), ("The first words of it and the others.", [0.0, 1.0]));
    let (reply, looks) = after_first_words(&then(unsafe_()).await).await;
    assert!(!reply.text.contains("first words"), "{}", reply.text);
    assert_eq!((reasons(&reply, 0), looks), (vec!["content_filter".to_owned()], [1.0, 0.0]));
}

/// A gateway that asks the model beside a guard that answers when the test says so.
async fn beside(model: &Model, opinion: &str) -> (TestApp, Arc<Semaphore>, PolicyFile) {
    let said = Arc::new(Semaphore::new(0));
    let guard = Model::start(Script::Once(Arc::clone(&said), Box::new(Script::Say(opinion.into())))).await;
    let (app, policy) = judged_by(&guard, model, "input", "input: beside\n").await;
    (app, said, policy)
}

#[tokio::test]
async fn beside_the_model_is_asked_at_once_and_nothing_is_shown_before_the_question_is_cleared() {
    let (feed, script) = fed();
    let model = Model::start(script).await;
    let (app, said, _policy) = beside(&model, "safe").await;
    let asked = tokio::spawn(Live::of(app.post("/v1/chat/completions").json(&ask("hello"))));
    for piece in sse("hello to you") {
        // Each piece is taken before the next has room: the model speaks, and the guard has not.
        feed.send(piece).await.unwrap();
    }
    drop(feed);
    assert!(!asked.is_finished());
    said.add_permits(1);
    assert_eq!(asked.await.unwrap().rest().await.streamed(), "hello to you");
    assert_eq!(model.bodies().len(), 1);
}

#[tokio::test]
async fn beside_a_refusal_stops_the_model() {
    let (feed, script) = fed();
    let model = Model::start(script).await;
    let (app, said, _policy) = beside(&model, "unsafe\nS9").await;
    let asked = tokio::spawn(Live::of(app.post("/v1/chat/completions").json(&ask("hello"))));
    for text in ["never ", "shown "] {
        feed.send(words(text)).await.unwrap();
    }
    model.change(Script::Hang);
    said.add_permits(1);
    let reply = asked.await.unwrap().rest().await;
    feed.closed().await;
    assert!(!reply.text.contains("never"), "{}", reply.text);
    assert_eq!(
        (reply.header("x-demur-rules"), reasons(&reply, 0)),
        ("opinion", vec!["content_filter".to_owned()])
    );
}

#[tokio::test]
async fn beside_a_question_that_is_changed_is_asked_again() {
    let model = Model::start(Script::Echo).await;
    let policy = PolicyFile::new(
        "input: beside\nrestore: true\nrules:\n  - {id: cards, on: [input], when: pii.credit_card > 0, do: redact}\n",
    );
    let reply = before(&model, &policy).await.chat(ask("card 4111 1111 1111 1111")).await;
    assert_eq!(model.last()["messages"][0]["content"], "card <CREDIT_CARD_1>");
    assert_eq!(reply.streamed(), "card 4111 1111 1111 1111");
}
