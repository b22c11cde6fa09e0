//! The languages of the built-in texts, and the regions their speakers most likely live in.

/// A language with built-in texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Language {
    /// Its ISO 639-1 code, the name of its file.
    pub(super) code: &'static str,
    /// The ISO 639-3 codes that language detectors use for it.
    pub(super) long: &'static [&'static str],
    /// Where most of its speakers live, ISO 3166-1: whose help lines are shown when nothing else is known.
    pub(super) regions: &'static [&'static str],
    /// The built-in texts, YAML.
    pub(super) texts: &'static str,
}

macro_rules! languages {
    ($($code:literal $long:tt $regions:tt)*) => {
        /// Every language with built-in texts; English, which all others fall back to, first.
        pub(super) const LANGUAGES: &[Language] = &[$(Language {
            code: $code,
            long: &$long,
            regions: &$regions,
            texts: include_str!(concat!("../../../policies/replies/", $code, ".yaml")),
        }),*];
    };
}

languages! {
    "en" ["eng"] ["US", "GB", "CA", "AU"]
    "de" ["deu"] ["DE", "AT", "CH"]
    "fr" ["fra"] ["FR", "BE", "CH", "CA"]
    "es" ["spa"] ["ES", "MX", "AR", "CL"]
    "it" ["ita"] ["IT", "CH"]
    "pt" ["por"] ["BR", "PT"]
    "nl" ["nld"] ["NL", "BE"]
    "pl" ["pol"] ["PL"]
    "tr" ["tur"] ["TR"]
    "ar" ["ara", "arb"] ["EG", "SA", "AE"]
    "hi" ["hin"] ["IN"]
    "zh" ["zho", "cmn"] ["CN", "TW", "HK"]
    "ja" ["jpn"] ["JP"]
    "ko" ["kor"] ["KR"]
}

/// The language that all others fall back to.
pub(super) const ENGLISH: &str = "en";

/// The built-in language of a tag, which may be a BCP 47 tag (`pt-BR`) or an ISO 639-3 code (`cmn`).
pub(super) fn builtin(tag: &str) -> Option<&'static Language> {
    let primary = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    LANGUAGES.iter().find(|language| language.code == primary || language.long.contains(&primary.as_str()))
}

/// A tag in the form that files are named by: lower case, `-` between its parts.
pub(super) fn normal(tag: &str) -> String {
    tag.to_ascii_lowercase().replace('_', "-")
}

/// Whether a normal tag is formed like a language tag: a code of 2 or 3 letters, then subtags of up to 8
/// letters or digits (RFC 5646, section 2.1).
pub(super) fn is_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let code = parts.next().unwrap_or_default();
    (2..=3).contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_lowercase())
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Whether `code` is formed like an ISO 3166-1 alpha-2 code.
pub(super) fn is_region(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())
}

/// The region of the most wanted language of an `Accept-Language` header that names one: `de-AT,en;q=0.5` ->
/// `AT`. Header: RFC 9110, section 12.5.4; tags: RFC 5646, section 2.1 (UN M49 numbers are passed over).
pub fn region_of(accept_language: &str) -> Option<String> {
    let mut best: Option<(f32, String)> = None;
    for range in accept_language.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default();
        let weight = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
        let weight = weight.map_or(Some(1.0), |q| q.parse::<f32>().ok().filter(|q| *q > 0.0));
        // A subtag of one letter begins an extension; no region can follow it.
        let mut subtags = tag.split('-').skip(1).take_while(|subtag| subtag.len() > 1);
        let region = subtags.find(|s| s.len() == 2).map(str::to_ascii_uppercase).filter(|r| is_region(r));
        if let (Some(weight), Some(region)) = (weight, region)
            && best.as_ref().is_none_or(|(highest, _)| weight > *highest)
        {
            best = Some((weight, region));
        }
    }
    best.map(|(_, region)| region)
}
