//! A view: one reading of a segment's text, with a map from its places back to the original.

use std::{ops::Range, sync::Arc};

/// A reading of a text: the text itself, or what is left when a disguise is undone.
#[derive(Clone, Debug)]
pub struct View {
    /// The text as this view reads it.
    pub text: Arc<str>,
    /// How the reading was come by, outermost first, such as `["base64", "rot13"]`; empty for the text itself.
    pub by: Vec<&'static str>,
    /// Where its places lie in the original.
    pub map: SpanMap,
}

impl View {
    /// The text as it stands.
    pub fn plain(text: Arc<str>) -> Self {
        Self { text, by: Vec::new(), map: SpanMap::Identity }
    }
}

/// Maps byte ranges of a view to byte ranges of the original text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanMap {
    /// The view is the original.
    Identity,
    /// The whole view comes from one range of the original (a decoded blob).
    Whole(Range<usize>),
    /// Piece by piece: `(start in the view, range in the original)`, ascending by start in the view; a piece
    /// reaches to the start of the next one, and the last entry only says where the view ends. Used where
    /// characters were replaced, left out or put elsewhere. In a piece that is as long in the view as in the
    /// original every byte has its own place; such a piece holds characters of the original's lengths.
    Pieces(Arc<[(usize, Range<usize>)]>),
}

impl SpanMap {
    /// The smallest range of the original that holds everything the view shows at `span`.
    pub fn to_original(&self, span: &Range<usize>) -> Range<usize> {
        match self {
            Self::Identity => span.clone(),
            Self::Whole(original) => original.clone(),
            Self::Pieces(pieces) => {
                let holding = |at: usize| pieces.partition_point(|(start, _)| *start <= at).saturating_sub(1);
                let (first, last) = (holding(span.start), holding(span.end.max(span.start + 1) - 1));
                let covered = (first..=last).filter_map(|i| {
                    let (start, original) = pieces.get(i)?;
                    let end = pieces.get(i + 1).map_or(*start, |(next, _)| *next);
                    if end - start != original.len() {
                        return Some(original.clone());
                    }
                    let place = |at: usize| original.start + at.clamp(*start, end) - start;
                    Some(place(span.start)..place(span.end))
                });
                covered.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0)
            }
        }
    }

    /// From a view that was made from this map's view (`inner` leads there) to the original.
    #[must_use]
    pub fn through(&self, inner: Self) -> Self {
        match (self, inner) {
            (Self::Identity, inner) => inner,
            (Self::Whole(original), _) => Self::Whole(original.clone()),
            (outer, Self::Identity) => outer.clone(),
            (outer, Self::Whole(piece)) => Self::Whole(outer.to_original(&piece)),
            (outer @ Self::Pieces(parts), Self::Pieces(inner)) => {
                let mut pieces = Vec::with_capacity(inner.len());
                for pair in inner.windows(2) {
                    let ((start, middle), (end, _)) = (&pair[0], &pair[1]);
                    if end - start != middle.len() {
                        pieces.push((*start, outer.to_original(middle)));
                        continue;
                    }
                    // Byte for byte the same: it keeps the places of each part that it lies in.
                    let mut at = middle.start;
                    while at < middle.end {
                        let next = parts.partition_point(|(start, _)| *start <= at);
                        let part_end =
                            parts.get(next).map_or(middle.end, |(start, _)| middle.end.min(*start));
                        pieces.push((start + at - middle.start, outer.to_original(&(at..part_end))));
                        at = part_end;
                    }
                }
                pieces.extend(inner.last().map(|(end, last)| (*end, outer.to_original(last))));
                Self::Pieces(pieces.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_map_piece_by_piece() {
        // "say %62omb" read as "say bomb".
        let map = SpanMap::Pieces([(0, 0..4), (4, 4..7), (5, 7..10), (8, 10..10)].into());
        assert_eq!(map.to_original(&(4..8)), 4..10);
        assert_eq!(map.to_original(&(0..3)), 0..3);
        assert_eq!(map.to_original(&(5..6)), 7..8);
        assert_eq!(map.to_original(&(8..8)), 10..10);
    }

    #[test]
    fn pieces_may_stand_in_another_order() {
        let reversed = SpanMap::Pieces([(0, 2..3), (1, 1..2), (2, 0..1), (3, 3..3)].into());
        assert_eq!(reversed.to_original(&(0..2)), 1..3);
    }
}
