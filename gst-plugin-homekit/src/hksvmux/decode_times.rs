//! When the samples of a fragment are decoded.
//!
//! Cameras rarely say it (RTP carries presentation times only), and what encoders say begins before zero.
//! So decoding follows from presentation: the n-th sample in decoding order is decoded at the n-th
//! presentation time in order. The first is then decoded at the fragment's earliest presentation time,
//! no edit list is needed, and without reordering both times are equal.

/// Units of 1/90000 s since the first key frame.
type Ticks = u64;

/// Presentation and decoding time of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) pts: Ticks,
    pub(super) dts: Ticks,
}

/// Times for samples that are presented at `pts`, in decoding order.
///
/// Decoding times grow by one tick at least and begin at `earliest` or later; presentation times follow
/// where that moves them.
pub(super) fn decode_times(pts: &[Ticks], earliest: Ticks) -> Vec<Times> {
    let mut order: Vec<usize> = (0..pts.len()).collect();
    order.sort_by_key(|&index| (pts[index], index));
    let mut dts = Vec::with_capacity(pts.len());
    let mut moved = vec![0; pts.len()];
    let mut next = earliest;
    for &index in &order {
        let time = pts[index].max(next);
        dts.push(time);
        moved[index] = time;
        next = time + 1;
    }
    let times = moved.into_iter().zip(dts);
    times.map(|(pts, dts)| Times { pts, dts }).collect()
}

/// Whether any sample is presented at another time than it is decoded.
pub(super) fn is_reordered(times: &[Times]) -> bool {
    times.iter().any(|times| times.pts != times.dts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dts(times: &[Times]) -> Vec<Ticks> {
        times.iter().map(|times| times.dts).collect()
    }

    #[test]
    fn without_reordering_both_times_are_equal() {
        let times = decode_times(&[0, 3000, 6000], 0);
        assert!(!is_reordered(&times));
        assert_eq!(dts(&times), [0, 3000, 6000]);
    }

    #[test]
    fn reordered_pictures_are_decoded_in_the_order_they_came() {
        let times = decode_times(&[0, 9000, 3000, 6000], 0);
        assert!(is_reordered(&times));
        assert_eq!(dts(&times), [0, 3000, 6000, 9000]);
        assert_eq!(times[1].pts, 9000);
    }

    #[test]
    fn repeated_times_grow_and_nothing_begins_before_the_end_of_what_was() {
        let times = decode_times(&[100, 100, 100, 101], 200);
        assert_eq!(dts(&times), [200, 201, 202, 203]);
        assert!(!is_reordered(&times));
    }
}
