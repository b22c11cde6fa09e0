//! A stream that no rule may act on: shown as it comes, gathered beside, judged at its end for the metrics.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{Answer, AnswerBody, Gateway, Turn};
use crate::{
    dialect::{chat::ChatAnswer, error::ErrorBody, native, sse},
    guard::Judged,
    telemetry::Metrics,
    upstream::UpstreamError,
};

impl Gateway {
    pub(super) fn show_live(
        &self,
        turn: Turn,
        input: Judged,
        mut headers: HeaderMap,
        events: BoxStream<'static, Result<Bytes, UpstreamError>>,
    ) -> Answer {
        headers.extend(native::headers(&[&input.verdict], input.took));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(sse::CONTENT_TYPE));
        self.observe(&turn);
        let copy = Copy {
            turn,
            input,
            metrics: Arc::clone(&self.metrics),
            held: Vec::new(),
            bytes: 0,
            limit: self.settings.max_answer_bytes,
        };
        let body = AnswerBody::Live(follow(copy, events));
        Answer { status: StatusCode::OK, headers, body }
    }
}

/// What is kept of a stream that has been shown.
struct Copy {
    turn: Turn,
    input: Judged,
    metrics: Arc<Metrics>,
    held: Vec<Bytes>,
    bytes: usize,
    limit: usize,
}

impl Copy {
    fn keep(&mut self, chunk: &Bytes) {
        self.bytes += chunk.len();
        // Beyond the limit the rest goes unjudged: nothing could be done about it any more, only counted.
        if self.bytes <= self.limit {
            self.held.push(chunk.clone());
        }
    }

    async fn judge(self) {
        let Ok(answer) = ChatAnswer::from_events(self.held) else { return };
        if answer.model_declined() {
            self.metrics.model_refusals.with_label_values(&[&self.turn.request.model]).inc();
        }
        self.turn.judge_output(&answer, &self.input).await;
    }
}

/// Passes chunks on and keeps a copy. A stream that breaks off ends with an error event, as OpenAI's do.
fn follow(copy: Copy, events: BoxStream<'static, Result<Bytes, UpstreamError>>) -> BoxStream<'static, Bytes> {
    let state = Some((copy, events));
    stream::unfold(state, |state| async move {
        let (mut copy, mut events) = state?;
        match events.next().await {
            Some(Ok(chunk)) => {
                copy.keep(&chunk);
                Some((chunk, Some((copy, events))))
            }
            Some(Err(error)) => {
                let event = ErrorBody::new("upstream_error", Some("upstream_broken"), error.to_string());
                let event = String::from_utf8_lossy(&event.to_bytes()).into_owned();
                Some((sse::event(&event), None))
            }
            None => {
                tokio::spawn(copy.judge());
                None
            }
        }
    })
    .boxed()
}
