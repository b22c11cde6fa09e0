//! A flow as the body of an answer.

use std::time::Instant;

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    super::{Answer, AnswerBody, Gateway},
    Flow,
};
use crate::{
    dialect::{native, sse},
    upstream::UpstreamError,
    verdict::{StreamMode, Verdict},
};

impl Gateway {
    /// Follows a stream. The answer begins with the first words, so that its headers tell what is known by then; where
    /// nothing is held back, with the first event.
    ///
    /// # Errors
    /// The upstream's answer broke before anything of it was shown.
    pub(in crate::gateway) async fn follow(
        &self,
        mut flow: Flow,
        mut headers: HeaderMap,
    ) -> Result<Answer, UpstreamError> {
        let asked = Instant::now();
        let at_once = flow.turn.guard.shape().mode == StreamMode::Audit;
        let mut first = Vec::new();
        loop {
            let Some(events) = flow.next().await.inspect_err(|_| flow.finish("broken"))? else { break };
            first.extend(events);
            if flow.begun || flow.outcome.is_some() || at_once {
                break;
            }
        }
        let judging = flow.output.as_ref().map(|judged| judged.took).unwrap_or_default();
        flow.turn.waited += asked.elapsed().saturating_sub(judging);
        let verdicts: Vec<&Verdict> =
            std::iter::once(&flow.input).chain(&flow.output).map(|judged| &judged.verdict).collect();
        headers.extend(native::headers(&verdicts, flow.input.took + judging));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(sse::CONTENT_TYPE));
        self.observe(&flow.turn);
        let body = stream::iter(first).chain(rest(flow)).boxed();
        Ok(Answer { status: StatusCode::OK, headers, body: AnswerBody::Live(body) })
    }
}

/// The events that are still to come. A stream that breaks off ends in its format's own way.
fn rest(flow: Flow) -> BoxStream<'static, Bytes> {
    let batches = stream::unfold(flow, |mut flow| async move {
        match flow.next().await {
            Ok(events) => events.map(|events| (events, flow)),
            Err(_) if flow.outcome.is_some() => None,
            Err(error) => {
                flow.source = None;
                flow.judging = None;
                flow.queue.clear();
                flow.finish("broken");
                let events = flow.reader.broken(&error.to_string());
                Some((events, flow))
            }
        }
    });
    batches.flat_map(stream::iter).boxed()
}
