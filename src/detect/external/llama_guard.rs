//! Llama Guard 3 and 4: `safe`, or `unsafe` and below it the codes of the categories, such as `S1,S10`.
//!
//! Format and categories: <https://github.com/meta-llama/PurpleLlama/blob/main/Llama-Guard3/8B/MODEL_CARD.md> and
//! <https://github.com/meta-llama/PurpleLlama/blob/main/Llama-Guard4/12B/MODEL_CARD.md>. Llama Guard 2 numbers its
//! categories differently and must not be asked through this kind.

use super::{Opinion, answer::Unusable};
use crate::{detect::sense::Sense, verdict::Hazard};

/// The categories in the order of their codes, from `S1` on. They are those of MLCommons, and so are Demur's
/// hazards; code interpreter abuse is an attack on a computer.
const CATEGORIES: [Hazard; 14] = [
    Hazard::ViolentCrimes,
    Hazard::NonviolentCrimes,
    Hazard::SexRelatedCrimes,
    Hazard::ChildSexualExploitation,
    Hazard::Defamation,
    Hazard::SpecializedAdvice,
    Hazard::Privacy,
    Hazard::IntellectualProperty,
    Hazard::IndiscriminateWeapons,
    Hazard::Hate,
    Hazard::SuicideSelfHarm,
    Hazard::SexualContent,
    Hazard::ElectionsMisinformation,
    Hazard::Cyber,
];

/// Everything it can say.
pub(super) fn senses() -> impl Iterator<Item = Sense> {
    [Sense::Harm].into_iter().chain(CATEGORIES.map(Sense::Hazard))
}

/// Reads an answer. A code beyond the known ones is one of the operator's own taxonomy: harm, of no known kind.
pub(super) fn parse(text: &str) -> Result<Opinion, Unusable> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match lines.next() {
        Some("safe") => match lines.next() {
            None => Ok(Opinion::default()),
            Some(_) => Err(Unusable::Format),
        },
        Some("unsafe") => {
            let mut opinion = Opinion::from([(Sense::Harm, 1.0)]);
            for code in lines.next().into_iter().flat_map(|line| line.split(',')) {
                let number = code.trim().strip_prefix('S').and_then(|digits| digits.parse::<usize>().ok());
                let place = number.and_then(|number| number.checked_sub(1)).ok_or(Unusable::Format)?;
                if let Some(hazard) = CATEGORIES.get(place) {
                    opinion.raise(Sense::Hazard(*hazard), 1.0);
                }
            }
            if lines.next().is_some() { Err(Unusable::Format) } else { Ok(opinion) }
        }
        _ => Err(Unusable::Format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(parse("safe").unwrap(), Opinion::default());
        let hate = [(Sense::Harm, 1.0), (Sense::Hazard(Hazard::Hate), 1.0)];
        for text in ["unsafe\nS10", "unsafe\n\nS10\n", "unsafe\r\n S10 ", "unsafe\nS10,S10"] {
            assert_eq!(parse(text).unwrap(), Opinion::from(hate), "{text:?}");
        }
        let two = parse("unsafe\nS1, S14").unwrap();
        assert_eq!(two.score(Sense::Hazard(Hazard::ViolentCrimes)), 1.0);
        assert_eq!(two.score(Sense::Hazard(Hazard::Cyber)), 1.0);
        for bare in ["unsafe", "unsafe\nS99"] {
            assert_eq!(parse(bare).unwrap(), Opinion::from([(Sense::Harm, 1.0)]), "{bare:?}");
        }
    }

    #[test]
    fn what_is_not_of_the_format_is_no_opinion() {
        for text in [
            "Safe",
            "SAFE",
            "safe.",
            "safe\nS1",
            "safe\nunsafe\nS1",
            "The text is safe",
            "unsafe S1",
            "unsafe\nS",
            "unsafe\nS0",
            "unsafe\nS1,",
            "unsafe\nS1;S2",
            "unsafe\nhate",
            "unsafe\nS1\nS2",
            "unsafe\nS1\nbut really safe",
            "unsafe\nS99999999999999999999999",
            "I can't help with that.",
            "{\"safe\": true}",
            "ｓａｆｅ",
        ] {
            assert_eq!(parse(text), Err(Unusable::Format), "{text:?}");
        }
    }
}
