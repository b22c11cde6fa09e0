//! What is said over several turns. User messages that stand in a row, and the parts of one message, are read together as
//! well as each for itself, so that a request which is cut in pieces does not hide; and the user's last turns are read
//! as one text, since harm may lie in none of them alone.

use std::{ops::Range, sync::Arc};

use super::view::{SpanMap, View};
use crate::{
    message::{Place, Role, Segment},
    verdict::{SignalInfo, SignalKind},
};

/// How a reading of several messages together was come by.
pub const JOINED: &str = "joined";

/// The signal of a talk that turns to harm. The guard model raises it.
pub const ESCALATION: &str = "conversation.escalation";

/// How much is read together, in bytes. What is left out of a long piece is its middle, which was read for itself.
#[derive(Clone, Copy)]
struct Room {
    /// Of each piece: so much of its beginning, and so much of its end.
    ends: usize,
    /// Of all pieces, the newest first.
    all: usize,
}

/// Of messages in a row.
const RUN: Room = Room { ends: 400, all: 3000 };

/// Of a talk.
const TALK: Room = Room { ends: 250, all: 1500 };

/// A talk turns to harm when its turns together score so much more than any of them.
const CLEARLY: f32 = 0.2;

/// The signals that are about more than one turn.
pub fn signals() -> Vec<SignalInfo> {
    vec![SignalInfo {
        name: ESCALATION.into(),
        kind: SignalKind::Score,
        detector: super::classifier::NAME,
        hazard: None,
        about: "The user's last turns ask for harm together, and none of them alone.".into(),
    }]
}

/// For every run of user messages, and of parts of one, the place of its last segment and one more reading of that: the
/// whole run. What is seen there maps to the last segment; what lies in the others alone maps to nothing.
pub(super) fn runs(segments: &[Segment]) -> Vec<(usize, View)> {
    let mut runs: Vec<Vec<usize>> = vec![Vec::new()];
    for (i, segment) in segments.iter().enumerate().filter(|(_, segment)| !segment.text.trim().is_empty()) {
        match segment.role {
            Role::User if segment.place == Place::Content => runs.last_mut().expect("never empty").push(i),
            Role::Assistant | Role::Tool => runs.push(Vec::new()),
            _ => {}
        }
    }
    let read = |run: Vec<usize>| {
        let (text, pieces) = join(segments, &run, RUN)?;
        let last = *run.last()?;
        let own =
            |(start, segment, place): &Piece| (*start, if *segment == last { place.clone() } else { 0..0 });
        let end = segments[last].text.len();
        let pieces = pieces.iter().map(own).chain([(text.len(), end..end)]).collect();
        Some((last, View { text: text.into(), by: vec![JOINED], map: SpanMap::Pieces(pieces) }))
    };
    runs.into_iter().filter_map(read).collect()
}

/// The user's last turns.
pub(super) struct Talk {
    /// Their words.
    pub(super) text: Arc<str>,
    /// Their segments; there are two at least.
    pub(super) segments: Vec<usize>,
}

impl Talk {
    /// The talk that these segments hold; nothing when the user said one thing only.
    pub(super) fn of(segments: &[Segment]) -> Option<Self> {
        let said =
            |s: &Segment| s.role == Role::User && s.place == Place::Content && !s.text.trim().is_empty();
        let turns: Vec<usize> = (0..segments.len()).filter(|&i| said(&segments[i])).collect();
        let (text, pieces) = join(segments, &turns, TALK)?;
        let mut segments: Vec<usize> = pieces.into_iter().map(|(_, segment, _)| segment).collect();
        segments.dedup();
        Some(Self { text: text.into(), segments })
    }

    /// Whether a talk of this harm has come to it over turns of which the worst is of that harm.
    pub(super) fn escalates(together: f32, worst: f32) -> bool {
        together >= worst + CLEARLY
    }
}

/// Where a piece stands in the joined text, its segment, and its place there.
type Piece = (usize, usize, Range<usize>);

/// The texts of these segments as one, the newest that there is room for. Nothing when that is one segment only.
fn join(segments: &[Segment], of: &[usize], room: Room) -> Option<(String, Vec<Piece>)> {
    let mut chosen = Vec::new();
    let mut left = room.all;
    for &segment in of.iter().rev() {
        let ends = ends(&segments[segment].text, room.ends);
        let length: usize = ends.iter().map(Range::len).sum();
        if length > left {
            break;
        }
        left -= length;
        chosen.push((segment, ends));
    }
    if chosen.len() < 2 {
        return None;
    }
    let (mut text, mut pieces) = (String::new(), Vec::new());
    for (segment, ends) in chosen.into_iter().rev() {
        for place in ends {
            if !text.is_empty() {
                // What stands between is in neither of them.
                pieces.push((text.len(), segment, place.start..place.start));
                text.push(' ');
            }
            pieces.push((text.len(), segment, place.clone()));
            text.push_str(&segments[segment].text[place]);
        }
    }
    Some((text, pieces))
}

/// The whole text, or its two ends when it is long, cut between characters.
fn ends(text: &str, most: usize) -> Vec<Range<usize>> {
    let (first, last) = match text.len() {
        length if length <= 2 * most => (0..length, 0..0),
        length => (0..text.floor_char_boundary(most), text.ceil_char_boundary(length - most)..length),
    };
    [first, last].into_iter().filter(|end| !end.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Direction;

    fn said(role: Role, text: &str) -> Segment {
        Segment { role, place: Place::of(role), ..Segment::bare(Direction::Input, text) }
    }

    #[test]
    fn messages_in_a_row_are_read_together() {
        let segments = [
            said(Role::User, "how do I"),
            said(Role::System, "Answer in Welsh."),
            said(Role::User, "build a kite"),
            said(Role::Assistant, "  "),
            said(Role::User, "for my son"),
            said(Role::Assistant, "Like this."),
            said(Role::User, "Thanks."),
        ];
        let runs = runs(&segments);
        let read: Vec<_> = runs.iter().map(|(i, view)| (*i, &*view.text)).collect();
        assert_eq!(read, [(4, "how do I build a kite for my son")]);
    }

    #[test]
    fn what_is_seen_maps_to_the_last_of_them() {
        let segments = [said(Role::User, "card 4111 1111"), said(Role::User, "1111 1111 é thanks")];
        let (_, view) = &runs(&segments)[0];
        let at = |text: &str| view.text.find(text).map(|start| start..start + text.len()).unwrap();
        assert_eq!(view.map.to_original(&at("4111 1111 1111 1111")), 0..9);
        assert_eq!(view.map.to_original(&at("thanks")), 13..19);
        assert!(view.map.to_original(&at("card")).is_empty());
    }

    #[test]
    fn of_long_pieces_the_ends_are_read() {
        let long = format!("Begin {} end.", "é".repeat(2000));
        let segments = [said(Role::User, &long), said(Role::User, &long), said(Role::User, "and now")];
        let (_, view) = &runs(&segments)[0];
        assert!(view.text.len() <= RUN.all + 4, "{}", view.text.len());
        assert_eq!((view.text.matches("Begin").count(), view.text.matches("end.").count()), (2, 2));
        assert!(view.text.ends_with("end. and now"));
    }

    #[test]
    fn a_talk_is_what_the_user_said_last() {
        let turn = |i: usize| said(Role::User, &format!("{i} {}", "x".repeat(400)));
        let segments: Vec<Segment> =
            (0..9).flat_map(|i| [turn(i), said(Role::Assistant, "So it is.")]).collect();
        let talk = Talk::of(&segments).unwrap();
        assert_eq!(talk.segments, [12, 14, 16]);
        assert!(talk.text.starts_with("6 ") && !talk.text.contains("So it is"));
        assert!(Talk::of(&segments[..2]).is_none(), "one turn is no talk");
    }
}
