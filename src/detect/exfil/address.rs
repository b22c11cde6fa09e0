//! What the address of an image or a link carries away.

use percent_encoding::percent_decode_str;
use url::Url;

/// What an address carries, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carries {
    /// Nothing to speak of.
    Nothing,
    /// A long name, as files in stores have them.
    Name,
    /// Something long that is no word, in a parameter.
    Opaque,
    /// Words, or a gap for them.
    Text,
}

/// From so many characters on, a value without spaces may hold a secret or encoded text.
const OPAQUE: usize = 24;

/// What an address carries; `None` when it leads nowhere else.
pub(super) fn carries(address: &str) -> Option<Carries> {
    let with_scheme = if address.starts_with("//") { format!("https:{address}") } else { address.to_owned() };
    let url = Url::parse(&with_scheme).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let parameters = url.query_pairs().flat_map(|(key, value)| [key, value]).map(|value| of_value(&value));
    let fragment = url.fragment().map(|_| Carries::Nothing);
    let segments = url.path_segments().into_iter().flatten().map(|segment| {
        let segment = percent_decode_str(segment).decode_utf8_lossy();
        match of_value(&segment) {
            // Titles stand in addresses as words with hyphens, which are not spaces.
            Carries::Text => Carries::Text,
            Carries::Opaque => Carries::Name,
            less => less,
        }
    });
    let labels = url
        .host_str()
        .unwrap_or_default()
        .split('.')
        .map(|label| if label.len() > 40 { Carries::Opaque } else { Carries::Nothing });
    parameters.chain(fragment).chain(segments).chain(labels).max()
}

fn of_value(value: &str) -> Carries {
    let is_gap = ["{{", "}}", "<", "${", "[insert", "YOUR_", "SECRET", "PASSWORD"]
        .iter()
        .any(|gap| value.contains(gap));
    let words = value.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count();
    if is_gap || words >= 4 {
        return Carries::Text;
    }
    let is_one_word = value.chars().all(|c| c.is_alphabetic() || "-_.".contains(c));
    if value.len() >= OPAQUE && words <= 1 && !is_one_word { Carries::Opaque } else { Carries::Nothing }
}
