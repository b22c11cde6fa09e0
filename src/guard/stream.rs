//! The window over a streamed answer: which text is to be judged next, and what of it may be shown.
//!
//! A synchronous state machine over the texts of one answer (the words of each choice, reasoning, tool calls). Pieces
//! go in as they arrive; it says which stretch is due to be judged, takes the verdict, and gives out what may be shown.
//! Nobody waits inside it: time is an argument.
//!
//! A window begins small, so that the first words are out fast, and grows to a steady size. While one is being judged
//! the next gathers, so that windows grow by themselves when the guard is busy. Each is judged together with the text
//! before it. Part of a text may read worse than all of it, so a refusal that rests on a score is put off once: the same
//! words are judged again together with more of those around them, and are held until then. Where a policy takes things
//! out of answers, what may be the beginning of such a thing is held back until it is clear what it is ([`settle`]).

mod settle;
#[cfg(test)]
mod tests;
mod text;

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use self::text::Text;
use super::redact::Restorer;
use crate::{
    message::{Direction, Place, Role, Segment},
    policy::{
        Policy,
        pattern::{Matcher, Pattern},
    },
    verdict::{Redaction, StreamMode},
};

/// Bytes of the first window: some three words.
const FIRST: usize = 16;
/// Bytes of a steady one: a sentence. Windows double from the first to this.
const STEADY: usize = 128;
/// Bytes before a window that are judged with it. A text up to twice as long is judged from its beginning.
pub const OVERLAP: usize = 300;
/// The same when the guard is busy: reading the same words again is most of its work.
const LEAST_OVERLAP: usize = 100;
/// The same when a refusal was put off: with the words that follow, about what the guard model reads in one pass. Half
/// of that when the guard is busy.
const SECOND_LOOK: [usize; 2] = [900, 400];
/// The longest match of a pattern without a bound that is provided for, in bytes.
const LONGEST: usize = 1024;
/// How long words wait for a window to fill.
const PATIENCE: Duration = Duration::from_millis(250);
/// The same when the guard is busy. With two judgements behind it, still within the guard's usual deadline.
const MOST_PATIENCE: Duration = Duration::from_millis(1000);
/// How long words wait for others when a refusal was put off: until a slow model has said some fifteen.
const SECOND_PATIENCE: Duration = Duration::from_millis(750);
/// How long after the words came that wait begins at the latest: it ends within the guard's usual deadline.
const SECOND_WAIT: Duration = Duration::from_millis(600);
/// How many times its last judgement's time a window waits: a guard that is busy is asked less often.
const EASE: u32 = 8;

/// What a policy makes of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// When text is shown.
    pub mode: StreamMode,
    /// Whether the policy takes things out of answers.
    pub redacts: bool,
    /// Bytes before a window that are judged with it, at least the longest thing that is looked for: when the guard has
    /// time, and when it is busy.
    pub overlap: [usize; 2],
    /// Bytes that are held back behind what was judged, for the longest of the policy's own patterns that is taken out.
    pub tail: usize,
}

impl Shape {
    /// The window that a policy asks for. Where nothing may be done about answers there is nothing to hold back.
    pub fn of(policy: &Policy) -> Self {
        let mode = if policy.acts_on(Direction::Output) { policy.stream() } else { StreamMode::Audit };
        let redacting: Vec<&Arc<str>> = policy.redacting_signals(Direction::Output).collect();
        let longest = |of: &dyn Fn(&Arc<str>) -> bool| {
            policy
                .patterns()
                .iter()
                .filter(|pattern| of(&pattern.signal))
                .map(longest_match)
                .max()
                .unwrap_or(0)
        };
        let read = policy.reads(Direction::Output);
        Self {
            mode,
            redacts: !redacting.is_empty(),
            overlap: [OVERLAP, LEAST_OVERLAP]
                .map(|least| longest(&|signal| read.contains(signal)).max(least)),
            tail: longest(&|signal| redacting.contains(&signal)),
        }
    }
}

/// The most bytes that a pattern matches; [`LONGEST`] where that has no bound.
fn longest_match(pattern: &Pattern) -> usize {
    let of_regex = |regex: &String| {
        let hir = regex_syntax::ParserBuilder::new().case_insensitive(true).build().parse(regex).ok();
        hir.and_then(|hir| hir.properties().maximum_len()).unwrap_or(LONGEST)
    };
    let longest = match &pattern.matcher {
        // Folding the case may make a letter longer.
        Matcher::Words(words) => words.iter().map(|word| word.len() * 2).max(),
        Matcher::Regex(all) => all.iter().map(of_regex).max(),
    };
    longest.unwrap_or(0).min(LONGEST)
}

/// A stretch of a text that is due to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Which text.
    pub text: usize,
    /// Which bytes of it.
    pub range: Range<usize>,
}

/// Characters that came by, and those of them that were judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// All that came.
    pub characters: usize,
    /// Those that were judged.
    pub judged: usize,
}

/// The windows over all texts of an answer.
pub struct Windows {
    shape: Shape,
    texts: Vec<Text>,
    /// Bytes of new text that make up the next window.
    target: usize,
    patience: Duration,
    /// How many bytes were not judged yet when a refusal was put off.
    put_off: Option<usize>,
    in_flight: bool,
    finished: bool,
}

impl Windows {
    /// Windows of this shape, over nothing yet.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            texts: Vec::new(),
            target: FIRST,
            patience: PATIENCE,
            put_off: None,
            in_flight: false,
            finished: false,
        }
    }

    /// Begins a text, and gives its number.
    pub fn open(&mut self, place: Place, pointer: &str, restorer: Restorer) -> usize {
        self.texts.push(Text::new(place, pointer, restorer));
        self.texts.len() - 1
    }

    /// Takes the next piece of a text, and gives the byte at which it ends.
    pub fn push(&mut self, text: usize, piece: &str, now: Instant) -> usize {
        let audit = self.shape.mode == StreamMode::Audit;
        let text = &mut self.texts[text];
        text.text.push_str(piece);
        text.since = text.since.or(Some(now));
        // More of a text that had ended: it is judged like the rest.
        text.ended &= piece.is_empty();
        if audit {
            text.cleared = text.text.len();
        }
        text.text.len()
    }

    /// A text as it came so far.
    pub fn text(&self, text: usize) -> &str {
        &self.texts[text].text
    }

    /// Ends a text: all of it is due.
    pub fn end(&mut self, text: usize) {
        self.texts[text].ended = true;
        let text = &mut self.texts[text];
        if text.judged == text.text.len() {
            text.cleared = text.judged;
        }
    }

    /// Ends all texts.
    pub fn finish(&mut self) {
        self.finished = true;
        (0..self.texts.len()).for_each(|text| self.end(text));
    }

    /// What is to be judged now; nothing while something is being judged.
    pub fn due(&mut self, now: Instant) -> Option<Vec<Window>> {
        if self.in_flight || self.shape.mode == StreamMode::Buffer && !self.finished {
            return None;
        }
        let fresh: usize = self.texts.iter().map(|text| text.text.len() - text.judged).sum();
        // What was put off is judged again with a whole window behind it.
        let (enough, target) = match self.put_off {
            Some(known) => (known + STEADY, 2 * known + STEADY),
            None => (self.target, self.target),
        };
        let waited = self.oldest().is_some_and(|since| now >= since + self.patience());
        let ended = self.texts.iter().any(|text| text.ended && text.judged < text.text.len());
        if fresh == 0 || fresh < enough && !waited && !ended {
            return None;
        }
        let busy = usize::from(self.patience > PATIENCE);
        let overlap = self.shape.overlap[busy];
        let (overlap, from_beginning) = match self.put_off {
            Some(_) => (overlap.max(SECOND_LOOK[busy]), overlap.max(SECOND_LOOK[busy])),
            None => (overlap, 2 * overlap),
        };
        let windows: Vec<Window> = (self.texts.iter().enumerate())
            .filter_map(|(i, text)| {
                let end = match text {
                    text if text.ended => text.text.len(),
                    text if waited => text.border_now(),
                    text => text.border(target),
                };
                let start = text.start(overlap, from_beginning);
                (end > text.judged).then_some(Window { text: i, range: start..end })
            })
            .collect();
        if windows.is_empty() {
            return None;
        }
        self.in_flight = true;
        self.target = (self.target * 2).min(STEADY);
        Some(windows)
    }

    /// When something is due by time alone.
    pub fn due_at(&self) -> Option<Instant> {
        let waits = !self.in_flight && self.shape.mode != StreamMode::Buffer;
        self.oldest().filter(|_| waits).map(|since| since + self.patience())
    }

    /// How long words wait now.
    fn patience(&self) -> Duration {
        if self.put_off.is_some() { SECOND_PATIENCE } else { self.patience }
    }

    fn oldest(&self) -> Option<Instant> {
        self.texts.iter().filter(|text| text.judged < text.text.len()).filter_map(|text| text.since).min()
    }

    /// The windows as segments, in their order.
    pub fn segments(&self, windows: &[Window]) -> Vec<Segment> {
        let segment = |window: &Window| {
            let text = &self.texts[window.text];
            Segment {
                pointer: text.pointer.clone(),
                place: text.place,
                role: Role::Assistant,
                direction: Direction::Output,
                text: text.text[window.range.clone()].into(),
            }
        };
        windows.iter().map(segment).collect()
    }

    /// Takes a verdict on the windows that refuses them, where more of the text may lead to another one. Whether it is put
    /// off: they are judged once more with more before and behind them, and nothing of them is shown until
    /// then. The second refusal stands, and so does one of whole texts.
    pub fn put_off(&mut self, windows: &[Window], now: Instant) -> bool {
        self.in_flight = false;
        let more = |window: &Window| {
            let text = &self.texts[window.text];
            !text.ended || window.range != (0..text.text.len())
        };
        if self.put_off.is_some() || !windows.iter().any(more) {
            return false;
        }
        let fresh = |window: &Window| window.range.end - self.texts[window.text].judged;
        self.put_off = Some(windows.iter().map(fresh).sum());
        for window in windows {
            let since = &mut self.texts[window.text].since;
            *since = since.map(|since| now.min(since + SECOND_WAIT)).or(Some(now));
        }
        true
    }

    /// Whether a refusal was put off, and the second verdict is still to come.
    pub fn is_put_off(&self) -> bool {
        self.put_off.is_some()
    }

    /// Takes a verdict on the windows that refuses nothing: what it takes out, and how long it took.
    pub fn judged(&mut self, windows: &[Window], redactions: &[Redaction], took: Duration, now: Instant) {
        self.in_flight = false;
        self.put_off = None;
        self.patience = (took * EASE).clamp(PATIENCE, MOST_PATIENCE);
        for (i, window) in windows.iter().enumerate() {
            let shape = self.shape;
            let text = &mut self.texts[window.text];
            for redaction in redactions.iter().filter(|redaction| redaction.segment == i) {
                text.take_out(window.range.start, redaction);
            }
            text.judged = window.range.end;
            // What is left came while the window was judged.
            let cut = now.checked_sub(took).unwrap_or(now);
            text.since = (text.judged < text.text.len()).then_some(cut);
            text.clear(shape);
        }
    }

    /// How far a text may be shown, in bytes.
    pub fn cleared(&self, text: usize) -> usize {
        self.texts[text].cleared
    }

    /// Whether all of a text may be shown, and nothing more is to come.
    pub fn is_over(&self, text: usize) -> bool {
        let text = &self.texts[text];
        text.ended && text.cleared == text.text.len()
    }

    /// Shows a text up to a byte that is cleared: what stands there, without what is taken out, with originals put back.
    pub fn show(&mut self, text: usize, to: usize) -> String {
        let shown = self.texts[text].show(to);
        self.add(text, &shown);
        shown
    }

    /// Takes note of words that are shown beside those that came, such as a notice.
    pub fn add(&mut self, text: usize, words: &str) {
        self.texts[text].said.push_str(words);
    }

    /// The same for words that stand before all others.
    pub fn add_before(&mut self, text: usize, words: &str) {
        self.texts[text].said.insert_str(0, words);
    }

    /// The texts as they came, for a verdict on all of them.
    pub fn whole(&self) -> Vec<Segment> {
        let whole = |(text, of): (usize, &Text)| Window { text, range: 0..of.text.len() };
        let windows: Vec<Window> = self.texts.iter().enumerate().map(whole).collect();
        self.segments(&windows)
    }

    /// What the client has of a text.
    pub fn said(&self, text: usize) -> &str {
        &self.texts[text].said
    }

    /// Whether something was taken out of a text.
    pub fn is_edited(&self, text: usize) -> bool {
        self.texts[text].is_edited()
    }

    /// Whether everything that came was judged.
    pub fn all_judged(&self) -> bool {
        self.texts.iter().all(|text| text.judged == text.text.len())
    }

    /// What was held back of an original that might have begun, once a text is over.
    pub fn rest(&mut self, text: usize) -> String {
        self.texts[text].restorer.finish()
    }

    /// Bytes that came and are not shown.
    pub fn held(&self) -> usize {
        self.texts.iter().map(|text| text.text.len() - text.shown).sum()
    }

    /// What came, and what of it was judged.
    pub fn seen(&self) -> Seen {
        let count = |text: &str| text.chars().count();
        self.texts.iter().fold(Seen::default(), |seen, text| Seen {
            characters: seen.characters + count(&text.text),
            judged: seen.judged + count(&text.text[..text.judged]),
        })
    }
}
