//! Answers of our own, and what is added to those of an upstream.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::{Answer, AnswerBody, Gateway, RefusalShape, Turn};
use crate::{
    detect::language,
    dialect::{self, Refusal, moderation, native, sse},
    guard::{Judged, reply::Replies},
    message::Exchange,
    verdict::{Action, NoticeAt, Verdict},
};

/// The language of replies and notices: that of the user's last words, English when it can't be told.
pub(super) fn language(exchange: &Exchange) -> &'static str {
    exchange.last_user_text().and_then(language::language).map_or("en", |language| language.code())
}

/// The notices of every enforced warning, each once.
pub(super) fn notices(judged: &Judged, replies: &Replies, region: Option<&str>) -> Vec<(String, NoticeAt)> {
    let mut warnings = judged.verdict.enforced().filter(|hit| hit.action == Action::Warn).peekable();
    if warnings.peek().is_none() {
        return Vec::new();
    }
    let language = language(&judged.task.exchange);
    let mut notices: Vec<(String, NoticeAt)> = Vec::new();
    for hit in warnings {
        let text = replies.notice(hit.notice.as_deref().unwrap_or("general"), language, region);
        if !notices.iter().any(|(seen, _)| *seen == text) {
            notices.push((text, hit.notice_at));
        }
    }
    notices
}

impl Gateway {
    /// Declines a question: nothing that was asked of an upstream is shown.
    pub(super) fn refuse_question(&self, turn: &Turn, input: &Judged) -> Answer {
        let text = turn.reply_to(input);
        let dialect = turn.request.dialect();
        if self.settings.refusal_shape == RefusalShape::Azure && dialect.answers() {
            let body = azure_refusal(&input.verdict, &text);
            return self.refuse_as_error(turn, input, &body);
        }
        let answer = turn.refusal(input, &text, None);
        if !dialect.answers() {
            return self.refuse_as_error(turn, input, answer.json());
        }
        self.finish(turn, answer, HeaderMap::new(), input, None)
    }

    /// Declines with HTTP 400, where an answer could not say it.
    fn refuse_as_error(&self, turn: &Turn, input: &Judged, body: &Value) -> Answer {
        self.observe(turn);
        let mut headers = native::headers(&[&input.verdict], input.took);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = AnswerBody::Whole(body.to_string().into());
        Answer { status: StatusCode::BAD_REQUEST, headers, body }
    }

    /// Puts verdict blocks and headers on a whole answer and sends it off.
    pub(super) fn finish(
        &self,
        turn: &Turn,
        mut answer: dialect::Answer,
        mut headers: HeaderMap,
        input: &Judged,
        output: Option<&Judged>,
    ) -> Answer {
        let asked = turn.request.asked();
        if asked.wants_moderation {
            answer.attach(
                "moderation",
                moderation::block(&input.verdict, output.map(|judged| &judged.verdict)),
            );
        }
        if self.settings.verdict_in_body {
            answer.attach("demur", verdict_block(input, output));
        }
        let verdicts: Vec<&Verdict> =
            std::iter::once(input).chain(output).map(|judged| &judged.verdict).collect();
        let took: Duration = std::iter::once(input).chain(output).map(|judged| judged.took).sum();
        headers.extend(native::headers(&verdicts, took));
        let body = if asked.stream {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(sse::CONTENT_TYPE));
            AnswerBody::Events(answer.into_events(asked))
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            AnswerBody::Whole(answer.into_whole())
        };
        self.observe(turn);
        Answer { status: StatusCode::OK, headers, body }
    }
}

impl Turn {
    /// An answer that declines in these words, in place of one that was made.
    pub(super) fn refusal(&self, judged: &Judged, text: &str, instead: Option<&Value>) -> dialect::Answer {
        let hazard = judged.verdict.decided_by().and_then(|hit| hit.hazard).map(|hazard| hazard.as_str());
        let asked = self.request.asked();
        let refusal = Refusal { text, id: &self.id, created: self.created, asked, instead, hazard };
        dialect::Answer::refusal(self.request.dialect(), &refusal)
    }
}

pub(super) fn verdict_block(input: &Judged, output: Option<&Judged>) -> Value {
    let side = |judged: &Judged| native::VerdictBody::new(&judged.verdict, judged.segments());
    json!({"input": side(input), "output": output.map(side)})
}

/// Azure OpenAI's answer to a prompt that its content filter stops.
fn azure_refusal(verdict: &Verdict, text: &str) -> Value {
    let filtered = |category: &str| {
        verdict.hazards().iter().any(|hazard| match category {
            "hate" => matches!(hazard.as_str(), "hate" | "harassment"),
            "sexual" => matches!(
                hazard.as_str(),
                "sexual_content" | "child_sexual_exploitation" | "sex_related_crimes"
            ),
            "self_harm" => hazard.as_str() == "suicide_self_harm",
            _ => matches!(hazard.as_str(), "violent_crimes" | "indiscriminate_weapons" | "graphic_violence"),
        })
    };
    let mut result = serde_json::Map::new();
    for category in ["hate", "sexual", "violence", "self_harm"] {
        let hit = filtered(category);
        let severity = if hit { "high" } else { "safe" };
        result.insert(category.to_owned(), json!({"filtered": hit, "severity": severity}));
    }
    let attack = verdict.hits.iter().any(|hit| {
        hit.action == Action::Refuse && matches!(hit.reply.as_deref(), Some("jailbreak" | "injection"))
    });
    result.insert("jailbreak".to_owned(), json!({"filtered": attack, "detected": attack}));
    json!({"error": {
        "message": text,
        "type": null,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": result},
    }})
}
