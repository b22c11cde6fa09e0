//! What each setting does to small distributions.

use super::*;

/// Logits whose probabilities are 0.5, 0.25, 0.15 and 0.1.
fn logits() -> Vec<f32> {
    [0.5f32, 0.25, 0.15, 0.1].iter().map(|p| p.ln()).collect()
}

/// The tokens that come up in 200 draws, each from fresh logits.
fn drawn(sampling: &Sampling) -> Vec<u32> {
    let mut sampler = Sampler::new(sampling, &[], 0);
    let mut seen: Vec<u32> = (0..200).map(|_| sampler.draw(&logits())).collect();
    seen.sort_unstable();
    seen.dedup();
    seen
}

#[test]
fn temperature_zero_takes_the_best_and_the_lower_of_equals() {
    let mut sampler = Sampler::new(&Sampling { temperature: 0., ..Sampling::default() }, &[], 0);
    assert_eq!(sampler.sample(&mut [1., 3., 3., 2.]), 1);
}

#[test]
fn without_limits_every_token_comes_up() {
    assert_eq!(drawn(&Sampling::default()), [0, 1, 2, 3]);
}

#[test]
fn top_k_keeps_the_best() {
    assert_eq!(drawn(&Sampling { top_k: 2, ..Sampling::default() }), [0, 1]);
}

#[test]
fn top_p_keeps_the_fewest_that_reach_the_sum() {
    assert_eq!(drawn(&Sampling { top_p: 0.74, ..Sampling::default() }), [0, 1]);
    assert_eq!(drawn(&Sampling { top_p: 0.76, ..Sampling::default() }), [0, 1, 2]);
    assert_eq!(drawn(&Sampling { top_p: 0., ..Sampling::default() }), [0]);
}

#[test]
fn top_p_looks_beyond_what_it_sorts_first() {
    let flat = vec![0.; 1000];
    let sampler = Sampler::new(&Sampling { top_p: 0.9, ..Sampling::default() }, &[], 0);
    let kept: Vec<u32> = sampler.candidates(&flat).iter().map(|(token, _)| *token).collect();
    assert!((899..=901).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept[..3], [0, 1, 2]);
}

#[test]
fn min_p_is_in_proportion_to_the_best() {
    assert_eq!(drawn(&Sampling { min_p: 0.4, ..Sampling::default() }), [0, 1]);
}

#[test]
fn draws_follow_the_distribution() {
    let mut sampler = Sampler::new(&Sampling { seed: 7, ..Sampling::default() }, &[], 0);
    let n = 20_000;
    let first = (0..n).filter(|_| sampler.draw(&logits()) == 0).count() as f64 / f64::from(n);
    // Four standard deviations of a binomial with p = 0.5.
    assert!((first - 0.5).abs() < 4. * (0.25 / f64::from(n)).sqrt(), "{first}");
}

#[test]
fn a_seed_repeats_and_choices_differ() {
    let run = |seed, choice| {
        let mut sampler = Sampler::new(&Sampling { seed, ..Sampling::default() }, &[], choice);
        (0..32).map(|_| sampler.sample(&mut logits())).collect::<Vec<_>>()
    };
    assert_eq!(run(1, 0), run(1, 0));
    assert_ne!(run(1, 0), run(1, 1));
    assert_ne!(run(1, 0), run(2, 0));
}

#[test]
fn penalties_and_bias_move_the_best_token() {
    let second = |sampling: Sampling, prompt: &[u32]| {
        let mut sampler = Sampler::new(&Sampling { temperature: 0., ..sampling }, prompt, 0);
        let first = sampler.sample(&mut [2., 1.5, -1.]);
        (first, sampler.sample(&mut [2., 1.5, -1.]))
    };
    let none = Sampling::default;
    assert_eq!(second(none(), &[]), (0, 0));
    assert_eq!(second(Sampling { frequency_penalty: 0.6, ..none() }, &[]), (0, 1));
    assert_eq!(second(Sampling { presence_penalty: 0.6, ..none() }, &[]), (0, 1));
    assert_eq!(second(Sampling { repetition_penalty: 1.5, ..none() }, &[]), (0, 1));
    assert_eq!(second(Sampling { repetition_penalty: 1.5, ..none() }, &[0]), (1, 0));
    assert_eq!(second(Sampling { logit_bias: vec![(0, -100.), (2, 100.)], ..none() }, &[]), (2, 2));
}

#[test]
fn log_probabilities_are_those_of_the_whole_vocabulary() {
    let (own, top) = log_probabilities(&logits(), 2, 2);
    assert!((own - 0.15f32.ln()).abs() < 1e-6);
    assert_eq!(top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [0, 1]);
    assert!((top[1].1 - 0.25f32.ln()).abs() < 1e-6);
}
