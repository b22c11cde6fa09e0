//! Which network is asked, with networks that always say the same.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::*;
use crate::{
    nn::{
        classify::{Classifier as Worker, Counters, Limits, Network},
        encoder::{
            Window,
            tokens::{Cut, Passage, Shown},
        },
    },
    verdict::FailureReason,
};

const ENGLISH: &str = "What is the best way to do this with my neighbours?";
const GERMAN: &str = "Wie mache ich das am besten mit meinen Nachbarn?";

/// Says the same harm of everything, or fails, and counts how many windows it was shown.
struct Always(Option<f32>, Arc<AtomicUsize>);

impl Network for Always {
    fn windows(&self, passage: Passage<'_>, _: usize) -> Result<Cut> {
        let window = Window { ids: vec![1], types: vec![0] };
        Ok(Cut { shown: vec![Shown { window, bytes: 0..passage.text.len() }], rest: None })
    }

    fn probabilities(&mut self, windows: &[Window]) -> Result<Vec<Vec<f32>>> {
        self.1.fetch_add(windows.len(), Ordering::Relaxed);
        ensure!(self.0.is_some(), "a bug");
        Ok(windows.iter().map(|_| self.0.into_iter().collect()).collect())
    }
}

fn model(harm: Option<f32>) -> (Model, Arc<AtomicUsize>) {
    let shown = Arc::new(AtomicUsize::new(0));
    let always = Always(harm, Arc::clone(&shown));
    let worker = Worker::start(always, Limits::default(), Counters::unread()).unwrap();
    (Model::new(worker, vec![Some(Sense::Harm)]), shown)
}

/// What the guard says of a text in this role with networks of these harms, and how often each was asked.
async fn judged(
    role: Role,
    text: &str,
    english: f32,
    other: Option<f32>,
) -> (Result<f32, FailureReason>, [usize; 2]) {
    let ((english, first), (other, second)) = (model(Some(english)), model(other));
    let second_opinions = IntCounter::new("second_opinions", "x").unwrap();
    let guard = Classifier::guard(english, Some(other), second_opinions.clone());
    let segment = Segment { role, place: Place::of(role), ..Segment::bare(Direction::Input, text) };
    let task = Task::plain(Exchange::input(vec![segment]), Instant::now() + Duration::from_secs(60));
    let harm = async || guard.detect(&task).await.map(|findings| findings[0].score);
    let said = harm().await;
    if said.is_ok() {
        assert_eq!(harm().await, said, "what is known comes to the same");
    }
    let asked = [first, second].map(|shown| shown.load(Ordering::Relaxed));
    assert_eq!(second_opinions.get() > 0, asked.iter().all(|times| *times > 0), "it is counted");
    (said, asked)
}

#[tokio::test]
async fn in_doubt_both_networks_are_heard() {
    let (harm, asked) = judged(Role::User, ENGLISH, 0.9, Some(0.1)).await;
    assert!((harm.unwrap() - 0.5).abs() < 1e-3);
    assert_eq!(asked, [1, 1]);
}

#[tokio::test]
async fn what_is_clearly_harmless_needs_no_second_opinion() {
    assert_eq!(judged(Role::User, ENGLISH, 0.4, Some(1.0)).await, (Ok(0.4), [1, 0]));
}

#[tokio::test]
async fn one_network_is_heard_of_other_languages_and_of_what_no_user_says() {
    assert_eq!(judged(Role::User, GERMAN, 0.1, Some(0.9)).await, (Ok(0.9), [0, 1]));
    assert_eq!(judged(Role::Tool, ENGLISH, 0.9, Some(0.1)).await, (Ok(0.9), [1, 0]));
}

#[tokio::test]
async fn a_second_opinion_that_fails_is_a_failure() {
    assert_eq!(judged(Role::User, ENGLISH, 0.9, None).await.0, Err(FailureReason::Error));
}
