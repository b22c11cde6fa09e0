//! The guard behind other gateways' APIs: judges what they ask about, and lets each format say the verdict.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream};
use http::HeaderMap;

use super::{Call, Gateway, answer, moderate::AT_ONCE, region};
use crate::{
    dialect::{
        native,
        partner::{Answer, Outcome, Partner, Problem},
    },
    guard::{
        Judged,
        redact::mask,
        reply::{Replies, compose},
    },
    verdict::{Action, Redaction, Verdict},
};

impl Gateway {
    /// Judges for another gateway: by the policy that its request names, else by that of the caller. The verdict
    /// headers stand beside the answer.
    pub async fn judge_for<P: Partner>(&self, call: &Call, request: &P) -> (HeaderMap, Answer) {
        let rules = self.rules.load();
        let guard = match request.policy() {
            None => rules.guards.choose(&call.caller(request.model())),
            Some(name) => match rules.guards.named(name) {
                Some(guard) => guard,
                None => {
                    let known: Vec<&str> =
                        rules.guards.all().map(|guard| &*guard.policy().id().name).collect();
                    let problem = Problem::UnknownPolicy(name.to_owned(), known.join(", "));
                    return (HeaderMap::new(), P::error(&problem));
                }
            },
        };
        let judged: Vec<Judged> = stream::iter(request.exchanges())
            .map(|exchange| guard.judge(exchange))
            .buffered(AT_ONCE)
            .collect()
            .await;
        let verdicts: Vec<&Verdict> = judged.iter().map(|judged| &judged.verdict).collect();
        let took: Duration = judged.iter().map(|judged| judged.took).sum();
        let headers = native::headers(&verdicts, took);
        let region = self.settings.region.clone().or_else(|| region(&call.headers));
        let outcome = |judged| outcome(judged, &rules.replies, region.as_deref());
        let outcomes: Vec<Outcome> = judged.into_iter().map(outcome).collect();
        (headers, request.answer(&outcomes))
    }
}

/// A verdict with its texts: the reply in the user's language, and what is left when the redactions are done.
fn outcome(judged: Judged, replies: &Replies, region: Option<&str>) -> Outcome {
    let stops = judged.verdict.action >= Action::Redact;
    let language = answer::language(&judged.task.exchange);
    let reply = stops.then(|| compose(&judged.verdict, replies, language, region).text);
    let segments = judged.segments().to_vec();
    let mut of_segment: BTreeMap<usize, Vec<&Redaction>> = BTreeMap::new();
    for redaction in &judged.verdict.redactions {
        of_segment.entry(redaction.segment).or_default().push(redaction);
    }
    let masked = of_segment
        .into_iter()
        .filter_map(|(i, redactions)| Some((i, mask(&segments.get(i)?.text, &redactions))))
        .collect();
    Outcome { verdict: judged.verdict, segments, reply, masked }
}
