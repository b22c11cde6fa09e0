//! The guard as a tower layer around an axum router.

use std::sync::Arc;

use axum::{Json, Router, body::Body, extract::Request, http::StatusCode, routing::post};
use demur::{
    app::Loader,
    config::{self, Settings},
    guard::Detectors,
    http::layer::GuardLayer,
    telemetry::Metrics,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::{Layer, Service, ServiceExt};

use crate::support::{PolicyFile, REFUSE_ZORK, completion};

/// A router that repeats the user's last words, guarded by a policy.
fn guarded(
    policy: &PolicyFile,
) -> impl Service<Request, Response = axum::response::Response, Error = std::convert::Infallible> {
    let settings =
        Settings { policy: Some(policy.path()), guard_model: Some("none".into()), ..Settings::default() };
    let config = config::resolve(settings, None).unwrap();
    let metrics = Arc::new(Metrics::new());
    let loader = Loader::new(config.rules, Detectors::builtin(), config.guard, Arc::clone(&metrics));
    let rules = Arc::new(loader.load().unwrap());
    let echo = |Json(body): Json<Value>| async move {
        let last = body["messages"][0]["content"].as_str().unwrap_or_default();
        Json(completion(&last.replace("kroz", "zork")))
    };
    let router =
        Router::new().route("/v1/chat/completions", post(echo)).route("/other", post(|| async { "zork" }));
    GuardLayer::new(rules, config.gateway, 1 << 20, metrics).layer(router)
}

async fn ask(policy: &PolicyFile, path: &str, text: &str) -> (StatusCode, String, String) {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
    let request =
        Request::post(path).header("content-type", "application/json").body(Body::from(body)).unwrap();
    let response = guarded(policy).oneshot(request).await.unwrap();
    let verdict = response.headers().get("x-demur-verdict").map(|value| value.to_str().unwrap().to_owned());
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, verdict.unwrap_or_default(), String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn a_service_of_this_process_answers_guarded() {
    let policy = PolicyFile::new(REFUSE_ZORK);
    let (status, verdict, body) = ask(&policy, "/v1/chat/completions", "hello").await;
    assert_eq!((status, &*verdict), (StatusCode::OK, "allow"));
    assert!(body.contains("hello"));
    for text in ["say zork", "say kroz"] {
        let (status, verdict, body) = ask(&policy, "/v1/chat/completions", text).await;
        assert_eq!((status, &*verdict), (StatusCode::OK, "refuse"), "{text}");
        assert!(body.contains("content_filter") && !body.contains("zork"), "{body}");
    }
}

#[tokio::test]
async fn what_is_no_dialect_of_ours_passes() {
    let policy = PolicyFile::new(REFUSE_ZORK);
    assert_eq!(ask(&policy, "/other", "zork").await, (StatusCode::OK, String::new(), "zork".to_owned()));
}
