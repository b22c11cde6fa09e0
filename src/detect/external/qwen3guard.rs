//! Qwen3Guard-Gen: the lines `Safety:`, `Categories:` and, for answers, `Refusal:`.
//!
//! Format and categories: <https://github.com/QwenLM/Qwen3Guard> and "Qwen3Guard Technical Report" (Qwen Team,
//! 2025, <https://arxiv.org/abs/2510.14276>), table of safety categories.

use super::{Opinion, answer::Unusable};
use crate::{
    detect::sense::Sense::{self, Jailbreak},
    verdict::Hazard::{
        ElectionsMisinformation, Hate, IntellectualProperty, NonviolentCrimes, Privacy, SexualContent,
        SuicideSelfHarm, ViolentCrimes,
    },
};

/// What `Controversial` is worth: whether it is harmful depends on the operator, who sets a threshold on either
/// side of it.
const CONTROVERSIAL: f32 = 0.5;

/// Its categories and what comes closest among Demur's. Unethical acts are bias, hate speech and insults in its
/// words; politically sensitive topics are false claims about governments and public figures.
const CATEGORIES: [(&str, Sense); 10] = [
    ("Violent", Sense::Hazard(ViolentCrimes)),
    ("Non-violent Illegal Acts", Sense::Hazard(NonviolentCrimes)),
    ("Sexual Content or Sexual Acts", Sense::Hazard(SexualContent)),
    ("PII", Sense::Hazard(Privacy)),
    ("Personally Identifiable Information", Sense::Hazard(Privacy)),
    ("Suicide & Self-Harm", Sense::Hazard(SuicideSelfHarm)),
    ("Unethical Acts", Sense::Hazard(Hate)),
    ("Politically Sensitive Topics", Sense::Hazard(ElectionsMisinformation)),
    ("Copyright Violation", Sense::Hazard(IntellectualProperty)),
    ("Jailbreak", Jailbreak),
];

/// Everything it can say.
pub(super) fn senses() -> impl Iterator<Item = Sense> {
    [Sense::Harm, Sense::Refusal].into_iter().chain(CATEGORIES.map(|(_, sense)| sense))
}

/// Reads an answer: each line once, all that are due, nothing else. `Refusal:` is due for answers.
pub(super) fn parse(text: &str, is_answer: bool) -> Result<Opinion, Unusable> {
    let (mut safety, mut categories, mut refusal) = (None, None, None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(':').ok_or(Unusable::Format)?;
        let slot = match key {
            "Safety" => &mut safety,
            "Categories" => &mut categories,
            "Refusal" => &mut refusal,
            _ => return Err(Unusable::Format),
        };
        if slot.replace(value.trim()).is_some() {
            return Err(Unusable::Format);
        }
    }
    let score = match safety {
        Some("Safe") => 0.0,
        Some("Controversial") => CONTROVERSIAL,
        Some("Unsafe") => 1.0,
        _ => return Err(Unusable::Format),
    };
    let mut opinion = Opinion::from([(Sense::Harm, score)]);
    for name in categories.ok_or(Unusable::Format)?.split(',').map(str::trim).filter(|name| *name != "None") {
        let known = CATEGORIES.iter().find(|(known, _)| *known == name);
        let (_, sense) = known.ok_or(Unusable::Format)?;
        if score == 0.0 {
            // Safe and of a harmful kind: one of the two is wrong.
            return Err(Unusable::Format);
        }
        opinion.raise(*sense, score);
    }
    match (refusal, is_answer) {
        (Some("Yes"), true) => opinion.raise(Sense::Refusal, 1.0),
        (Some("No"), true) | (None, false) => {}
        _ => return Err(Unusable::Format),
    }
    Ok(opinion)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Hazard;

    #[test]
    fn answers_are_read() {
        assert_eq!(parse("Safety: Safe\nCategories: None", false).unwrap(), Opinion::default());
        let refused = parse("Safety: Safe\nCategories: None\nRefusal: Yes", true).unwrap();
        assert_eq!(refused, Opinion::from([(Sense::Refusal, 1.0)]));
        let unsafe_two =
            parse("Safety: Unsafe\nCategories: Suicide & Self-Harm, Jailbreak\n", false).unwrap();
        assert_eq!(unsafe_two.score(Sense::Harm), 1.0);
        assert_eq!(unsafe_two.score(Sense::Hazard(Hazard::SuicideSelfHarm)), 1.0);
        assert_eq!(unsafe_two.score(Jailbreak), 1.0);
        let doubtful = parse("Safety: Controversial\nCategories: Unethical Acts\nRefusal: No", true).unwrap();
        assert_eq!(doubtful, Opinion::from([(Sense::Harm, 0.5), (Sense::Hazard(Hazard::Hate), 0.5)]));
        let kindless = parse("Safety: Unsafe\nCategories: None", false).unwrap();
        assert_eq!(kindless, Opinion::from([(Sense::Harm, 1.0)]));
    }

    #[test]
    fn what_is_not_of_the_format_is_no_opinion() {
        for (text, is_answer) in [
            ("Safety: Safe", false),
            ("Categories: None", false),
            ("safety: safe\ncategories: none", false),
            ("Safety: Safe\nCategories: None", true),
            ("Safety: Safe\nCategories: None\nRefusal: Yes", false),
            ("Safety: Safe\nCategories: None\nRefusal: Maybe", true),
            ("Safety: Safe\nCategories: Violent", false),
            ("Safety: Safe or not\nCategories: None", false),
            ("Safety: Safe\nSafety: Unsafe\nCategories: None", false),
            ("Safety: Unsafe\nCategories: Witchcraft", false),
            ("Safety: Unsafe\nCategories: ", false),
            ("Safety: Unsafe\nCategories: violent", false),
            ("Sure! Safety: Safe\nCategories: None", false),
            ("Safety: Safe\nCategories: None\nHave a nice day", false),
            ("<think>\n\n</think>\nSafety: Safe\nCategories: None", false),
            ("safe", false),
        ] {
            assert_eq!(parse(text, is_answer), Err(Unusable::Format), "{text:?}");
        }
    }
}
