//! The rest of the surface: keys, rates, operations, the specification.

use serde_json::{Value, json};

use crate::support::{Model, Reply, Script, TestApp};

fn body() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
}

#[tokio::test]
async fn without_a_key_nothing_is_answered() {
    let model = Model::start(Script::Echo).await;
    let keys = format!("[{{name: a, sha256: {}}}]", demur::http::keys::hash("dm-secret"));
    let app = TestApp::with(&model, |settings| settings.keys = Some(keys.parse().unwrap())).await;
    assert_eq!(app.chat(body()).await.status, 401);
    let wrong = Reply::of(app.post("/v1/chat/completions").bearer_auth("dm-wrong").json(&body())).await;
    assert_eq!((wrong.status, wrong.json()["error"]["code"].as_str().unwrap()), (401, "invalid_api_key"));
    let right = Reply::of(app.post("/v1/chat/completions").bearer_auth("dm-secret").json(&body())).await;
    assert_eq!(right.status, 200);
    assert_eq!(app.metric(r#"demur_rejected_total{reason="auth"}"#).await, 2.0);
    assert!(model.bodies().len() == 1);
}

#[tokio::test]
async fn a_key_has_its_rate() {
    let model = Model::start(Script::Echo).await;
    let hash = demur::http::keys::hash("dm-secret");
    let keys = format!("[{{name: a, sha256: {hash}, requests_per_minute: 1, burst: 1}}]");
    let app = TestApp::with(&model, |settings| settings.keys = Some(keys.parse().unwrap())).await;
    let ask =
        async || Reply::of(app.post("/v1/chat/completions").bearer_auth("dm-secret").json(&body())).await;
    assert_eq!(ask().await.status, 200);
    let limited = ask().await;
    assert_eq!(
        (limited.status, limited.json()["error"]["code"].as_str().unwrap()),
        (429, "rate_limit_exceeded")
    );
    assert!(limited.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn beyond_the_limit_load_is_shed() {
    let model = Model::start(Script::Hang).await;
    let app = TestApp::with(&model, |settings| settings.max_in_flight = Some(1)).await;
    let first = tokio::spawn(app.post("/v1/chat/completions").json(&body()).send());
    while app.metric("demur_requests_in_flight").await == 0.0 {
        tokio::task::yield_now().await;
    }
    let second = app.chat(body()).await;
    assert_eq!((second.status, second.json()["error"]["code"].as_str().unwrap()), (503, "overloaded"));
    assert!(!second.header("retry-after").is_empty());
    first.abort();
}

#[tokio::test]
async fn operations_have_their_own_listener() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::before(&model).await;
    let get = async |base: &str, path: &str| Reply::of(app.client.get(format!("{base}{path}"))).await;
    assert_eq!(get(&app.ops, "/healthz").await.status, 200);
    assert_eq!(get(&app.ops, "/readyz").await.text, "ready\n");
    assert!(get(&app.ops, "/metrics").await.text.contains("demur_build_info{version="));
    assert_eq!(get(&app.url, "/metrics").await.status, 404);
    assert_eq!(get(&app.url, "/v1/chat/completions").await.status, 405);
    let nowhere = get(&app.url, "/nowhere").await;
    assert_eq!(nowhere.json()["error"]["code"], "unknown_url");
}

#[tokio::test]
async fn the_specification_lists_every_route() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::before(&model).await;
    let api = Reply::of(app.client.get(format!("{}/openapi.json", app.url))).await.json();
    let paths: Vec<&String> = api["paths"].as_object().unwrap().keys().collect();
    let expected =
        ["/v1/chat/completions", "/v1/guard/check", "/v1/models", "/v1/moderations", "/v1/responses"];
    assert_eq!(paths, expected);
    assert!(api["components"]["schemas"]["CheckResponse"].is_object());
}

#[tokio::test]
async fn a_clients_request_id_is_kept() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::before(&model).await;
    let reply =
        Reply::of(app.post("/v1/chat/completions").header("x-request-id", "abc-1").json(&body())).await;
    assert_eq!(reply.header("x-request-id"), "abc-1");
    assert_eq!(model.last_headers()["x-request-id"], "abc-1");
    let long =
        Reply::of(app.post("/v1/chat/completions").header("x-request-id", "a".repeat(500)).json(&body()))
            .await;
    assert_eq!(long.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn every_answer_is_counted() {
    let model = Model::start(Script::Echo).await;
    let app = TestApp::before(&model).await;
    app.ask("hello").await;
    app.raw("{").await;
    assert_eq!(app.metric(r#"demur_requests_total{code="200",policy="default",surface="chat"}"#).await, 1.0);
    assert_eq!(app.metric(r#"demur_requests_total{code="400",policy="none",surface="chat"}"#).await, 1.0);
    assert_eq!(app.metric("demur_overhead_seconds_count").await, 1.0);
}
