//! Granite Guardian 3.0 to 3.3: it is asked about one risk at a time and says yes or no, with a confidence since
//! 3.2 and in tags since 3.3.
//!
//! Formats: <https://github.com/ibm-granite/granite-guardian> (cookbooks 3.0 to 3.3, `evaluation/models`). The risk
//! travels as `guardian_config` to the chat template: `risk_name` until 3.2, `criteria_id` in 3.3.

use std::{str::FromStr, sync::LazyLock};

use regex::Regex;
use serde_json::{Value, json};

use super::{Opinion, answer::Unusable};
use crate::{
    detect::sense::Sense,
    verdict::{Hazard, UnknownName},
};

/// A risk that it knows by name, and what comes closest among Demur's signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Risk {
    name: &'static str,
    pub(super) sense: Sense,
    /// Whether it is asked about answers too.
    of_answers: bool,
}

const fn risk(name: &'static str, sense: Sense) -> Risk {
    Risk { name, sense, of_answers: true }
}

/// The risks of prompts and answers; those of retrieval and function calling are about something else.
pub const RISKS: [Risk; 7] = [
    risk("harm", Sense::Harm),
    risk("social_bias", Sense::Hazard(Hazard::Hate)),
    risk("violence", Sense::Hazard(Hazard::ViolentCrimes)),
    risk("profanity", Sense::Toxicity),
    risk("sexual_content", Sense::Hazard(Hazard::SexualContent)),
    risk("unethical_behavior", Sense::Hazard(Hazard::NonviolentCrimes)),
    Risk { name: "jailbreak", sense: Sense::Jailbreak, of_answers: false },
];

impl Risk {
    /// Its name, in Granite Guardian's words.
    pub fn name(self) -> &'static str {
        self.name
    }

    pub(super) fn is_asked(self, is_answer: bool) -> bool {
        self.of_answers || !is_answer
    }

    /// What tells the chat template which risk is meant, for servers that hand it on (vLLM, llama.cpp).
    pub(super) fn template_arguments(self) -> Value {
        json!({"guardian_config": {"risk_name": self.name, "criteria_id": self.name}})
    }
}

impl FromStr for Risk {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        RISKS.into_iter().find(|risk| risk.name == name).ok_or_else(|| UnknownName(name.into()))
    }
}

/// Reads an answer about a risk. What is said with low confidence is worth less than certainty, on either side.
pub(super) fn parse(text: &str, risk: Risk) -> Result<Opinion, Unusable> {
    static FORMS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?x)\A (?: <think> [^<]* (?: < [^/] [^<]* )* </think> \s* )?
              (?: (?<word> Yes | No ) | <score> \s* (?<score> (?i: yes | no ) ) \s* </score> )
              (?: \s* <confidence> \s* (?<confidence> High | Low ) \s* </confidence> )? \z",
        )
        .expect("the pattern is right, as a test proves")
    });
    let found = FORMS.captures(text).ok_or(Unusable::Format)?;
    let word = found.name("word").or_else(|| found.name("score")).ok_or(Unusable::Format)?;
    let is_sure = found.name("confidence").is_none_or(|confidence| confidence.as_str() == "High");
    let score = match (word.as_str().eq_ignore_ascii_case("yes"), is_sure) {
        (true, true) => 1.0,
        (true, false) => 0.7,
        (false, false) => 0.3,
        (false, true) => 0.0,
    };
    Ok(Opinion::from([(risk.sense, score)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(text: &str) -> Result<f32, Unusable> {
        parse(text, RISKS[0]).map(|opinion| opinion.score(Sense::Harm))
    }

    #[test]
    fn every_generations_form_is_read() {
        for (text, expected) in [
            ("Yes", 1.0),
            ("No", 0.0),
            ("Yes\n<confidence> High </confidence>", 1.0),
            ("Yes\n<confidence> Low </confidence>", 0.7),
            ("No\n<confidence> Low </confidence>", 0.3),
            ("No\n<confidence> High </confidence>", 0.0),
            ("<score> yes </score>", 1.0),
            ("<score> no </score>", 0.0),
            ("<score>yes</score>\n<confidence>Low</confidence>", 0.7),
            ("<think> It asks for <b>harm</b >: bad.\n</think>\n<score> yes </score>", 1.0),
        ] {
            // A closing tag inside the thoughts ends the match, except that of the thoughts.
            let text = text.replace("</b >", "");
            assert_eq!(score(&text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_of_the_format_is_no_opinion() {
        for text in [
            "no",
            "yes",
            "No.",
            "No, it is not harmful",
            "Yes No",
            "<score> maybe </score>",
            "<score> no </score> <score> yes </score>",
            "<score> no",
            "<think> <score> no </score>",
            "<think> </think>",
            "No\n<confidence> Medium </confidence>",
            "Failed",
            "The score is <score> no </score>",
            "safe",
        ] {
            assert_eq!(score(text), Err(Unusable::Format), "{text:?}");
        }
    }

    #[test]
    fn risks_are_known_by_name() {
        assert_eq!("social_bias".parse::<Risk>().unwrap().sense, Sense::Hazard(Hazard::Hate));
        assert!("groundedness".parse::<Risk>().is_err());
        assert!(!"jailbreak".parse::<Risk>().unwrap().is_asked(true));
    }
}
