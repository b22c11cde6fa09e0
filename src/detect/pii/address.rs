//! Postal addresses: a street with a house number, surer with a postal code and a town behind it.
//!
//! Streets are written differently in every country. The forms here are tried only on the few bytes around a word for
//! a street that has a number near.

use std::ops::Range;

use regex::Regex;

use super::{super::overlap::Candidate, Scan};

/// Words for a street, some only as the end of a compound (`-`): only around them is looked for an address.
pub(super) const WORDS: &str = "street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|\
    pl|square|sq|terrace|parkway|pkwy|highway|hwy|way|circle|close|crescent|p.o. box|po box|rue|\
    chemin|allée|impasse|quai|calle|avenida|avda|plaza|paseo|carrera|via|viale|piazza|corso|rua|\
    travessa|praça|ulica|ul.|aleja|al.|os.|caddesi|cad.|sokak|sokağı|sok.|улица|ул.|проспект|-straße|\
    -strasse|-str.|-weg|-platz|-allee|-gasse|-damm|-ufer|-straat|-laan|-plein|-gracht|-kade|-gatan|\
    -vägen|-gata|-veien|-vej|-gade|-katu|路|街|巷|区|區|都|県|府|市|丁目|구 ";
/// Words that announce an address.
pub(super) const ANNOUNCING: &str = "address|live at|lives at|living at|ship to|deliver to|send it to|\
    residence|adresse|wohne|wohnhaft|anschrift|habite|dirección|direccion|vivo en|domicilio|indirizzo|\
    abito|residente|endereço|moro|morada|adres|woon|mieszkam|adresem|adresi|oturuyorum|العنوان|أسكن|\
    पता|地址|住址|住在|住所|주소|адрес";

/// How far around a street's word an address may reach, in bytes.
const BEFORE: usize = 64;
const AFTER: usize = 96;
/// How far before an address the announcing word may end, in bytes.
const ANNOUNCED: usize = 40;

/// The forms, one country or family each. `{town}` and `{name}` stand for words with a capital.
const FORMS: &[&str] = &[
    // 12 Main Street, Apt 4, Springfield, IL 62704 — 221B Baker Street, London NW1 6XE — 5 King St, Sydney NSW 2000
    concat!(
        r"\b[0-9]{1,5}[A-Za-z]?,? (?:[NSEW]\.? )?(?:{name}|[0-9]{1,3}(?:st|nd|rd|th))(?: {name}){0,3} ",
        r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Terrace|Parkway",
        r"|Pkwy|Highway|Hwy|Way|Circle|Close|Crescent)\b\.?",
        r"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.? ?[0-9A-Za-z-]{1,6})?",
        r"(?:,? (?:{name},? ){1,4}?(?:[A-Z]{2,3},? )?(?:[0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2}",
        r"|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]|[0-9]{4})\b)?",
    ),
    r"(?i:p\.? ?o\.? ?box) [0-9]{1,6}(?:,? (?:{name},? ){1,3}[A-Z]{2},? [0-9]{5})?",
    // 12 rue de la Paix, 75002 Paris
    concat!(
        r"\b[0-9]{1,4}(?: ?bis| ?ter)?,? (?i:rue|avenue|boulevard|chemin|allée|impasse|place|quai) ",
        r"(?:[\p{L}'’-]+ ){0,5}?{name}(?: {name}){0,2}(?:,? [0-9]{5} {name})?",
    ),
    // Calle Mayor 5, 28013 Madrid — Via Roma 10, 00184 Roma — ul. Długa 5, 00-238 Warszawa — Rua Augusta, 1500
    concat!(
        r"\b(?i:calle|avenida|avda\.?|plaza|paseo|carrera|via|viale|piazza|corso|rua|travessa|praça|ulica|ul\.|aleja",
        r"|al\.|os\.|улица|ул\.|проспект) (?:[\p{L}'’.-]+ ){0,4}?{name},? (?:(?:n[.ºo°]*|д\.) ?)?[0-9]{1,5}[A-Za-z]?",
        r"(?:/[0-9]{1,4})?(?:,? (?:[0-9]{5}(?:-[0-9]{3})?|[0-9]{4}-[0-9]{3}|[0-9]{2}-[0-9]{3}) {name})?",
    ),
    // Atatürk Mahallesi, Gül Sokak No: 5
    concat!(
        r"{name}(?: (?:Mahallesi|Mah\.),?)?(?: {name}){0,3} (?:Caddesi|Cad\.|Sokak|Sokağı|Sok\.),? (?:No ?[:.]? ?)?",
        r"[0-9]{1,4}",
    ),
    // Hauptstraße 12, 10115 Berlin — Keizersgracht 12, 1015 CJ Amsterdam — Storgatan 5
    concat!(
        r"\b(?:{name}[ -])?\p{Lu}[\p{L}.-]*(?i:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer|straat|laan|plein",
        r"|gracht|kade|gatan|vägen|gata|veien|vej|gade|katu) [0-9]{1,4} ?[a-z]?\b",
        r"(?:,? (?:[A-Z]{1,2}-)?[0-9]{3} ?[0-9]{1,2}(?: ?[A-Z]{2})? {name})?",
    ),
    // 北京市朝阳区建国路88号
    r"\p{Han}{2,8}[省市县縣区區]\p{Han}{1,12}[路街道巷弄][0-9]{1,5}(?:-[0-9]{1,4})?[号號弄](?:[0-9]{1,5}[楼樓室号號])?",
    // 〒100-0001 東京都千代田区千代田1-1
    concat!(
        r"(?:〒 ?[0-9]{3}-[0-9]{4} ?)?\p{Han}{2,3}[都道府県][\p{Han}\p{Hiragana}\p{Katakana}ー]{2,20}",
        r"[0-9]{1,4}(?:丁目|[-−])[0-9]{1,4}(?:[-番−][0-9]{1,4})?",
    ),
    // 서울특별시 강남구 테헤란로 123
    r"\p{Hangul}{1,7}[시도] (?:\p{Hangul}{1,6}[구시군읍면] ){1,2}\p{Hangul}{1,10}[0-9]{0,3}(?:로|길|동) ?[0-9]{1,4}(?:-[0-9]{1,4})?",
];

/// Streets of English as people type them in a hurry; only after words that announce an address.
const HURRIED: &str = concat!(
    r"\b[0-9]{1,5}[a-z]? (?:[\p{L}'’.-]+ ){1,3}(?i:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct",
    r"|place|square|terrace|parkway|highway|way|circle|close|crescent)\b",
);

/// The compiled forms.
pub(super) struct Forms {
    any: Regex,
    hurried: Regex,
}

impl Forms {
    pub(super) fn new() -> Self {
        let any = FORMS.join("|").replace("{name}", r"\p{Lu}[\p{L}'’.-]*");
        let compile = |form: &str| Regex::new(form).expect("the forms of an address are valid patterns");
        Self { any: compile(&any), hurried: compile(HURRIED) }
    }
}

/// Adds every postal address: 0.9 with a second number such as a postal code or flat, 0.8 when a word announces it,
/// 0.5 for a street and number alone.
pub(super) fn scan(scan: &mut Scan<'_>) {
    let topic = scan.topics.street;
    let places = scan.context().places(topic).to_vec();
    let mut done = 0;
    for place in places {
        let start = scan.text.floor_char_boundary(place.start.saturating_sub(BEFORE)).max(done);
        let end = scan.text.ceil_char_boundary((place.end + AFTER).min(scan.text.len()));
        if place.start < done || !scan.has_number_within(start..end) {
            continue;
        }
        if let Some((span, score)) = find(scan, start..end) {
            done = span.end;
            scan.found.push(Candidate { signal: "pii.postal_address", score, span });
        }
    }
}

/// The first address within a part of the text.
fn find(scan: &Scan<'_>, part: Range<usize>) -> Option<(Range<usize>, f32)> {
    let text = &scan.text[part.clone()];
    let context = scan.context.as_ref()?;
    let announced = |at: usize| context.before(scan.topics.announcing, at, ANNOUNCED);
    let Some(found) = scan.patterns.addresses.any.find(text) else {
        let found = scan.patterns.addresses.hurried.find(text)?;
        let span = part.start + found.start()..part.start + found.end();
        return announced(span.start).then_some((span, 0.8));
    };
    let mut span = part.start + found.start()..part.start + found.end();
    // Without spaces the words that announce an address run into it.
    if let Some(end) = context.last_end_within(scan.topics.announcing, &span) {
        span.start = end;
    }
    let words = scan.text[span.clone()].trim_end_matches('.');
    span.end = span.start + words.len();
    let numbers = words.split(|char: char| !char.is_ascii_digit()).filter(|run| !run.is_empty()).count();
    let east_asian = words.chars().any(|char| char >= '\u{3000}');
    let score = match (numbers, announced(span.start) || east_asian) {
        (2.., _) => 0.9,
        (_, true) => 0.8,
        (_, false) => 0.5,
    };
    Some((span, score))
}
