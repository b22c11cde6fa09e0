//! Who reads which windows of a pass, where several threads do.

/// Deals windows of these lengths out to that many hands, so that the one with most to read has little more than its
/// part: the longest first, each to whoever has least (Graham, Bounds on multiprocessing timing anomalies, 1969). `None`
/// where dealing leaves too much to one hand.
pub(super) fn deal(lengths: &[usize], hands: usize) -> Option<Vec<Vec<usize>>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|window| std::cmp::Reverse(lengths[*window]));
    let mut dealt = vec![(0, Vec::new()); hands];
    for window in order {
        let (load, windows) = dealt.iter_mut().min_by_key(|(load, _)| *load)?;
        *load += lengths[window];
        windows.push(window);
    }
    let (total, most) = (lengths.iter().sum::<usize>(), dealt.iter().map(|(load, _)| *load).max()?);
    // Else the kernels split their products, which makes about half of a pass faster.
    let pays = hands > 1 && 2 * hands * most <= (hands + 1) * total;
    pays.then(|| {
        dealt.into_iter().map(|(_, windows)| windows).filter(|windows| !windows.is_empty()).collect()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_are_read_side_by_side() {
        assert_eq!(deal(&[40, 256, 30, 200], 2), Some(vec![vec![1], vec![3, 0, 2]]));
    }

    #[test]
    fn nothing_is_dealt_that_would_leave_the_others_idle() {
        assert_eq!(deal(&[256], 2), None);
        assert_eq!(deal(&[256, 30], 2), None);
        assert_eq!(deal(&[256, 256], 1), None);
    }

    proptest! {
        #[test]
        fn every_window_is_read_once(lengths in prop::collection::vec(1_usize..256, 0..40), hands in 1_usize..9) {
            let Some(dealt) = deal(&lengths, hands) else { return Ok(()) };
            prop_assert!(dealt.len() <= hands);
            let mut read = dealt.concat();
            read.sort_unstable();
            prop_assert_eq!(read, (0..lengths.len()).collect::<Vec<_>>());
        }
    }
}
