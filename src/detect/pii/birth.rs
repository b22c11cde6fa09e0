//! Dates of birth: a date right after words that announce one, in the languages of the replies.

use std::ops::Range;

use regex::Regex;

use super::{super::overlap::Candidate, Scan, checksum::is_date};

/// What forms call it.
pub(super) const LABELS: &str = "date of birth|birth date|birthdate|birthday|dob|d.o.b|geburtsdatum|geburtstag|\
    date de naissance|fecha de nacimiento|data di nascita|data de nascimento|geboortedatum|data urodzenia|\
    doğum tarihi|doğum günü|تاريخ الميلاد|تاريخ ميلاد|जन्म तिथि|जन्मतिथि|जन्म तारीख|出生日期|生日|生年月日|誕生日|생년월일|\
    생일|дата рождения|Дата рождения";
/// What sentences say before the date. They are said of the famous as often.
pub(super) const VERBS: &str = "born|geboren am|geb. am|geb.|né le|née le|nacido el|nacida el|nací el|nato il|nata il|\
    nascido em|nascida em|nasci em|geboren op|urodzony|urodzona|urodziłem się|urodziłam się|ولدت في|出生于|出生|\
    родился|родилась";
/// What sentences say after the date.
pub(super) const VERBS_AFTER: &str = "geboren|doğumlu|doğdum|出生|生まれ|태어났";

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
    fn find(&self, text: &str) -> Option<Range<usize>> {
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

/// Adds every date of birth: 0.9 after a label, 0.7 beside a verb.
pub(super) fn scan(scan: &mut Scan<'_>) {
    for (topic, score) in [(0, 0.9), (1, 0.7), (2, 0.7)] {
        let first = scan.topics.birth;
        let places = scan.context().places(first + topic).to_vec();
        let dates = places.iter().filter_map(|place| match topic {
            2 => before(scan, place.start),
            _ => after(scan, place.end),
        });
        let dates: Vec<_> = dates.collect();
        scan.found.extend(dates.into_iter().map(|span| Candidate {
            signal: "pii.date_of_birth",
            score,
            span,
        }));
    }
}

/// The date that starts soon after `at`.
fn after(scan: &Scan<'_>, at: usize) -> Option<Range<usize>> {
    let end = scan.text.floor_char_boundary(at + REACH + LONGEST);
    let date = scan.patterns.dates.find(&scan.text[at..end])?;
    // Cut off by the window's end, or part of something longer: not a date.
    let whole = !scan.text.as_bytes().get(at + date.end).is_some_and(u8::is_ascii_digit);
    (date.start <= REACH && whole).then(|| at + date.start..at + date.end)
}

/// The date that ends soon before `at`.
fn before(scan: &Scan<'_>, at: usize) -> Option<Range<usize>> {
    const GAP: usize = 8;
    let start = scan.text.floor_char_boundary(at.saturating_sub(LONGEST + GAP));
    let date = scan.patterns.dates.find(&scan.text[start..at])?;
    let whole = !scan.text.as_bytes()[..start + date.start].last().is_some_and(u8::is_ascii_digit);
    (at - start - date.end <= GAP && whole).then(|| start + date.start..start + date.end)
}
