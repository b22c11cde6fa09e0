//! Steps give the same whichever way a sequence is cut and whatever else is in them. The numbers themselves are
//! compared with llama.cpp's in `tests/model.rs`.

use super::*;
use crate::nn::tiny;

fn logits(llama: &Llama, cache: &mut KvCache, tokens: &[u32]) -> Vec<f32> {
    llama.forward(&mut [Span { tokens, cache, logits: true }]).unwrap().remove(0)
}

#[track_caller]
fn assert_close(a: &[f32], b: &[f32]) {
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
    assert!(a.len() == b.len() && worst < 1e-4, "differ by {worst}");
}

#[test]
fn a_sequence_may_be_fed_in_any_pieces() {
    let llama = tiny::chat_model().llama;
    let tokens: Vec<u32> = (0..40).map(|i| (i * 37) % 259).collect();
    let whole = logits(&llama, &mut llama.new_cache(), &tokens);
    for cuts in [vec![20], vec![1, 2, 39], (1..40).collect()] {
        let mut cache = llama.new_cache();
        let mut start = 0;
        let mut last = Vec::new();
        for cut in cuts.into_iter().chain([40]) {
            last = logits(&llama, &mut cache, &tokens[start..cut]);
            start = cut;
        }
        assert_eq!(cache.len(), 40);
        assert_close(&last, &whole);
    }
}

#[test]
fn sequences_in_one_step_do_not_see_each_other() {
    let llama = tiny::chat_model().llama;
    let texts: [&[u32]; 3] = [&[5, 6, 7, 8], &[9], &[5, 6, 9, 200, 13]];
    let alone: Vec<Vec<f32>> =
        texts.iter().map(|tokens| logits(&llama, &mut llama.new_cache(), tokens)).collect();
    let mut caches = [llama.new_cache(), llama.new_cache(), llama.new_cache()];
    let mut spans: Vec<Span<'_>> = caches
        .iter_mut()
        .zip(texts)
        .enumerate()
        .map(|(i, (cache, tokens))| Span { tokens, cache, logits: i != 1 })
        .collect();
    let together = llama.forward(&mut spans).unwrap();
    assert_eq!(together.len(), 2);
    assert_close(&together[0], &alone[0]);
    assert_close(&together[1], &alone[2]);
}

#[test]
fn a_prefix_goes_on_like_the_sequence_it_is_of() {
    let llama = tiny::chat_model().llama;
    let mut cache = llama.new_cache();
    logits(&llama, &mut cache, &[1, 2, 3, 4, 5, 6]);
    let mut prefix = cache.prefix(3).unwrap();
    let from_prefix = logits(&llama, &mut prefix, &[40, 50]);
    let anew = logits(&llama, &mut llama.new_cache(), &[1, 2, 3, 40, 50]);
    assert_close(&from_prefix, &anew);
    // The copy is one: what the prefix went through does not show in the original.
    let on = logits(&llama, &mut cache, &[7]);
    assert_close(&on, &logits(&llama, &mut llama.new_cache(), &[1, 2, 3, 4, 5, 6, 7]));
}

#[test]
fn later_tokens_and_order_matter() {
    let llama = tiny::chat_model().llama;
    let of = |tokens: &[u32]| logits(&llama, &mut llama.new_cache(), tokens);
    let differ = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 1e-3);
    assert!(differ(of(&[10, 20, 30]), of(&[20, 10, 30])));
    assert!(differ(of(&[10, 20, 30]), of(&[10, 21, 30])));
}

#[test]
fn what_cannot_be_fed_is_an_error() {
    let llama = tiny::chat_model().llama;
    let mut cache = llama.new_cache();
    for tokens in [vec![], vec![259], vec![1; tiny::CONTEXT + 1]] {
        let step = llama.forward(&mut [Span { tokens: &tokens, cache: &mut cache, logits: true }]);
        assert!(step.is_err(), "{} tokens", tokens.len());
    }
}
