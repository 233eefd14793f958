//! A change of the light that all of the picture has part in: exposure, dusk, a cloud, a switch.

/// `now = gain * before + offset` for most cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Light {
    pub(super) gain: f32,
    pub(super) offset: f32,
    /// The median change, in levels.
    pub(super) shift: f32,
}

impl Light {
    /// As it was.
    pub(super) const SAME: Self = Self {
        gain: 1.0,
        offset: 0.0,
        shift: 0.0,
    };

    /// What this luma becomes.
    pub(super) fn of(&self, luma: f32) -> f32 {
        (luma * self.gain + self.offset).clamp(0.0, 255.0)
    }
}

/// Cells darker than this tell nothing about a factor.
const DARK: f32 = 12.0;

/// Factors that cameras are seen to go through between two pictures, and that a fit may say.
const GAINS: std::ops::RangeInclusive<f32> = 0.3..=3.0;

/// The change between two pictures, whatever happens in less than half of their cells.
///
/// Both are tried, something added and a factor, and the one that fits better is taken.
pub(super) fn change(before: &[f32], now: &[f32], scratch: &mut Vec<f32>) -> Light {
    let pairs = || before.iter().zip(now);
    let offset = median(pairs().map(|(b, n)| n - b), scratch);
    let bright = pairs().filter(|(b, _)| **b > DARK);
    let gain = median(bright.map(|(b, n)| n / b), scratch);
    let gain = gain.clamp(*GAINS.start(), *GAINS.end());
    let added = median(pairs().map(|(b, n)| (n - b - offset).abs()), scratch);
    let scaled = median(pairs().map(|(b, n)| (n - b * gain).abs()), scratch);
    if added <= scaled {
        let (gain, shift) = (1.0, offset.abs());
        return Light {
            gain,
            offset,
            shift,
        };
    }
    let shift = median(pairs().map(|(b, _)| (b * gain - b).abs()), scratch);
    Light {
        gain,
        offset: 0.0,
        shift,
    }
}

/// 0 of no values.
fn median(values: impl Iterator<Item = f32>, scratch: &mut Vec<f32>) -> f32 {
    scratch.clear();
    scratch.extend(values);
    let middle = scratch.len() / 2;
    if scratch.is_empty() {
        return 0.0;
    }
    *scratch.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Vec<f32> {
        (0..500).map(|i| 20.0 + (i * 37 % 180) as f32).collect()
    }

    /// A third of the cells do something else.
    fn disturbed(mut picture: Vec<f32>) -> Vec<f32> {
        picture.iter_mut().step_by(3).for_each(|cell| *cell = 90.0);
        picture
    }

    #[test]
    fn offsets_are_found() {
        let now = disturbed(picture().iter().map(|cell| cell + 15.0).collect());
        let light = change(&picture(), &now, &mut Vec::new());
        assert_eq!((light.gain, light.offset, light.shift), (1.0, 15.0, 15.0));
    }

    #[test]
    fn factors_are_found() {
        let now = disturbed(picture().iter().map(|cell| cell * 0.5).collect());
        let light = change(&picture(), &now, &mut Vec::new());
        assert_eq!((light.gain, light.offset), (0.5, 0.0));
        assert!((40.0..70.0).contains(&light.shift), "{light:?}");
    }

    #[test]
    fn nothing_is_found_in_the_same_picture_or_a_dark_one() {
        let light = change(&picture(), &disturbed(picture()), &mut Vec::new());
        assert_eq!((light.gain, light.offset, light.shift), (1.0, 0.0, 0.0));
        let light = change(&[0.0; 100], &[3.0; 100], &mut Vec::new());
        assert_eq!((light.gain, light.offset), (1.0, 3.0));
        let light = change(&[], &[], &mut Vec::new());
        assert_eq!(light.shift, 0.0);
    }
}
