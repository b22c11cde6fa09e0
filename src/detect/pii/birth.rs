//! Dates of birth: a date right after words that announce one, in the languages of the replies.

use regex::Regex;

use super::{super::overlap::Candidate, Scan, checksum::is_date};

/// The words that announce a date of birth.
pub(super) const WORDS: &[&str] = &[
    "date of birth",
    "birth date",
    "birthdate",
    "birthday",
    "dob",
    "d.o.b",
    "born on",
    "born",
    "geburtsdatum",
    "geboren am",
    "geb. am",
    "geb.",
    "geburtstag",
    "date de naissance",
    "né le",
    "née le",
    "fecha de nacimiento",
    "nacido el",
    "nacida el",
    "nací el",
    "data di nascita",
    "nato il",
    "nata il",
    "data de nascimento",
    "nascido em",
    "nascida em",
    "nasci em",
    "geboortedatum",
    "geboren op",
    "data urodzenia",
    "urodzony",
    "urodzona",
    "urodziłem się",
    "urodziłam się",
    "doğum tarihi",
    "doğumlu",
    "doğum günü",
    "تاريخ الميلاد",
    "تاريخ ميلاد",
    "ولدت في",
    "जन्म तिथि",
    "जन्मतिथि",
    "जन्म तारीख",
    "出生日期",
    "出生于",
    "生日",
    "出生",
    "生年月日",
    "誕生日",
    "생년월일",
    "생일",
    "дата рождения",
    "Дата рождения",
    "родился",
    "родилась",
];

/// How far after its words a date may start, and the longest date, in bytes.
const REACH: usize = 24;
const LONGEST: usize = 40;

/// Names of months, by the letters that tell them apart, in the languages with Latin letters.
const MONTHS: [&[&str]; 12] = [
    &["jan", "ene", "gen", "sty", "oca", "янв"],
    &["feb", "fév", "fev", "lut", "şub", "фев"],
    &["mar", "mär", "mrz", "maa", "mrt", "мар"],
    &["apr", "avr", "abr", "kwi", "nis", "апр"],
    &["may", "mai", "mag", "mei", "maj", "мая", "май"],
    &["jun", "juin", "giu", "cze", "haz", "июн"],
    &["jul", "juil", "lug", "lip", "tem", "июл"],
    &["aug", "aoû", "aou", "ago", "sie", "ağu", "авг"],
    &["sep", "set", "wrz", "eyl", "сен"],
    &["oct", "okt", "ott", "out", "paź", "eki", "окт"],
    &["nov", "lis", "kas", "ноя"],
    &["dec", "dez", "déc", "dic", "gru", "ara", "дек"],
];

/// The forms of a date.
pub(super) struct Dates(Regex);

impl Dates {
    pub(super) fn new() -> Self {
        let forms = [
            r"(?<y1>[0-9]{4})[-./][ ]?(?<m1>[0-9]{1,2})[-./][ ]?(?<d1>[0-9]{1,2})",
            r"(?<a2>[0-9]{1,2})[-./][ ]?(?<b2>[0-9]{1,2})[-./][ ]?(?<y2>[0-9]{4}|[0-9]{2})",
            r"(?<d3>[0-9]{1,2})(?:st|nd|rd|th|er|º|\.)? ?(?:de |of )?(?<m3>\p{Alphabetic}{3,12})\.?,? ?(?:de |of )?(?<y3>[0-9]{4})",
            r"(?<m4>\p{Alphabetic}{3,12})\.? (?<d4>[0-9]{1,2})(?:st|nd|rd|th)?,? (?<y4>[0-9]{4})",
            r"(?<y5>[0-9]{4}) ?[年년] ?(?<m5>[0-9]{1,2}) ?[月월] ?(?<d5>[0-9]{1,2}) ?[日일]?",
        ];
        Self(Regex::new(&forms.join("|")).expect("the forms of a date are valid patterns"))
    }

    /// The first date of a short text, as the range of its bytes.
    fn find(&self, text: &str) -> Option<std::ops::Range<usize>> {
        let found = self.0.captures(text)?;
        let number = |name: &str| found.name(name).and_then(|part| part.as_str().parse::<u64>().ok());
        let month = |name: &str| found.name(name).and_then(|part| month(part.as_str()));
        let (year, month, day) = if let Some(year) = number("y1") {
            (year, number("m1")?, number("d1")?)
        } else if let Some(year) = number("y2") {
            let (first, second) = (number("a2")?, number("b2")?);
            if second > 12 { (year, first, second) } else { (year, second, first) }
        } else if let Some(year) = number("y3") {
            (year, month("m3")?, number("d3")?)
        } else if let Some(year) = number("y4") {
            (year, month("m4")?, number("d4")?)
        } else {
            (number("y5")?, number("m5")?, number("d5")?)
        };
        let year = if year < 100 { 1900 + year } else { year };
        let day_first = is_date(year, month, day) || is_date(year, day, month);
        ((1900..2100).contains(&year) && day_first).then(|| found.get_match().range())
    }
}

/// The number of a month from its name.
fn month(name: &str) -> Option<u64> {
    let name = name.to_lowercase();
    MONTHS.iter().position(|names| names.iter().any(|start| name.starts_with(start))).map(|at| at as u64 + 1)
}

/// Adds every date of birth.
pub(super) fn scan(scan: &mut Scan<'_>) {
    let topic = scan.topics.birth;
    let text = scan.text;
    let places: Vec<usize> = scan.context().places(topic).iter().map(|place| place.end).collect();
    for start in places {
        let end = text.floor_char_boundary(start + REACH + LONGEST);
        let Some(date) = scan.patterns.dates.find(&text[start..end]) else { continue };
        // Cut off by the window's end, or part of something longer: not a date.
        let span = start + date.start..start + date.end;
        let whole = !text.as_bytes().get(span.end).is_some_and(u8::is_ascii_digit);
        if date.start <= REACH && whole {
            scan.found.push(Candidate { signal: "pii.date_of_birth", score: 0.9, span });
        }
    }
}
