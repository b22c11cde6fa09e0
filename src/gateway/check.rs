//! The guard on its own: judges a text or a conversation and says what a user would see.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::{Call, Gateway, GatewayError, answer, region};
use crate::{
    dialect::{
        BadBody, Request,
        chat::CHAT,
        native::{CheckRequest, CheckResponse, VerdictBody},
    },
    guard::{Judged, advice::Advice, reply::Replies},
    message::{Direction, Exchange, Segment},
};

/// A verdict, with what a user would see of it.
pub struct Checked {
    /// The verdict and what it is about.
    pub judged: Judged,
    advice: Advice,
}

impl Checked {
    /// What a verdict means for the user: in `language` (ISO 639-1) or else in that of the text, with help lines
    /// of `region` (ISO 3166).
    pub fn new(judged: Judged, replies: &Replies, language: Option<&str>, region: Option<&str>) -> Self {
        let language = language.unwrap_or_else(|| answer::language(&judged.task.exchange));
        let advice = Advice::new(&judged, replies, language, region);
        Self { judged, advice }
    }

    /// The answer on the wire.
    pub fn into_response(self) -> CheckResponse {
        CheckResponse {
            verdict: VerdictBody::new(&self.judged.verdict, self.judged.segments()),
            reply: self.advice.reply,
            redacted: self.advice.redacted,
            notices: self.advice.notices,
        }
    }
}

impl Gateway {
    /// Judges the body of a check request.
    ///
    /// # Errors
    /// A body that is no such request, or a policy that is not loaded.
    pub async fn check(&self, call: &Call) -> Result<Checked, GatewayError> {
        let request: CheckRequest = serde_json::from_slice(&call.body).map_err(|error| BadBody {
            param: None,
            message: format!("the body is no check request: {error}"),
        })?;
        let rules = self.rules.load();
        let guard = match &request.policy {
            Some(name) => rules.guards.named(name).ok_or_else(|| {
                let known: Vec<&str> = rules.guards.all().map(|guard| &*guard.policy().id().name).collect();
                GatewayError::UnknownPolicy(name.clone(), known.join(", "))
            })?,
            None => rules.guards.choose(&call.caller("")),
        };
        let language = request.language.clone();
        let judged = guard.judge(exchange(request)?.by(call.key.clone())).await;
        let region = self.settings.region.clone().or_else(|| region(&call.headers));
        Ok(Checked::new(judged, &rules.replies, language.as_deref(), region.as_deref()))
    }
}

fn exchange(request: CheckRequest) -> Result<Exchange, BadBody> {
    match (request.text, request.messages) {
        (Some(text), None) => {
            let answers = request.context.is_some();
            let direction =
                request.direction.unwrap_or(if answers { Direction::Output } else { Direction::Input });
            Ok(bare(direction, text, request.context))
        }
        (None, Some(messages)) => {
            let body = json!({"model": "none", "messages": messages}).to_string();
            let request = Request::parse(&CHAT, Bytes::from(body))?;
            Ok(Exchange::input(request.segments()).with_media(request.media().len()))
        }
        _ => Err(BadBody {
            param: Some("text".to_owned()),
            message: "exactly one of `text` and `messages` is expected".to_owned(),
        }),
    }
}

/// One text on its own, with what it answers.
fn bare(direction: Direction, text: String, context: Option<String>) -> Exchange {
    let segment = Segment { pointer: "/text".to_owned(), ..Segment::bare(direction, text) };
    let context: Arc<[Segment]> =
        context.map(|text| Segment::bare(Direction::Input, text)).into_iter().collect();
    Exchange { direction, segments: Arc::from([segment]), context, caller: None, media: 0 }
}
