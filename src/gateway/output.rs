//! A whole answer: judged beside its question, changed as the verdict says.

use std::sync::Arc;

use super::{
    Gateway, GatewayError, Settings, Turn, answer,
    input::Changes,
    stream::{self, Flow},
};
use crate::{
    dialect::Answer,
    guard::{
        Judged,
        redact::{Pseudonyms, Syntax, mask},
        reply::place_notice,
    },
    message::{Exchange, Place},
    upstream::{Reply, ReplyBody, UpstreamError},
    verdict::{Action, NoticeAt, Redaction},
};

impl Gateway {
    /// Judges an upstream's answer and sends off what may be shown of it.
    pub(super) async fn answer(
        &self,
        turn: Turn,
        input: Judged,
        changes: Changes,
        reply: Reply,
    ) -> Result<super::Answer, GatewayError> {
        let Reply { headers, upstream, body, .. } = reply;
        let body = match body {
            ReplyBody::Events(events) => {
                let flow = Flow::new(self, turn, input, changes, upstream, events);
                return Ok(self.follow(flow, headers).await?);
            }
            ReplyBody::Whole(body) => body,
        };
        let mut answer = Answer::read(turn.request.dialect(), body)
            .map_err(|reason| UpstreamError::Broken { upstream, reason })?;
        if answer.declined() {
            self.metrics.model_refusals.with_label_values(&[&turn.request.asked().model]).inc();
        }
        let output = turn.judge_output(&answer, &input).await;
        if output.verdict.action == Action::Refuse {
            answer = turn.refusal(&output, &turn.reply_to(&output), Some(answer.json()));
        } else {
            redact(&mut answer, &output);
            restore(&mut answer, &changes.pseudonyms);
            let mut notices = changes.notices;
            notices.extend(answer::notices(&output, &turn.replies, turn.region.as_deref()));
            add_notices(&mut answer, notices);
        }
        Ok(self.finish(&turn, answer, headers, &input, Some(&output)))
    }

    /// What a stream of an answer is held to.
    pub(super) fn stream_settings(&self, surface: &'static str) -> stream::Settings {
        let Settings { max_answer_bytes: max_bytes, verdict_in_body, .. } = self.settings;
        stream::Settings { max_bytes, verdict_in_body, surface }
    }
}

impl Turn {
    pub(super) async fn judge_output(&self, answer: &Answer, input: &Judged) -> Judged {
        let context = Arc::clone(&input.task.exchange.segments);
        self.guard.judge(Exchange::output(answer.segments(), context).by(self.caller.clone())).await
    }
}

/// Masks what the output rules take out. These values were never the client's, so they don't come back.
fn redact(answer: &mut Answer, output: &Judged) {
    for (i, segment) in output.segments().iter().enumerate() {
        let of_segment: Vec<&Redaction> =
            output.verdict.redactions.iter().filter(|r| r.segment == i).collect();
        if !of_segment.is_empty() {
            answer.take_out(&segment.pointer, mask(&segment.text, &of_segment));
        }
    }
}

/// Puts back what was taken out of the question, in every text of the answer.
fn restore(answer: &mut Answer, pseudonyms: &Pseudonyms) {
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

fn add_notices(answer: &mut Answer, notices: Vec<(String, NoticeAt)>) {
    for (notice, at) in notices {
        answer.map_visible(|text| place_notice(text, &notice, at));
    }
}
