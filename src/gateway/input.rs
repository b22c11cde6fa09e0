//! The question: judged, then changed as the verdict says.

use crate::{
    dialect::{Request, media::Media},
    guard::{Guard, Judged, redact::Pseudonyms},
    message::Exchange,
    verdict::{Action, MediaMode, NoticeAt, Redaction},
};

use super::{Turn, answer};

/// What is to be judged of a request, and its media; where the policy takes these out they are gone from then on, so that
/// no model is ever sent them.
pub(super) fn question(request: &mut Request, guard: &Guard) -> (Exchange, Vec<Media>) {
    let media = request.media();
    // The words beside media are judged even where the media go: they are the client's.
    let question = Exchange::input(request.segments()).with_media(media.len());
    if guard.policy().media_in_force() == MediaMode::Strip {
        request.strip(&media);
    }
    (question, media)
}

/// What the verdict on the question means for the answer.
pub(super) struct Changes {
    /// What was taken out of the question and comes back in the answer.
    pub(super) pseudonyms: Pseudonyms,
    /// Notices to stand beside the answer.
    pub(super) notices: Vec<(String, NoticeAt)>,
}

impl Turn {
    pub(super) async fn judge_input(&self) -> Judged {
        self.guard.judge(self.question.clone().by(self.caller.clone())).await
    }

    /// Applies an input verdict that lets the question through: redactions, guidance, notices.
    pub(super) fn prepare(&mut self, input: &Judged) -> Changes {
        let segments = input.segments();
        // Every text is looked at, so that no placeholder of ours is one that stands there already.
        let texts = if input.verdict.redactions.is_empty() { &[][..] } else { segments };
        let mut pseudonyms = Pseudonyms::for_request(texts.iter().map(|segment| &*segment.text));
        for (i, segment) in segments.iter().enumerate() {
            let of_segment: Vec<&Redaction> =
                input.verdict.redactions.iter().filter(|r| r.segment == i).collect();
            if !of_segment.is_empty() {
                let text = pseudonyms.apply(&segment.text, &of_segment);
                self.request.replace(&segment.pointer, text);
            }
        }
        for hit in input.verdict.enforced().filter(|hit| hit.action == Action::Steer) {
            if let Some(guidance) = &hit.guidance {
                self.request.add_guidance(guidance);
            }
        }
        Changes { pseudonyms, notices: answer::notices(input, &self.replies, self.region.as_deref()) }
    }
}
