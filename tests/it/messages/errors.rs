//! Errors in Anthropic's form, and how Anthropic's servers are asked.

use super::*;

/// The status and the error's type, once the error is seen to be of Anthropic's form.
fn error(reply: &Reply) -> (u16, String) {
    let json = reply.json();
    assert_eq!(json["type"], "error", "{}", reply.text);
    assert!(json["error"]["message"].is_string(), "{}", reply.text);
    assert_eq!(json["request_id"], reply.header("x-request-id"), "{}", reply.text);
    assert_eq!(reply.header("content-type"), "application/json");
    (reply.status, json["error"]["type"].as_str().unwrap().to_owned())
}

fn expected(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

#[tokio::test]
async fn a_bad_request_is_told_in_anthropics_form() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::with(&model, |settings| settings.max_body = Some("2KiB".parse().unwrap())).await;
    let bad = Reply::of(app.post(PATH).body("{")).await;
    assert_eq!(error(&bad), expected(400, "invalid_request_error"));
    let unnamed = app.send(COUNT, json!({"messages": []})).await;
    assert_eq!(error(&unnamed), expected(400, "invalid_request_error"));
    assert!(unnamed.text.contains("model"));
    let large = Reply::of(app.post(PATH).body("x".repeat(4096))).await;
    assert_eq!(error(&large), expected(413, "request_too_large"));
    let nowhere = Reply::of(app.post("/v1/messages/batches").body("{}")).await;
    assert_eq!(error(&nowhere), expected(404, "not_found_error"));
    let method = Reply::of(app.client.get(format!("{}{PATH}", app.url))).await;
    assert_eq!(error(&method), expected(405, "invalid_request_error"));
    // And nowhere else.
    assert_eq!(app.raw("{").await.json()["error"]["param"], Value::Null);
}

#[tokio::test]
async fn keys_and_rates_are_told_in_anthropics_form() {
    let model = Model::start(Script::Say("fine".into())).await;
    let hash = demur::http::keys::hash("dm-secret");
    let keys = format!("[{{name: a, sha256: {hash}, requests_per_minute: 1, burst: 1}}]");
    let app = TestApp::with(&model, |settings| settings.keys = Some(keys.parse().unwrap())).await;
    assert_eq!(error(&app.send(PATH, ask("hi")).await), expected(401, "authentication_error"));
    let send = async || Reply::of(app.post(PATH).header("x-api-key", "dm-secret").json(&ask("hi"))).await;
    assert_eq!(send().await.status, 200);
    let limited = send().await;
    assert_eq!(error(&limited), expected(429, "rate_limit_error"));
    assert!(!limited.header("retry-after").is_empty());
}

#[tokio::test]
async fn beyond_the_limit_load_is_shed_in_anthropics_form() {
    let model = Model::start(Script::Hang).await;
    let app = TestApp::with(&model, |settings| settings.max_in_flight = Some(1)).await;
    let first = tokio::spawn(app.post(PATH).json(&ask("hi")).send());
    while app.metric("demur_requests_in_flight").await == 0.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(error(&app.send(PATH, ask("hi")).await), expected(503, "overloaded_error"));
    first.abort();
}

#[tokio::test]
async fn an_upstreams_error_is_passed_on_in_its_words_or_in_ours() {
    let own =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#;
    let model = Model::start(Script::Raw(529, "application/json", own.into())).await;
    let app = TestApp::before(&model).await;
    let reply = app.send(PATH, ask("hi")).await;
    assert_eq!((reply.status, reply.text.as_str()), (529, own));
    model.change(Script::Raw(404, "application/json", r#"{"error":{"message":"no such model"}}"#.into()));
    let reply = app.send(PATH, ask("hi")).await;
    assert_eq!(error(&reply), expected(404, "not_found_error"));
    assert!(reply.text.contains("no such model"));
    model.change(Script::Raw(500, "text/html", "<h1>secret machine</h1>".into()));
    let reply = app.send(PATH, ask("hi")).await;
    assert_eq!(error(&reply), expected(500, "api_error"));
    assert!(!reply.text.contains("secret machine"));
    model.change(Script::Raw(200, "application/json", "{}".into()));
    assert_eq!(error(&app.send(PATH, ask("hi")).await), expected(502, "api_error"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error_before_its_first_words_and_an_event_behind_them() {
    let begun = [message_start(), block_start(0, &json!({"type": "text", "text": ""}))];
    let model = Model::start(Script::BreakOff(begun.to_vec())).await;
    let app = TestApp::before(&model).await;
    assert_eq!(error(&app.send(PATH, streamed("hi")).await), expected(502, "api_error"));
    let (feed, script) = fed();
    model.change(script);
    feed.send([&begun[..], &[text_delta(0, "Once upon a time ")]].concat().concat().into()).await.unwrap();
    let mut live = Live::of(app.post(PATH).json(&streamed("Tell me a story."))).await;
    live.until("upon").await;
    feed.send(Bytes::new()).await.unwrap();
    let reply = live.rest().await;
    let last = events(&reply).pop().unwrap();
    assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!("api_error")));
}

async fn before_anthropic(model: &Model) -> TestApp {
    let upstreams =
        format!("[{{name: claude, kind: anthropic, url: '{}', key: up-key, models: ['*']}}]", model.url);
    TestApp::with(model, |settings| {
        settings.upstream = None;
        settings.upstreams = Some(upstreams.parse().unwrap());
    })
    .await
}

#[tokio::test]
async fn anthropics_servers_get_their_key_and_version() {
    let model = Model::start(Script::Say("fine".into())).await;
    let app = before_anthropic(&model).await;
    app.post(PATH).header("x-api-key", "client-key").json(&ask("hi")).send().await.unwrap();
    let headers = model.last_headers();
    assert_eq!(
        (&headers["x-api-key"], &headers["anthropic-version"]),
        (&"up-key".parse().unwrap(), &"2023-06-01".parse().unwrap())
    );
    assert!(!headers.contains_key("authorization"));
    let own = app
        .post(PATH)
        .header("anthropic-version", "2024-01-01")
        .header("anthropic-beta", "b-1")
        .json(&ask("hi"));
    own.send().await.unwrap();
    let headers = model.last_headers();
    assert_eq!(
        (&headers["anthropic-version"], &headers["anthropic-beta"]),
        (&"2024-01-01".parse().unwrap(), &"b-1".parse().unwrap())
    );
    // OpenAI's clients are served there as OpenAI serves them.
    app.ask("hi").await;
    let headers = model.last_headers();
    assert_eq!(headers["authorization"], "Bearer up-key");
    assert!(!headers.contains_key("x-api-key"));
}
