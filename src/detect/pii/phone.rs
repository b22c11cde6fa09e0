//! Phone numbers. Forms and words find candidates; the `phonenumber` crate (Google's numbering plans) confirms.
//!
//! International numbers (`+…`, `00…`) stand alone. National ones are taken where the form says so (North America's
//! `(415) 555-2671`, France's `06 12 34 56 78`) or where a word such as "phone" stands just before; the language of
//! that word tells which countries' plans to ask. What no plan knows but a word calls a phone number is reported
//! with a low score, because made-up and brand-new numbers look like that; so are toll-free and other service
//! numbers, which are no person's.

use std::ops::Range;

use phonenumber::{
    Type,
    country::Id,
    metadata::{DATABASE, Database},
};

use super::{super::overlap::Candidate, Scan, checksum::is_short_date, numbers::Token};

/// Words for a phone in one language, and the countries whose people write it.
pub(super) struct Language {
    pub(super) words: &'static str,
    countries: &'static [Id],
}

/// The languages; each is a topic of its own.
pub(super) const LANGUAGES: &[Language] = &[
    Language {
        words: "phone|telephone|cell|cellphone|mobile|call me|text me|call us|tel|ph|fax|whatsapp|\
            phone number|contact number|dial|sms",
        countries: &[Id::US, Id::GB, Id::IN, Id::AU, Id::IE, Id::NZ, Id::ZA],
    },
    Language {
        words: "telefon|handy|mobil|rufnummer|tel|handynummer|ruf mich an|mobilnummer",
        countries: &[Id::DE, Id::AT, Id::CH],
    },
    Language {
        words: "téléphone|portable|tél|appelle-moi|appelez|numéro de tel|tel",
        countries: &[Id::FR, Id::BE, Id::CH],
    },
    Language {
        words: "teléfono|telefono|móvil|celular|llámame|tel",
        countries: &[Id::ES, Id::MX, Id::AR, Id::CO, Id::CL],
    },
    Language { words: "telefono|cellulare|chiamami|tel", countries: &[Id::IT] },
    Language { words: "telefone|celular|telemóvel|tel", countries: &[Id::BR, Id::PT] },
    Language { words: "telefoon|mobiel|bel me|tel|telefoonnummer", countries: &[Id::NL, Id::BE] },
    Language { words: "telefon|komórka|komórkowy|zadzwoń|tel", countries: &[Id::PL] },
    Language { words: "telefon|cep tel|cep telefonu|beni ara|tel", countries: &[Id::TR] },
    Language {
        words: "هاتف|الهاتف|جوال|موبايل|اتصل", countries: &[Id::SA, Id::EG, Id::AE]
    },
    Language { words: "फोन|फ़ोन|मोबाइल", countries: &[Id::IN] },
    Language { words: "电话|電話|手机|手機", countries: &[Id::CN, Id::TW, Id::HK] },
    Language { words: "電話|携帯|TEL", countries: &[Id::JP] },
    Language { words: "전화|휴대폰|핸드폰|연락처", countries: &[Id::KR] },
    Language {
        words: "телефон|мобильный|Телефон|тел", countries: &[Id::RU, Id::UA]
    },
];

/// How far before a national number its word may end, in bytes.
const REACH: usize = 32;
/// The fewest and most digits of a number with its country code (ITU-T E.164).
const FEWEST: usize = 7;
const MOST: usize = 15;
/// How many lookups one text gets. The first lookup in a country's plan takes up to a millisecond, so a long list of
/// numbers from everywhere would take seconds; the rest of such a list is reported by its form alone.
const LOOKUPS: usize = 200;

/// Digits that may be a phone number, and where they stand.
struct Chain {
    span: Range<usize>,
    digits: String,
    /// The sizes of its groups, and whether parentheses are around the first of them.
    groups: Vec<usize>,
    parenthesis: bool,
    /// Whether anything but single spaces joins the groups.
    joined: bool,
    /// Whether a `+` stands before.
    plus: bool,
}

/// Loads the numbering plans now rather than with the first number of the first request.
pub(super) fn load() {
    let _: &Database = &DATABASE;
}

/// Adds every phone number.
pub(super) fn scan(scan: &mut Scan<'_>) {
    let mut lookups = LOOKUPS;
    let mut at = 0;
    while at < scan.tokens.len() {
        if !scan.tokens[at].all_digits {
            at += 1;
            continue;
        }
        let Some((mut chain, mut last)) = chain(scan, at) else {
            at += 1;
            continue;
        };
        // A longer chain may have swallowed a number that follows; the longest part that is one wins.
        let mut taken = 1;
        while chain.digits.len() >= FEWEST {
            if let Some(score) = score(scan, &chain, &mut lookups) {
                scan.found.push(Candidate { signal: "pii.phone", score, span: chain.span.clone() });
                taken = last + 1 - at;
                break;
            }
            if last == at {
                break;
            }
            last -= 1;
            let Some(dropped) = chain.groups.pop() else { break };
            chain.digits.truncate(chain.digits.len() - dropped);
            chain.span.end = scan.tokens[last].span.end;
        }
        at += taken;
    }
}

/// The longest chain of digits that starts with a token, and the last token of it.
fn chain(scan: &Scan<'_>, first: usize) -> Option<(Chain, usize)> {
    let text = scan.text.as_bytes();
    let mut start = scan.tokens[first].span.start;
    let parenthesis = text[..start].ends_with(b"(");
    start -= usize::from(parenthesis);
    let sign = ["+", "＋"].into_iter().find(|sign| text[..start].ends_with(sign.as_bytes()));
    start -= sign.map_or(0, str::len);
    let plus = sign.is_some();
    let glued = text[..start].last().is_some_and(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'-' | b'_' | b'/' | b'$' | b'=' | b'#' | b'+') && !plus
    });
    if glued {
        return None;
    }
    let mut chain = Chain {
        span: start..start,
        digits: String::new(),
        groups: Vec::new(),
        parenthesis,
        joined: false,
        plus,
    };
    let mut last = first;
    for (at, token) in scan.tokens.iter().enumerate().skip(first) {
        let gap = if at > first { &scan.text[scan.tokens[at - 1].span.end..token.span.start] } else { " " };
        if !token.all_digits || chain.digits.len() + token.span.len() > MOST || !is_joint(gap) {
            break;
        }
        chain.joined |= gap != " ";
        chain.digits.push_str(&scan.text[token.span.clone()]);
        chain.groups.push(token.span.len());
        chain.span.end = token.span.end;
        last = at;
    }
    // A parenthesis around the whole number, or around more, is not the number's.
    if parenthesis && !scan.text[chain.span.clone()].contains(')') {
        chain.span.start += 1;
        chain.parenthesis = false;
    }
    (chain.digits.len() >= FEWEST).then_some((chain, last))
}

/// Whether a gap joins groups of one phone number.
fn is_joint(gap: &str) -> bool {
    matches!(
        gap,
        " " | "-"
            | "."
            | "/"
            | ") "
            | ")"
            | " ("
            | "("
            | ")-"
            | ") - "
            | " - "
            | " / "
            | "\u{a0}"
            | "\u{2011}"
            | "\u{2013}"
            | "\u{202f}"
            | "  "
    )
}

/// How sure it is that a chain is a phone number.
fn score(scan: &mut Scan<'_>, chain: &Chain, lookups: &mut usize) -> Option<f32> {
    let after = scan.text.as_bytes().get(chain.span.end..).unwrap_or_default();
    let runs_on = matches!(after, [b'-' | b'.' | b'/' | b':', next, ..] if next.is_ascii_digit())
        || matches!(after, [b'_' | b'@' | b'%', ..])
        || after.first().is_some_and(u8::is_ascii_alphanumeric);
    if runs_on || chain.digits.bytes().all(|digit| digit == b'0') {
        return None;
    }
    if chain.plus || chain.digits.starts_with("00") && chain.digits.len() >= 11 {
        let digits = if chain.plus { &chain.digits[..] } else { &chain.digits[2..] };
        return look_up(None, &format!("+{digits}"), lookups).map(|owner| owner.weigh(1.0));
    }
    if is_date(chain) {
        return None;
    }
    let named: Vec<usize> = languages_before(scan, chain.span.start);
    if let Some(country) = country_of_form(chain)
        && let Some(owner) = look_up(Some(country), &chain.digits, lookups)
    {
        return Some(owner.weigh(if named.is_empty() { 0.8 } else { 1.0 }));
    }
    if named.is_empty() {
        return None;
    }
    let mut countries = named.iter().flat_map(|language| LANGUAGES[*language].countries);
    let owner = countries.find_map(|country| look_up(Some(*country), &chain.digits, lookups));
    let long_enough = chain.digits.len() >= 9 || chain.groups == [3, 4];
    owner.map(|owner| owner.weigh(0.9)).or(long_enough.then_some(0.5))
}

/// The languages one of whose words for a phone ends shortly before `at`.
fn languages_before(scan: &mut Scan<'_>, at: usize) -> Vec<usize> {
    let first = scan.topics.phone;
    let context = scan.context();
    (0..LANGUAGES.len()).filter(|language| context.before(first + language, at, REACH)).collect()
}

/// The country in whose way alone a number is written: North America, France, British mobiles.
fn country_of_form(chain: &Chain) -> Option<Id> {
    let long_distance = match chain.groups[..] {
        [3, 3, 4] => true,
        [1, 3, 3, 4] => chain.digits.starts_with('1'),
        _ => false,
    };
    // Groups joined by nothing but spaces are written for many things.
    if long_distance && (chain.parenthesis || chain.joined) {
        return Some(Id::US);
    }
    match chain.groups[..] {
        [2, 2, 2, 2, 2] if chain.digits.starts_with('0') => Some(Id::FR),
        [5, 6] | [5, 3, 3] if chain.digits.starts_with("07") => Some(Id::GB),
        _ => None,
    }
}

/// Whether the groups are those of a date, as in `2024-01-15` or `15.01.2024`.
fn is_date(chain: &Chain) -> bool {
    let part = |from: usize, to: usize| chain.digits[from..to].parse::<u64>().unwrap_or(u64::MAX);
    match chain.groups[..] {
        [4, 2, 2] => is_short_date(part(2, 4), part(4, 6), part(6, 8)),
        [2, 2, 4] => {
            let year = part(6, 8);
            is_short_date(year, part(2, 4), part(0, 2)) || is_short_date(year, part(0, 2), part(2, 4))
        }
        [4, 4] => chain.digits.starts_with("19") || chain.digits.starts_with("20"),
        _ => false,
    }
}

/// Whose number a numbering plan says it is; after too many lookups, whose it could be.
fn look_up(country: Option<Id>, digits: &str, lookups: &mut usize) -> Option<Owner> {
    let Some(left) = lookups.checked_sub(1) else { return (digits.len() >= 10).then_some(Owner::Unchecked) };
    *lookups = left;
    let number = phonenumber::parse(country, digits).ok().filter(phonenumber::is_valid)?;
    Some(match number.number_type(&DATABASE) {
        Type::TollFree | Type::PremiumRate | Type::SharedCost | Type::Uan | Type::Voicemail => Owner::Service,
        _ => Owner::Anyone,
    })
}

/// Who may have a number.
#[derive(Clone, Copy)]
enum Owner {
    /// A person or an organisation.
    Anyone,
    /// An organisation that answers the public: toll-free, premium and shared-cost numbers. Crisis lines are such.
    Service,
    /// Nobody asked, for want of lookups.
    Unchecked,
}

impl Owner {
    /// A service's number is no person's data.
    fn weigh(self, score: f32) -> f32 {
        match self {
            Self::Anyone => score,
            Self::Service => 0.3,
            Self::Unchecked => score.min(0.5),
        }
    }
}

/// Whether the tokens hold enough digits in a row for a phone number at all.
pub(super) fn is_possible(tokens: &[Token]) -> bool {
    let mut run = 0;
    tokens.iter().any(|token| {
        run = if token.all_digits { run + token.span.len() } else { 0 };
        run >= FEWEST
    })
}
