//! The answer: gathered, judged beside its question, changed as the verdict says.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};

use super::{Answer, Gateway, GatewayError, Turn, answer, input::Changes};
use crate::{
    dialect::chat::ChatAnswer,
    guard::{
        Judged,
        redact::{Pseudonyms, Syntax, mask},
        reply::place_notice,
    },
    message::{Direction, Exchange, Place},
    upstream::{Reply, ReplyBody, UpstreamError},
    verdict::{Action, NoticeAt, Redaction},
};

impl Gateway {
    /// Judges an upstream's answer and sends off what may be shown of it.
    pub(super) async fn answer(
        &self,
        mut turn: Turn,
        input: Judged,
        changes: Changes,
        reply: Reply,
    ) -> Result<Answer, GatewayError> {
        let Reply { headers, upstream, body, .. } = reply;
        let broken = |reason: String| UpstreamError::Broken { upstream: upstream.clone(), reason };
        let mut answer = match body {
            ReplyBody::Events(events) if self.may_show_at_once(&turn, &changes) => {
                return Ok(self.show_live(turn, input, headers, events));
            }
            ReplyBody::Whole(body) => ChatAnswer::from_whole(body).map_err(broken)?,
            ReplyBody::Events(events) => {
                let asked = Instant::now();
                let events = self.gather(events, &upstream).await?;
                turn.waited += asked.elapsed();
                ChatAnswer::from_events(events).map_err(broken)?
            }
        };
        if answer.model_declined() {
            self.metrics.model_refusals.with_label_values(&[&turn.request.model]).inc();
        }
        let output = turn.judge_output(&answer, &input).await;
        if output.verdict.action == Action::Refuse {
            let id = format!("chatcmpl-{}", turn.id);
            answer = answer.refused(&id, turn.created, &turn.request.model, &turn.reply_to(&output));
        } else {
            redact(&mut answer, &output);
            restore(&mut answer, &changes.pseudonyms);
            let mut notices = changes.notices;
            notices.extend(answer::notices(&output, &turn.replies, turn.region.as_deref()));
            add_notices(&mut answer, notices);
        }
        Ok(self.finish(&turn, answer, headers, &input, Some(&output)))
    }

    /// A stream need not be put together when nothing could change it: no rule acts on answers, nothing has to
    /// be restored or added.
    fn may_show_at_once(&self, turn: &Turn, changes: &Changes) -> bool {
        !turn.guard.policy().acts_on(Direction::Output)
            && changes.pseudonyms.is_empty()
            && changes.notices.is_empty()
            && !turn.request.wants_moderation
            && !self.settings.verdict_in_body
    }

    /// All of a stream, held until it can be judged.
    async fn gather(
        &self,
        mut events: BoxStream<'static, Result<Bytes, UpstreamError>>,
        upstream: &str,
    ) -> Result<Vec<Bytes>, UpstreamError> {
        let mut held = Vec::new();
        let mut bytes = 0;
        while let Some(chunk) = events.next().await {
            let chunk = chunk?;
            bytes += chunk.len();
            if bytes > self.settings.max_answer_bytes {
                let reason = format!("more than {} bytes", self.settings.max_answer_bytes);
                return Err(UpstreamError::Broken { upstream: upstream.to_owned(), reason });
            }
            held.push(chunk);
        }
        Ok(held)
    }
}

impl Turn {
    pub(super) async fn judge_output(&self, answer: &ChatAnswer, input: &Judged) -> Judged {
        let context = Arc::clone(&input.task.exchange.segments);
        self.guard.judge(Exchange::output(answer.segments(), context)).await
    }
}

/// Masks what the output rules take out. These values were never the client's, so they don't come back.
fn redact(answer: &mut ChatAnswer, output: &Judged) {
    for (i, segment) in output.segments().iter().enumerate() {
        let of_segment: Vec<&Redaction> =
            output.verdict.redactions.iter().filter(|r| r.segment == i).collect();
        if !of_segment.is_empty() {
            answer.replace(&segment.pointer, mask(&segment.text, &of_segment));
        }
    }
}

/// Puts back what was taken out of the question, in every text of the answer.
fn restore(answer: &mut ChatAnswer, pseudonyms: &Pseudonyms) {
    if pseudonyms.is_empty() {
        return;
    }
    for segment in answer.segments() {
        let syntax = if segment.place == Place::ToolCall { Syntax::Json } else { Syntax::Text };
        let restored = pseudonyms.restore(&segment.text, syntax);
        if *restored != *segment.text {
            answer.replace(&segment.pointer, restored);
        }
    }
}

fn add_notices(answer: &mut ChatAnswer, notices: Vec<(String, NoticeAt)>) {
    for (notice, at) in notices {
        answer.map_content(|text| place_notice(text, &notice, at));
    }
}
