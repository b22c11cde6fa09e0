//! A scripted model that says its prose at the rate that is asked of it, and tells with every token when it was sent.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use demur::dialect::sse;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::prose;
use crate::roles;

/// Serves it. One thread: it must not take the cores from what is measured.
pub(crate) fn serve() -> anyhow::Result<()> {
    let router = Router::new().route("/v1/chat/completions", post(answer));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(roles::serve(router))
}

/// Microseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The name of the model is its rate, in tokens a second, and the seed the page that it says.
async fn answer(body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let rate = asked["model"].as_str().and_then(|name| name.parse::<f64>().ok());
    let Some(rate) = rate.filter(|rate| *rate > 0.0) else {
        return (StatusCode::BAD_REQUEST, "a rate as the model's name is expected").into_response();
    };
    let page = asked["seed"].as_u64().and_then(|page| usize::try_from(page).ok()).unwrap_or(0);
    let (tokens, begun) = (prose::tokens(&prose::page(page)), Instant::now());
    let events = stream::unfold(0, move |i| {
        let token = tokens.get(i).cloned();
        let end = i == tokens.len();
        async move {
            let event = match token {
                Some(token) => {
                    sleep_until(begun + Duration::from_secs_f64(i as f64 / rate)).await;
                    chunk(&json!({"content": token}), &Value::Null)
                }
                None if end => {
                    let last = chunk(&json!({}), &"stop".into());
                    [last, sse::event(sse::DONE)].concat().into()
                }
                None => return None,
            };
            Some((Ok::<_, Infallible>(event), i + 1))
        }
    });
    ([(header::CONTENT_TYPE, sse::CONTENT_TYPE)], Body::from_stream(events)).into_response()
}

fn chunk(delta: &Value, finish_reason: &Value) -> Bytes {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    let chunk = json!({
        "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": now(), "model": "scripted",
        "choices": [choice],
    });
    sse::event(&chunk.to_string())
}
