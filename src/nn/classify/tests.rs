//! The guard model's thread, with a network whose scores are lengths and whose passes a test holds up.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use super::*;

/// One token a byte, four bytes a window, [`STRETCH`] bytes a stretch; the probability is the last byte over 256.
struct Stub {
    /// Told of each pass before it runs: how many windows.
    passes: Sender<usize>,
    /// A pass waits for this.
    go: Receiver<()>,
}

impl Network for Stub {
    fn windows(&self, passage: Passage<'_>, from: usize) -> Result<Cut> {
        let to = passage.text.len().min(from + STRETCH);
        anyhow::ensure!(!passage.text[from..to].contains('%'), "not a token");
        let bytes = passage.text.as_bytes()[from..to].chunks(4).enumerate();
        let shown = bytes.map(|(i, chunk)| Shown {
            window: Window {
                ids: chunk.iter().map(|b| u32::from(*b)).collect(),
                types: vec![0; chunk.len()],
            },
            bytes: from + i * 4..from + i * 4 + chunk.len(),
        });
        let rest = (to < passage.text.len()).then_some(to);
        Ok(Cut { shown: shown.filter(|shown| shown.window.ids != BLANK).collect(), rest })
    }

    fn probabilities(&mut self, windows: &[Window]) -> Result<Vec<Vec<f32>>> {
        let _ = self.passes.send(windows.len());
        let _ = self.go.recv();
        if windows.iter().any(|w| w.ids.contains(&u32::from(b'!'))) {
            panic!("a bug");
        }
        anyhow::ensure!(!windows.iter().any(|w| w.ids.contains(&u32::from(b'?'))), "not a number");
        let p = |w: &Window| vec![w.ids.last().map_or(0.0, |id| *id as f32 / 256.0)];
        Ok(windows.iter().map(p).collect())
    }
}

const STRETCH: usize = 3 * PASS;
/// What makes no window.
const BLANK: [u32; 4] = [0x20; 4];

/// A test that fails drops `go` first, so that no pass waits for it and the thread ends.
struct Harness {
    go: Sender<()>,
    passes: Receiver<usize>,
    classifier: Classifier,
}

fn harness(limits: Limits) -> Harness {
    let (passes_in, passes) = channel();
    let (go, go_out) = channel();
    let stub = Stub { passes: passes_in, go: go_out };
    let classifier = Classifier::start(stub, limits, Counters::unread()).unwrap();
    Harness { classifier, passes, go }
}

fn text(text: &str) -> Text {
    Text { text: text.into(), kind: 0, context: None }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

impl Harness {
    fn ask(&self, words: &str) -> oneshot::Receiver<Result<Scores, Unjudged>> {
        self.ask_until(words, soon())
    }

    fn ask_until(&self, words: &str, deadline: Instant) -> oneshot::Receiver<Result<Scores, Unjudged>> {
        match self.classifier.submit(text(words), deadline).unwrap() {
            Answer::Coming(receiver) => receiver,
            Answer::Known(_) => panic!("`{words}` is known"),
        }
    }

    /// Lets one pass run; how many windows it had.
    fn pass(&self) -> usize {
        let windows = self.passes.recv_timeout(Duration::from_secs(20)).expect("there is a pass");
        self.go.send(()).unwrap();
        windows
    }
}

#[test]
fn the_highest_score_is_kept_with_its_place() {
    let h = harness(Limits::default());
    let answer = h.ask("aaaazbbz");
    assert_eq!(h.pass(), 2);
    let scores = answer.blocking_recv().unwrap().unwrap();
    assert_eq!(*scores, [(f32::from(b'z') / 256.0, 4..8)]);
}

#[test]
fn texts_that_wait_share_a_pass_and_known_ones_need_none() {
    let h = harness(Limits::default());
    let first = h.ask("a");
    assert_eq!(h.passes.recv().unwrap(), 1);
    let (second, third) = (h.ask("b"), h.ask("c"));
    let again = h.ask("a");
    h.go.send(()).unwrap();
    assert_eq!(h.pass(), 2, "`b` and `c` in one pass, `a` is known by now");
    for answer in [first, second, third, again] {
        answer.blocking_recv().unwrap().unwrap();
    }
    assert!(matches!(h.classifier.submit(text("b"), soon()).unwrap(), Answer::Known(_)));
    assert_eq!(h.classifier.counters.cached.get(), 2);
    let other = Text { kind: 1, ..text("b") };
    let answer = h.classifier.submit(other, soon()).unwrap();
    assert!(matches!(answer, Answer::Coming(_)), "another role");
    h.pass();
}

#[test]
fn who_has_left_costs_no_pass() {
    let h = harness(Limits::default());
    let first = h.ask("a");
    h.passes.recv().unwrap();
    drop(h.ask("gone"));
    let last = h.ask("b");
    h.go.send(()).unwrap();
    first.blocking_recv().unwrap().unwrap();
    assert_eq!(h.pass(), 1);
    last.blocking_recv().unwrap().unwrap();
}

#[test]
fn what_is_late_is_told_and_not_computed() {
    let h = harness(Limits::default());
    let Answer::Coming(answer) = h.classifier.submit(text("a"), Instant::now()).unwrap() else { panic!() };
    assert_eq!(answer.blocking_recv().unwrap(), Err(Unjudged::Late));
    assert!(h.passes.try_recv().is_err());
}

#[test]
fn a_full_queue_refuses() {
    let h = harness(Limits { queue: 1, cache: 0 });
    let first = h.ask("a");
    h.passes.recv().unwrap();
    let second = h.ask("b");
    assert!(matches!(h.classifier.submit(text("c"), soon()), Err(Refused::Full)));
    h.go.send(()).unwrap();
    h.pass();
    for answer in [first, second] {
        answer.blocking_recv().unwrap().unwrap();
    }
}

#[test]
fn errors_and_panics_are_told_and_the_thread_lives_on() {
    let h = harness(Limits::default());
    for (words, passes, error) in
        [("a?", 1, "not a number"), ("a!", 1, "the network panicked"), ("a%", 0, "not a token")]
    {
        let answer = h.ask(words);
        (0..passes).for_each(|_| assert_eq!(h.pass(), 1));
        assert_eq!(answer.blocking_recv().unwrap(), Err(Unjudged::Failed(error.to_owned())));
    }
    let answer = h.ask("a");
    h.pass();
    answer.blocking_recv().unwrap().unwrap();
}

#[test]
fn a_text_without_tokens_has_no_scores() {
    let h = harness(Limits::default());
    assert!(h.ask("").blocking_recv().unwrap().unwrap().is_empty());
}

#[test]
fn a_text_is_read_to_its_end_stretch_by_stretch() {
    let h = harness(Limits::default());
    let text = "x".repeat(STRETCH) + &" ".repeat(STRETCH) + &"x".repeat(PASS - 4) + "xxyz";
    let answer = h.ask(&text);
    let windows: usize = (0..4).map(|_| h.pass()).sum();
    assert_eq!(windows, (STRETCH + PASS) / 4);
    let end = text.len();
    assert_eq!(*answer.blocking_recv().unwrap().unwrap(), [(f32::from(b'z') / 256.0, end - 4..end)]);
}

#[test]
fn an_error_in_a_later_stretch_is_told() {
    let h = harness(Limits::default());
    let answer = h.ask(&("x".repeat(STRETCH) + "%"));
    (0..3).for_each(|_| assert_eq!(h.pass(), PASS / 4));
    assert_eq!(answer.blocking_recv().unwrap(), Err(Unjudged::Failed("not a token".to_owned())));
}

#[test]
fn short_texts_do_not_wait_for_a_long_one() {
    let h = harness(Limits::default());
    let long = h.ask(&"x".repeat(4 * PASS));
    assert_eq!(h.passes.recv().unwrap(), PASS / 4);
    let short = h.ask("a");
    h.go.send(()).unwrap();
    h.pass();
    short.blocking_recv().unwrap().unwrap();
    for _ in 0..3 {
        h.pass();
    }
    assert_eq!(long.blocking_recv().unwrap().unwrap().len(), 1);
}

#[test]
fn a_long_text_that_has_waited_long_is_not_overtaken() {
    let h = harness(Limits::default());
    let mut long = h.ask(&"x".repeat(2 * PASS));
    assert_eq!(h.passes.recv().unwrap(), PASS / 4);
    let short = h.ask_until("a", soon() + TOKEN * 2 * PASS as u32);
    h.go.send(()).unwrap();
    h.pass();
    // Before the third pass runs the long one has its scores.
    h.passes.recv().unwrap();
    long.try_recv().unwrap().unwrap();
    h.go.send(()).unwrap();
    short.blocking_recv().unwrap().unwrap();
}
