//! The networks of a detector: which of them reads a text, and when both do.

use std::{ops::Range, time::Instant};

use prometheus::IntCounter;

use crate::{
    detect::{language, sense::Sense},
    nn::classify::{Answer, Classifier as Worker, Scores, Text, Unjudged},
    verdict::FailureReason,
};

/// From this harm on, what is read as a user's words is read by the other network too, and the mean of their log odds
/// counts. `models/guard/MODEL_CARD.md` says what that changes and what it costs.
const DOUBT: f32 = 0.5;

/// What keeps the log odds of a probability finite.
const LEAST: f32 = 1e-6;

/// A network with the signals of its heads.
pub struct Model {
    worker: Worker,
    /// What each head says, where it is of interest.
    senses: Vec<Option<Sense>>,
}

impl Model {
    /// The thread that runs a network, and what each of its heads says.
    pub fn new(worker: Worker, senses: Vec<Option<Sense>>) -> Self {
        Self { worker, senses }
    }

    /// What its heads are of interest for.
    pub(super) fn senses(&self) -> impl Iterator<Item = Sense> {
        self.senses.iter().copied().flatten()
    }

    /// What comes of an answer; `detector` is told in the log if it is nothing.
    async fn scores(&self, answer: Answer, detector: &str) -> Result<Scores, FailureReason> {
        match answer {
            Answer::Known(scores) => Ok(scores),
            Answer::Coming(receiver) => match receiver.await {
                Ok(Ok(scores)) => Ok(scores),
                Ok(Err(Unjudged::Late)) => Err(FailureReason::Late),
                Ok(Err(Unjudged::Failed(error))) => {
                    tracing::error!(detector, error, "a network failed");
                    Err(FailureReason::Error)
                }
                Err(_) => Err(FailureReason::Error),
            },
        }
    }

    fn submit(&self, text: Text, deadline: Instant) -> Result<Answer, FailureReason> {
        self.worker.submit(text, deadline).map_err(|_| FailureReason::Overloaded)
    }
}

/// The network for every language but one.
pub(super) struct Other {
    pub(super) model: Model,
    /// How often it was asked about what the first had read.
    pub(super) second_opinions: IntCounter,
}

/// One network, or two: one for English and one for every other language.
pub(super) struct Networks {
    /// Whose they are.
    pub(super) detector: &'static str,
    pub(super) english: Model,
    pub(super) other: Option<Other>,
}

impl Networks {
    /// Shows a text to the network that reads its language.
    pub(super) fn ask(&self, text: Text, deadline: Instant) -> Result<Asked<'_>, FailureReason> {
        // Most are known, and to tell the language costs more than to ask for them. Only English is known to the first.
        let known = self.english.worker.known(&text).map(Answer::Known);
        let is_english = known.is_some() || self.other.is_none() || language::reads_as_english(&text.text);
        let may_ask_again = is_english && text.kind == super::USER;
        let second = self.other.as_ref().filter(|_| may_ask_again).map(|other| (other, text.clone()));
        let other = self.other.as_ref().filter(|_| !is_english);
        let model = other.map_or(&self.english, |other| &other.model);
        let answer = known.map_or_else(|| model.submit(text, deadline), Ok)?;
        Ok(Asked { detector: self.detector, model, answer, second, deadline })
    }
}

/// A text that a network was shown.
pub(super) struct Asked<'n> {
    detector: &'static str,
    model: &'n Model,
    answer: Answer,
    /// Who else is shown it in doubt.
    second: Option<(&'n Other, Text)>,
    deadline: Instant,
}

impl<'n> Asked<'n> {
    /// What is said of it.
    pub(super) async fn said(self) -> Result<Said<'n>, FailureReason> {
        let first =
            Opinion { model: self.model, scores: self.model.scores(self.answer, self.detector).await? };
        let in_doubt = first.of(Sense::Harm).is_some_and(|harm| harm >= DOUBT);
        let second = match self.second.filter(|_| in_doubt) {
            Some((Other { model, second_opinions }, text)) => {
                second_opinions.inc();
                let answer = model.submit(text, self.deadline)?;
                Some(Opinion { model, scores: model.scores(answer, self.detector).await? })
            }
            None => None,
        };
        Ok(Said { first, second })
    }

    /// What is said of it, and what it is.
    pub(super) async fn said_of<T>(self, what: T) -> Result<(T, Said<'n>), FailureReason> {
        Ok((what, self.said().await?))
    }
}

/// What one network says of a text.
struct Opinion<'n> {
    model: &'n Model,
    scores: Scores,
}

impl Opinion<'_> {
    fn of(&self, sense: Sense) -> Option<f32> {
        let head = self.model.senses.iter().position(|of_head| *of_head == Some(sense))?;
        self.scores.get(head).map(|(score, _)| *score)
    }
}

/// What is said of a text.
pub(super) struct Said<'n> {
    first: Opinion<'n>,
    second: Option<Opinion<'n>>,
}

impl Said<'_> {
    /// What each head of interest says, and the bytes of the text that it says it of.
    pub(super) fn scores(&self) -> impl Iterator<Item = (Sense, f32, &Range<usize>)> {
        let Opinion { model, scores } = &self.first;
        let heads = model.senses.iter().zip(&**scores);
        heads.filter_map(|(sense, (score, bytes))| {
            let sense = (*sense)?;
            // Which hazard it is, the network says that saw the text first: of two the likeliest one is often none of them.
            let second = self.second.as_ref().filter(|_| sense.hazard().is_none());
            let second = second.and_then(|second| second.of(sense));
            Some((sense, second.map_or(*score, |second| pooled(*score, second)), bytes))
        })
    }

    /// How harmful it is.
    pub(super) fn harm(&self) -> f32 {
        self.scores().find(|(sense, ..)| *sense == Sense::Harm).map_or(0.0, |(_, score, _)| score)
    }
}

/// The probability whose log odds are the mean of theirs: the logarithmic opinion pool (Genest and Zidek, Combining
/// probability distributions, 1986) with equal weights.
fn pooled(a: f32, b: f32) -> f32 {
    let [a, b] = [a, b].map(|p| p.clamp(LEAST, 1.0 - LEAST));
    let odds = (a / (1.0 - a) * (b / (1.0 - b))).sqrt();
    odds / (1.0 + odds)
}
