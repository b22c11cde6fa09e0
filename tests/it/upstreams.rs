//! Several upstreams: routing by model, fallback, retries, the circuit breaker.

use axum::body::Bytes;
use serde_json::json;

use crate::support::{Model, Reply, Script, TestApp};

/// A gateway in front of the upstreams of this YAML list.
async fn before(upstreams: &str) -> TestApp {
    let model = Model::start(Script::Echo).await;
    TestApp::with(&model, |settings| {
        settings.upstream = None;
        settings.upstreams = Some(upstreams.parse().unwrap());
    })
    .await
}

async fn ask(app: &TestApp, model: &str) -> Reply {
    app.chat(json!({"model": model, "messages": [{"role": "user", "content": "hello"}]})).await
}

fn failing(status: u16) -> Script {
    Script::Raw(status, "application/json", Bytes::from_static(br#"{"error": {"message": "not now"}}"#))
}

fn attempts(upstream: &str, outcome: &str) -> String {
    format!(r#"demur_upstream_attempts_total{{outcome="{outcome}",upstream="{upstream}"}}"#)
}

#[tokio::test]
async fn the_models_name_chooses_and_the_closest_pattern_wins() {
    let (small, large) =
        (Model::start(Script::Say("small".into())).await, Model::start(Script::Say("large".into())).await);
    let app = before(&format!(
        "[{{name: small, url: '{}', models: ['*']}}, {{name: large, url: '{}', models: ['big-*'], rename: real-name}}]",
        small.url, large.url
    ))
    .await;
    assert_eq!(ask(&app, "anything").await.content(), "small");
    assert_eq!(ask(&app, "big-one").await.content(), "large");
    assert_eq!(large.last()["model"], "real-name");
}

#[tokio::test]
async fn a_model_that_nobody_serves_is_not_found() {
    let model = Model::start(Script::Echo).await;
    let app = before(&format!("[{{name: only, url: '{}', models: [known]}}]", model.url)).await;
    let reply = ask(&app, "unknown").await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, error["code"].as_str().unwrap()), (404, "model_not_found"));
    assert!(error["message"].as_str().unwrap().contains("known"), "{error}");
}

#[tokio::test]
async fn the_next_in_line_answers_when_the_first_does_not() {
    for script in [failing(500), failing(429)] {
        let (first, second) = (Model::start(script).await, Model::start(Script::Say("second".into())).await);
        let app = before(&format!(
            "[{{name: second, url: '{}', priority: 1}}, {{name: first, url: '{}', retries: 0}},
              {{name: gone, url: 'http://127.0.0.1:9/v1', retries: 0}}]",
            second.url, first.url
        ))
        .await;
        assert_eq!(ask(&app, "any").await.content(), "second");
        assert_eq!(first.bodies().len(), 1);
    }
}

#[tokio::test]
async fn a_request_at_fault_is_not_tried_elsewhere() {
    let (first, second) = (Model::start(failing(400)).await, Model::start(Script::Echo).await);
    let app = before(&format!(
        "[{{name: first, url: '{}'}}, {{name: second, url: '{}', priority: 1}}]",
        first.url, second.url
    ))
    .await;
    assert_eq!(ask(&app, "any").await.status, 400);
    assert!(second.bodies().is_empty());
}

#[tokio::test]
async fn weights_share_the_requests() {
    let (light, heavy) = (Model::start(Script::Echo).await, Model::start(Script::Echo).await);
    let app = before(&format!(
        "[{{name: light, url: '{}', weight: 1}}, {{name: heavy, url: '{}', weight: 9}}]",
        light.url, heavy.url
    ))
    .await;
    for _ in 0..100 {
        assert_eq!(ask(&app, "any").await.status, 200);
    }
    // 90 are expected; fewer than 70 come once in a hundred million runs.
    assert!(heavy.bodies().len() >= 70, "{} of 100", heavy.bodies().len());
    assert_eq!(light.bodies().len() + heavy.bodies().len(), 100);
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let model = Model::start(failing(503)).await;
    let app = before(&format!("[{{name: flaky, url: '{}', retries: 2}}]", model.url)).await;
    assert_eq!(ask(&app, "any").await.status, 503);
    assert_eq!(model.bodies().len(), 3);
    model.change(Script::Say("better".into()));
    assert_eq!(ask(&app, "any").await.content(), "better");
}

#[tokio::test]
async fn an_upstream_that_keeps_failing_is_left_alone_and_tried_later() {
    let model = Model::start(failing(500)).await;
    let app = before(&format!(
        "[{{name: ill, url: '{}', retries: 0, breaker: {{failures: 3, open_for: 300ms}}}}]",
        model.url
    ))
    .await;
    for _ in 0..3 {
        assert_eq!(ask(&app, "any").await.status, 500);
    }
    assert_eq!(app.metric(r#"demur_upstream_breaker_open{upstream="ill"}"#).await, 1.0);
    let kept_away = ask(&app, "any").await;
    assert_eq!((kept_away.status, model.bodies().len()), (503, 3));
    assert!(!kept_away.header("retry-after").is_empty());
    assert_eq!(app.client.get(format!("{}/readyz", app.ops)).send().await.unwrap().status(), 503);
    model.change(Script::Say("well".into()));
    let answered = async {
        while ask(&app, "any").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), answered)
        .await
        .expect("it was never tried again");
    assert_eq!(app.metric(r#"demur_upstream_breaker_open{upstream="ill"}"#).await, 0.0);
    assert_eq!(app.metric(&attempts("ill", "500")).await, 3.0);
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_given_up() {
    let model = Model::start(Script::Hang).await;
    let app = before(&format!("[{{name: mute, url: '{}', first_byte_timeout: 200ms}}]", model.url)).await;
    assert_eq!(ask(&app, "any").await.status, 504);
    // It may be at work: asking again would double that.
    assert_eq!(model.bodies().len(), 1);
}
