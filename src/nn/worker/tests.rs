//! Queueing, cancelling and sharing, on a tiny network. Nothing here waits for time to pass: a long answer goes on
//! as long as its events are held.

use std::sync::LazyLock;

use super::*;
use crate::nn::{sample::Sampling, tiny};

static MODEL: LazyLock<Arc<ChatModel>> = LazyLock::new(|| Arc::new(tiny::chat_model()));

fn worker(queue: usize, slots: usize) -> Worker {
    Worker::start(MODEL.clone(), Limits { queue, slots, prefix_bytes: 1 << 20 }).unwrap()
}

/// A job that no end token cuts short.
fn job(max_tokens: usize) -> Job {
    Job {
        prompt: (3..40).collect(),
        choices: 1,
        max_tokens,
        stop: Vec::new(),
        sampling: Sampling { logit_bias: vec![(0, -1e9), (tiny::END, -1e9)], seed: 1, ..Sampling::default() },
        top_logprobs: None,
    }
}

const LONG: usize = tiny::CONTEXT;

/// Everything that comes until the end.
fn all(mut events: UnboundedReceiver<Event>) -> Vec<Event> {
    std::iter::from_fn(|| events.blocking_recv()).collect()
}

fn text(events: &[Event], of: usize) -> String {
    let pieces = events.iter().filter_map(|event| match event {
        Event::Piece { choice, piece } if *choice == of => Some(piece.text.as_str()),
        _ => None,
    });
    pieces.collect()
}

#[test]
fn an_answer_has_its_length_and_repeats_with_its_seed() {
    let worker = worker(4, 4);
    let first = all(worker.submit(job(20)).unwrap());
    let second = all(worker.submit(job(20)).unwrap());
    assert_eq!(first[0], Event::Started { cached: 0 });
    assert_eq!(first.last(), Some(&Event::Done { choice: 0, finish: Finish::Length, tokens: 20 }));
    assert!(!text(&first, 0).is_empty());
    assert_eq!(text(&first, 0), text(&second, 0));
    // All of the prompt but its last token was known by then.
    assert_eq!(second[0], Event::Started { cached: 36 });
}

#[test]
fn choices_differ_and_all_end() {
    let events = all(worker(1, 4).submit(Job { choices: 3, ..job(12) }).unwrap());
    let done = events.iter().filter(|event| matches!(event, Event::Done { tokens: 12, .. })).count();
    assert_eq!(done, 3);
    assert_ne!(text(&events, 0), text(&events, 1));
    assert_ne!(text(&events, 1), text(&events, 2));
    assert_eq!(text(&events, 0), text(&all(worker(1, 4).submit(job(12)).unwrap()), 0));
}

#[test]
fn the_end_token_and_a_stop_string_end_an_answer() {
    let sampling = Sampling { logit_bias: vec![(tiny::END, 1e9)], ..Sampling::default() };
    let events = all(worker(1, 1).submit(Job { sampling, ..job(20) }).unwrap());
    assert_eq!(events[1..], [Event::Done { choice: 0, finish: Finish::Stop, tokens: 1 }]);

    // Token 3 + byte: only an `x`, then stopped at the second.
    let sampling = Sampling { logit_bias: vec![(3 + u32::from(b'x'), 1e9)], ..Sampling::default() };
    let stop = vec!["xxx".to_owned()];
    let events = all(worker(1, 1).submit(Job { sampling, stop, ..job(20) }).unwrap());
    assert_eq!(events[1..], [Event::Done { choice: 0, finish: Finish::Stop, tokens: 3 }]);
}

#[test]
fn a_full_queue_refuses_and_those_who_left_make_room() {
    let worker = worker(1, 1);
    let mut running = worker.submit(job(LONG)).unwrap();
    assert!(matches!(running.blocking_recv(), Some(Event::Started { .. })));
    let waiting = worker.submit(job(1)).unwrap();
    assert_eq!(worker.submit(job(1)).unwrap_err(), Refused::Full);
    drop(waiting);
    let waiting = worker.submit(job(1)).unwrap();
    drop(running);
    assert!(matches!(all(waiting).last(), Some(Event::Done { .. })));
}

#[test]
fn a_client_that_goes_away_ends_its_answer_within_one_token() {
    let worker = worker(4, 1);
    let mut running = worker.submit(job(LONG)).unwrap();
    while !matches!(running.blocking_recv(), Some(Event::Piece { .. })) {}
    drop(running);
    let before = worker.sampled();
    // The only slot comes free when the answer has ended.
    let after = all(worker.submit(job(1)).unwrap());
    assert!(matches!(after.last(), Some(Event::Done { tokens: 1, .. })));
    assert!(worker.sampled() - before <= 2, "{} tokens", worker.sampled() - before);
}

#[test]
fn a_request_whose_client_left_the_queue_is_skipped() {
    let worker = worker(4, 1);
    let mut running = worker.submit(job(LONG)).unwrap();
    assert!(matches!(running.blocking_recv(), Some(Event::Started { .. })));
    drop(worker.submit(job(LONG)).unwrap());
    let next = worker.submit(job(1)).unwrap();
    drop(running);
    assert!(matches!(all(next).last(), Some(Event::Done { .. })));
}

#[test]
fn a_short_answer_overtakes_a_long_one() {
    let worker = worker(4, 2);
    let mut long = worker.submit(job(LONG)).unwrap();
    assert!(matches!(long.blocking_recv(), Some(Event::Started { .. })));
    let short = all(worker.submit(job(5)).unwrap());
    assert!(matches!(short.last(), Some(Event::Done { tokens: 5, .. })));
    assert!(!long.is_closed());
}

#[test]
fn dropping_the_worker_ends_everything() {
    let worker = worker(4, 1);
    let running = worker.submit(job(LONG)).unwrap();
    let waiting = worker.submit(job(LONG)).unwrap();
    drop(worker);
    assert!(!all(running).iter().any(|event| matches!(event, Event::Done { .. })));
    assert!(all(waiting).is_empty());
}

#[test]
fn log_probabilities_come_with_the_text() {
    let events = all(worker(1, 1).submit(Job { top_logprobs: Some(2), ..job(8) }).unwrap());
    let logprobs: Vec<&TokenLogprob> = events
        .iter()
        .flat_map(|event| match event {
            Event::Piece { piece, .. } => piece.logprobs.as_slice(),
            _ => &[],
        })
        .collect();
    let bytes: Vec<u8> = logprobs.iter().flat_map(|token| token.bytes.clone()).collect();
    assert!(!bytes.is_empty() && text(&events, 0).starts_with(&*String::from_utf8_lossy(&bytes)));
    assert!(logprobs.iter().all(|token| token.logprob < 0. && token.top.len() == 2));
    assert!(logprobs.iter().all(|token| token.top[0].1 >= token.top[1].1));
}
