//! From bytes that arrive token by token to text made of whole characters.

/// Holds back the beginning of a character until its end has come. A character takes at most four bytes, so at
/// most three are ever held.
#[derive(Debug, Default)]
pub struct Detokenizer {
    pending: Vec<u8>,
}

impl Detokenizer {
    /// Takes the bytes of a token and gives the text that is whole by now. Bytes that can't become UTF-8 turn
    /// into U+FFFD, as in [`String::from_utf8_lossy`].
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let open = match self.pending.utf8_chunks().last() {
            Some(last) => open_character(last.invalid()),
            None => 0,
        };
        let rest = self.pending.split_off(self.pending.len() - open);
        let whole = std::mem::replace(&mut self.pending, rest);
        String::from_utf8_lossy(&whole).into_owned()
    }

    /// Gives what is left when no more bytes will come.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// How many of the bytes at a text's end that are no character may yet become one.
fn open_character(invalid: &[u8]) -> usize {
    match std::str::from_utf8(invalid) {
        Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => invalid.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pushes `bytes` cut at `cuts` and gives the pieces that came out.
    fn pieces(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<String> {
        cuts.iter_mut().for_each(|cut| *cut %= bytes.len() + 1);
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut detokenizer = Detokenizer::default();
        let mut start = 0;
        let mut out = Vec::new();
        for cut in cuts {
            out.push(detokenizer.push(&bytes[start..cut]));
            assert!(detokenizer.pending.len() <= 3);
            start = cut;
        }
        out.push(detokenizer.finish());
        out
    }

    #[test]
    fn holds_back_a_half_emoji() {
        let bytes = "a😀".as_bytes();
        assert_eq!(pieces(bytes, vec![3]), ["a", "😀", ""]);
    }

    #[test]
    fn a_half_character_at_the_end_becomes_a_replacement() {
        assert_eq!(pieces(&"é".as_bytes()[..1], vec![]), ["", "\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn text_comes_out_whole_wherever_it_is_cut(text in any::<String>(), cuts in prop::collection::vec(0usize..64, 0..8)) {
            let out = pieces(text.as_bytes(), cuts);
            let replaced = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
            prop_assert!(replaced(&text) || out.iter().all(|piece| !replaced(piece)));
            prop_assert_eq!(out.concat(), text);
        }

        #[test]
        fn any_bytes_come_out_as_if_read_at_once(bytes in prop::collection::vec(any::<u8>(), 0..32), cuts in prop::collection::vec(0usize..64, 0..8)) {
            prop_assert_eq!(pieces(&bytes, cuts).concat(), String::from_utf8_lossy(&bytes));
        }
    }
}
