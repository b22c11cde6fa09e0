//! Stop strings in a text that arrives in pieces: what may be shown, and when to stop.

use aho_corasick::AhoCorasick;

/// The longest stop string, in bytes; what is held back at most.
pub const MAX_STOP_BYTES: usize = 256;

/// Finds the stop string that is complete first. What could be the beginning of one is held back until it is
/// known; the text that comes out ends before the stop string and is the same however the input was cut.
#[derive(Debug)]
pub struct StopFilter {
    stops: Vec<String>,
    finder: Option<AhoCorasick>,
    held: String,
    stopped: bool,
}

impl StopFilter {
    /// A filter for `stops`; empty ones are left out, those over [`MAX_STOP_BYTES`] are cut there.
    pub fn new(stops: &[String]) -> Self {
        let cut = |stop: &String| stop[..stop.floor_char_boundary(MAX_STOP_BYTES)].to_owned();
        let stops: Vec<String> = stops.iter().map(cut).filter(|stop| !stop.is_empty()).collect();
        // In its standard mode the automaton reports the match that ends first.
        let finder = if stops.is_empty() { None } else { AhoCorasick::new(&stops).ok() };
        Self { stops, finder, held: String::new(), stopped: false }
    }

    /// Takes the next piece and gives the text that may be shown now.
    pub fn push(&mut self, piece: &str) -> String {
        let Some(finder) = self.finder.as_ref().filter(|_| !self.stopped) else {
            return if self.stopped { String::new() } else { piece.to_owned() };
        };
        self.held.push_str(piece);
        if let Some(found) = finder.find(&self.held) {
            self.stopped = true;
            self.held.truncate(found.start());
            return std::mem::take(&mut self.held);
        }
        let rest = self.held.split_off(self.open_from());
        std::mem::replace(&mut self.held, rest)
    }

    /// Gives what was held back when no more text will come.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Whether a stop string was found.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Where the longest end of `held` begins that is the beginning of a stop string.
    fn open_from(&self) -> usize {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let from = self.held.ceil_char_boundary(self.held.len().saturating_sub(longest.saturating_sub(1)));
        self.held[from..]
            .char_indices()
            .map(|(i, _)| from + i)
            .find(|&i| self.stops.iter().any(|stop| stop.starts_with(&self.held[i..])))
            .unwrap_or(self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(stops: &[&str]) -> StopFilter {
        StopFilter::new(&stops.iter().map(|stop| (*stop).to_owned()).collect::<Vec<_>>())
    }

    /// What comes out of `text` cut before each of the characters at `cuts`.
    fn shown(stops: &[&str], text: &str, cuts: &[usize]) -> (String, bool) {
        let mut filter = filter(stops);
        let mut out = String::new();
        let mut piece = String::new();
        for (i, c) in text.chars().enumerate() {
            if cuts.contains(&i) {
                out += &filter.push(&piece);
                piece.clear();
            }
            piece.push(c);
        }
        out += &filter.push(&piece);
        out += &filter.finish();
        (out, filter.stopped())
    }

    /// The definition, character by character: cut before the stop string that is complete first.
    fn expected(stops: &[&str], text: &str) -> (String, bool) {
        for (i, c) in text.char_indices() {
            let so_far = &text[..i + c.len_utf8()];
            let longest = stops.iter().filter(|stop| so_far.ends_with(**stop)).max_by_key(|stop| stop.len());
            if let Some(stop) = longest {
                return (so_far[..so_far.len() - stop.len()].to_owned(), true);
            }
        }
        (text.to_owned(), false)
    }

    #[test]
    fn holds_back_only_what_may_become_a_stop() {
        let mut filter = filter(&["END"]);
        assert_eq!(filter.push("the E"), "the ");
        assert_eq!(filter.push("Nd, EN"), "ENd, ");
        assert_eq!(filter.push("D and more"), "");
        assert!(filter.stopped());
        assert_eq!(filter.push("nothing"), "");
        assert_eq!(filter.finish(), "");
    }

    #[test]
    fn without_stops_everything_passes_at_once() {
        let mut filter = filter(&[""]);
        assert_eq!(filter.push("any thing"), "any thing");
        assert!(!filter.stopped());
    }

    proptest! {
        #[test]
        fn cutting_never_changes_what_is_shown(
            text in "[abcé😀]{0,24}",
            stops in prop::collection::vec("[abcé😀]{1,4}", 0..4),
            cuts in prop::collection::vec(0usize..24, 0..8),
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            prop_assert_eq!(shown(&stops, &text, &cuts), expected(&stops, &text));
        }
    }

    #[test]
    fn every_split_of_a_text_gives_the_same() {
        let (stops, text) = (["abab", "bac", "é!"], "xxababab yabacé!");
        for splits in 0..1u32 << 15 {
            let cuts: Vec<usize> = (0..15).filter(|i| splits >> i & 1 == 1).map(|i| i + 1).collect();
            assert_eq!(shown(&stops, text, &cuts), expected(&stops, text));
        }
    }
}
