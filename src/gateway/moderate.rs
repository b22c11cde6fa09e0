//! OpenAI's moderation endpoint, served by the guard: each text by itself, as a user's.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use http::HeaderMap;
use serde_json::Value;

use super::{Call, Gateway, GatewayError};
use crate::{
    dialect::{moderation, native},
    guard::Judged,
    message::{Direction, Exchange, Segment},
    verdict::Verdict,
};

/// Texts of one request that are judged side by side; more would only wait for each other in the guard's queue.
pub(super) const AT_ONCE: usize = 8;

impl Gateway {
    /// Judges the texts of a moderation request. What is found is told and counted, and nothing is refused.
    ///
    /// # Errors
    /// A body that is no such request, or a detector that did not judge one of the texts: a score of 0 would pass for
    /// "harmless".
    pub async fn moderate(&self, call: &Call) -> Result<(HeaderMap, Value), GatewayError> {
        let texts = moderation::texts(&call.body)?;
        let rules = self.rules.load();
        let guard = rules.guards.choose(&call.caller(""));
        let judged: Vec<Judged> = stream::iter(texts)
            .map(|text| {
                let text = Segment::bare(Direction::Input, text);
                guard.judge(Exchange::input(vec![text]).by(call.key.clone()))
            })
            .buffered(AT_ONCE)
            .map(|judged| {
                let failed = judged.verdict.unprotected().next().map(|failure| failure.detector);
                failed.map_or(Ok(judged), |detector| Err(GatewayError::Unjudged(detector)))
            })
            .try_collect()
            .await?;
        let verdicts: Vec<&Verdict> = judged.iter().map(|judged| &judged.verdict).collect();
        let took: Duration = judged.iter().map(|judged| judged.took).sum();
        Ok((native::headers(&verdicts, took), moderation::answer(&call.id, &verdicts)))
    }
}
