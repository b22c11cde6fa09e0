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
    /// Piece by piece: `(start in the view, range in the original)`, ascending by start in the view. A piece
    /// reaches to the start of the next; the last one to the end of the view. Used where characters were
    /// replaced or left out one by one.
    Pieces(Arc<[(usize, Range<usize>)]>),
}

impl SpanMap {
    /// The smallest range of the original that holds everything the view shows at `span`.
    pub fn to_original(&self, span: &Range<usize>) -> Range<usize> {
        match self {
            Self::Identity => span.clone(),
            Self::Whole(original) => original.clone(),
            Self::Pieces(pieces) => {
                let first = pieces.partition_point(|(start, _)| *start <= span.start).saturating_sub(1);
                let last = pieces
                    .partition_point(|(start, _)| *start < span.end.max(span.start + 1))
                    .saturating_sub(1);
                let covered = pieces.get(first..=last.max(first)).unwrap_or_default();
                let start = covered.iter().map(|(_, original)| original.start).min();
                let end = covered.iter().map(|(_, original)| original.end).max();
                start.zip(end).map_or(0..0, |(start, end)| start..end)
            }
        }
    }
}
