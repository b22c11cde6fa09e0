//! What recent sequences have been through, so that a new one which begins like them does not begin anew.

use super::llama::KvCache;

/// Beginnings shorter than this are cheaper to compute than to look after.
const WORTH_KEEPING: usize = 16;

/// The caches of recent sequences, the one used last at the end, under a limit of positions in all.
///
/// A cache serves every sequence that begins with the same tokens, as far as they are the same: so a system
/// prompt is computed once, and the next turn of a conversation goes on where the last one ended.
pub(super) struct PrefixCache {
    entries: Vec<Entry>,
    capacity: usize,
}

struct Entry {
    tokens: Vec<u32>,
    cache: KvCache,
}

impl PrefixCache {
    /// A cache for `capacity` positions; 0 keeps nothing.
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: Vec::new(), capacity }
    }

    /// A copy of the longest beginning that is known of a sequence, always short of its last token, which has
    /// to be computed for its logits.
    ///
    /// # Errors
    /// Copying fails.
    pub(super) fn find(&mut self, tokens: &[u32]) -> candle_core::Result<Option<KvCache>> {
        let longest = self
            .entries
            .iter()
            .enumerate()
            .map(|(i, entry)| (common(&entry.tokens, tokens).min(tokens.len().saturating_sub(1)), i))
            .max();
        let Some((len, i)) = longest.filter(|(len, _)| *len >= WORTH_KEEPING) else { return Ok(None) };
        let entry = self.entries.remove(i);
        let copy = entry.cache.prefix(len);
        self.entries.push(entry);
        copy.map(Some)
    }

    /// Keeps what a sequence has been through; `tokens` are those that `cache` holds. Older ones make room,
    /// first of all those that are a beginning of the new one.
    pub(super) fn keep(&mut self, mut tokens: Vec<u32>, cache: KvCache) {
        tokens.truncate(cache.len());
        if tokens.len() < WORTH_KEEPING || tokens.len() > self.capacity {
            return;
        }
        self.entries.retain(|entry| !tokens.starts_with(&entry.tokens));
        self.entries.push(Entry { tokens, cache });
        while self.entries.iter().map(|entry| entry.tokens.len()).sum::<usize>() > self.capacity {
            self.entries.remove(0);
        }
    }
}

fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{llama::Span, tiny};

    fn filled(tokens: &[u32]) -> KvCache {
        let model = tiny::chat_model();
        let mut cache = model.llama.new_cache();
        model.llama.forward(&mut [Span { tokens, cache: &mut cache, logits: false }]).unwrap();
        cache
    }

    fn found(prefixes: &mut PrefixCache, tokens: &[u32]) -> usize {
        prefixes.find(tokens).unwrap().map_or(0, |cache| cache.len())
    }

    #[test]
    fn finds_the_longest_common_beginning_short_of_the_last_token() {
        let known: Vec<u32> = (10..50).collect();
        let mut prefixes = PrefixCache::new(100);
        prefixes.keep(known.clone(), filled(&known));
        assert_eq!(found(&mut prefixes, &known), 39);
        let mut other = known.clone();
        other[30] = 99;
        assert_eq!(found(&mut prefixes, &other), 30);
        other[3] = 99;
        assert_eq!(found(&mut prefixes, &other), 0);
        assert_eq!(found(&mut prefixes, &[]), 0);
    }

    #[test]
    fn a_longer_sequence_takes_the_place_of_its_beginning_and_old_ones_make_room() {
        let of = |first: u32, len: u32| (first..first + len).collect::<Vec<_>>();
        let mut prefixes = PrefixCache::new(60);
        for tokens in [of(10, 20), of(10, 30), of(100, 30)] {
            prefixes.keep(tokens.clone(), filled(&tokens));
        }
        assert_eq!(prefixes.entries.len(), 2);
        assert_eq!(found(&mut prefixes, &of(10, 31)), 30);
        // The one found last stays, the other goes.
        prefixes.keep(of(200, 20), filled(&of(200, 20)));
        assert_eq!(found(&mut prefixes, &of(100, 31)), 0);
        assert_eq!(found(&mut prefixes, &of(10, 31)), 30);
    }

    #[test]
    fn nothing_is_kept_without_room() {
        let mut prefixes = PrefixCache::new(0);
        let known: Vec<u32> = (10..50).collect();
        prefixes.keep(known.clone(), filled(&known));
        assert_eq!(found(&mut prefixes, &known), 0);
    }
}
