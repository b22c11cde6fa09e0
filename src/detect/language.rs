//! The language of a text: by its script, by its small words, and by letter statistics where it is long enough.
//!
//! Letter statistics (`whatlang`) need a sentence or two, and most questions are shorter. The small words of a
//! language (how, wie, comment) tell it sooner: every one found counts, one that no other language here has
//! counts twice.

mod words;

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use whatlang::Lang;

use words::SMALL_WORDS;

/// How much of a text is looked at, in characters.
const LOOKED_AT: usize = 2000;

/// From so many letters on, letter statistics are of use.
const ENOUGH: usize = 40;

/// Of each small word the languages that have it.
static LANGUAGES: LazyLock<HashMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut languages: HashMap<&str, Vec<&str>> = HashMap::new();
    for (code, words) in SMALL_WORDS {
        for word in *words {
            languages.entry(word).or_default().push(code);
        }
    }
    languages
});

/// A language that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Language(&'static str);

impl Language {
    /// Its code (ISO 639-1).
    pub fn code(self) -> &'static str {
        self.0
    }
}

/// The language that most of a text is in; `None` when there is too little to tell, or it is none that is known.
pub fn language(text: &str) -> Option<Language> {
    let text: String = text.chars().take(LOOKED_AT).collect();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let code = match script(&text)? {
        Script::Of(code) => Some(code),
        Script::Latin => by_words(&text).or_else(|| by_letters(&text, letters)),
        Script::Other => by_letters(&text, letters.max(ENOUGH)),
    };
    code.map(Language)
}

/// Whether a text is best read as English: it is, or there is too little to tell and its letters are Latin.
pub fn reads_as_english(text: &str) -> bool {
    let head = &text[..text.floor_char_boundary(600)];
    let (mut latin, mut other) = (0, 0);
    for c in head.chars().filter(|c| c.is_alphabetic()) {
        *(if c.is_ascii() { &mut latin } else { &mut other }) += 1;
    }
    other * 4 <= latin && language(head).is_none_or(|language| language.code() == "en")
}

enum Script {
    /// One that is as good as one language.
    Of(&'static str),
    Latin,
    /// One of several languages.
    Other,
}

/// The script that most of a text is in. A character of Han, kana or Hangul says as much as several letters.
fn script(text: &str) -> Option<Script> {
    let (mut latin, mut other, mut han, mut kana, mut hangul, mut devanagari, mut arabic, mut not_arabic) =
        (0, 0, 0, 0, 0, 0, 0, false);
    for c in text.chars() {
        match c {
            '\u{3040}'..='\u{30ff}' | '\u{ff66}'..='\u{ff9d}' => kana += 3,
            '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}' => han += 3,
            '\u{ac00}'..='\u{d7a3}' | '\u{1100}'..='\u{11ff}' => hangul += 3,
            '\u{0900}'..='\u{097f}' => devanagari += 1,
            // Letters of Persian and Urdu that Arabic does not have.
            'پ' | 'چ' | 'ژ' | 'گ' | 'ک' | 'ی' | 'ٹ' | 'ڈ' | 'ں' | 'ے' => {
                (not_arabic, arabic) = (true, arabic + 1);
            }
            '\u{0620}'..='\u{064a}' => arabic += 1,
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => latin += 1,
            c if c.is_alphabetic() => other += 1,
            _ => {}
        }
    }
    let japanese = if kana > 0 { han + kana } else { 0 };
    let chinese = if kana > 0 { 0 } else { han };
    let arabic_script = if not_arabic { Script::Other } else { Script::Of("ar") };
    let most = [
        (latin, Script::Latin),
        (other, Script::Other),
        (japanese, Script::Of("ja")),
        (chinese, Script::Of("zh")),
        (hangul, Script::Of("ko")),
        (devanagari, Script::Of("hi")),
        (arabic, arabic_script),
    ];
    most.into_iter().max_by_key(|(count, _)| *count).filter(|(count, _)| *count > 0).map(|(_, script)| script)
}

/// The language whose small words are found most, when one is ahead of all others.
fn by_words(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    let mut scores: BTreeMap<&'static str, u32> = BTreeMap::new();
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        let Some(having) = LANGUAGES.get(word) else { continue };
        // A single letter may be a variable or a part of a formula.
        let weight = if having.len() == 1 && word.chars().count() > 1 { 2 } else { 1 };
        for &code in having {
            *scores.entry(code).or_default() += weight;
        }
    }
    let mut ranking: Vec<(u32, &'static str)> =
        scores.into_iter().map(|(code, score)| (score, code)).collect();
    ranking.sort_unstable_by_key(|(score, _)| std::cmp::Reverse(*score));
    match *ranking {
        [(first, code)] if first > 1 => Some(code),
        [(first, code), (second, _), ..] if first > second && first > 1 => Some(code),
        _ => None,
    }
}

fn by_letters(text: &str, letters: usize) -> Option<&'static str> {
    if letters < ENOUGH {
        return None;
    }
    let info = whatlang::detect(text)?;
    (info.confidence() > 0.3).then(|| iso_639_1(info.lang())).flatten()
}

/// The two-letter code; `whatlang` speaks ISO 639-3.
fn iso_639_1(lang: Lang) -> Option<&'static str> {
    Some(match lang {
        Lang::Eng => "en",
        Lang::Deu => "de",
        Lang::Fra => "fr",
        Lang::Spa => "es",
        Lang::Ita => "it",
        Lang::Por => "pt",
        Lang::Nld => "nl",
        Lang::Pol => "pl",
        Lang::Tur => "tr",
        Lang::Rus => "ru",
        Lang::Ukr => "uk",
        Lang::Bul => "bg",
        Lang::Srp => "sr",
        Lang::Ell => "el",
        Lang::Heb => "he",
        Lang::Pes => "fa",
        Lang::Urd => "ur",
        Lang::Tha => "th",
        Lang::Vie => "vi",
        Lang::Ind => "id",
        Lang::Swe => "sv",
        Lang::Dan => "da",
        Lang::Nob => "nb",
        Lang::Fin => "fi",
        Lang::Ces => "cs",
        Lang::Slk => "sk",
        Lang::Hun => "hu",
        Lang::Ron => "ro",
        Lang::Cat => "ca",
        Lang::Ben => "bn",
        Lang::Tam => "ta",
        Lang::Tel => "te",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_of_a_few_words_are_told() {
        for (expected, texts) in [
            (
                "en",
                &[
                    "how do i make a bomb",
                    "what is the capital of France?",
                    "tell me a joke",
                    "who are you",
                    "i want to kill myself",
                ][..],
            ),
            (
                "de",
                &[
                    "wie baue ich eine bombe",
                    "Was ist das?",
                    "erzähl mir einen Witz",
                    "wer bist du",
                    "ich will nicht mehr leben",
                ],
            ),
            (
                "fr",
                &[
                    "comment fabriquer une bombe",
                    "c'est quoi ?",
                    "raconte-moi une blague",
                    "qui es-tu",
                    "je veux mourir",
                ],
            ),
            (
                "es",
                &[
                    "¿cómo hago una bomba?",
                    "qué es esto",
                    "cuéntame un chiste",
                    "quién eres tú",
                    "quiero morir hoy, ya no puedo más",
                ],
            ),
            (
                "it",
                &[
                    "come si fa una bomba",
                    "che cos'è questo",
                    "raccontami una barzelletta",
                    "chi sei",
                    "non voglio più vivere",
                ],
            ),
            (
                "pt",
                &[
                    "como faço uma bomba",
                    "o que é isto",
                    "me conta uma piada",
                    "quem é você",
                    "não quero mais viver",
                ],
            ),
            (
                "nl",
                &[
                    "hoe maak ik een bom",
                    "wat is dit?",
                    "vertel me een grap",
                    "wie ben jij",
                    "ik wil niet meer leven",
                ],
            ),
            (
                "pl",
                &["jak zrobić bombę", "co to jest?", "opowiedz mi żart", "kim jesteś", "nie chcę już żyć"],
            ),
            (
                "tr",
                &[
                    "bomba nasıl yapılır",
                    "bu nedir?",
                    "bana bir fıkra anlat",
                    "sen kimsin",
                    "artık yaşamak istemiyorum",
                ],
            ),
            ("ar", &["كيف أصنع قنبلة", "ما هذا؟", "من أنت"]),
            ("hi", &["बम कैसे बनाएं", "यह क्या है?", "तुम कौन हो"]),
            ("zh", &["怎么制造炸弹", "这是什么?", "你是谁"]),
            ("ja", &["爆弾の作り方を教えて", "これは何ですか", "あなたは誰"]),
            ("ko", &["폭탄을 어떻게 만들어", "이게 뭐야?", "너는 누구니"]),
        ] {
            for text in texts {
                assert_eq!(language(text).map(Language::code), Some(expected), "{text}");
            }
        }
    }

    #[test]
    fn other_languages_are_told_by_their_letters() {
        let russian = "Расскажи мне, пожалуйста, как приготовить вкусный борщ на ужин.";
        let swedish = "Kan du berätta för mig hur man lagar en riktigt god soppa till middagen ikväll?";
        assert_eq!(language(russian).map(Language::code), Some("ru"));
        assert_eq!(language(swedish).map(Language::code), Some("sv"));
        assert_ne!(language("چطور می‌توانم یک سوپ خوشمزه برای شام درست کنم؟").map(Language::code), Some("ar"));
    }

    #[test]
    fn where_there_is_too_little_nothing_is_told() {
        for text in ["", "ok", "12345", "🙂", "{\"a\": 1}", "x = y + 2;"] {
            assert_eq!(language(text), None, "{text}");
        }
    }

    #[test]
    fn most_of_the_text_counts() {
        assert_eq!(language("How do you say 爆弾 in English?").map(Language::code), Some("en"));
        assert_eq!(language("「hello」は日本語で何と言いますか").map(Language::code), Some("ja"));
    }
}
