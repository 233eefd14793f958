//! Smallest, middle and largest of a row of measurements.

use serde::Serialize;

/// In ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// Smallest.
    pub min: f64,
    /// Middle.
    pub median: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Of `values` in ms, rounded to tenths; none when there are none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        Some(Self {
            count: values.len(),
            min: tenths(*values.first()?),
            median: tenths(values[values.len() / 2]),
            max: tenths(*values.last()?),
        })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            min, median, max, ..
        } = self;
        write!(f, "{median} ms ({min} to {max})")
    }
}

/// Rounded to tenths.
pub(crate) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter() {
        let spread = Spread::of(vec![3.04, -1.0, 20.0]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (-1.0, 3.0, 20.0));
        assert_eq!(spread.to_string(), "3 ms (-1 to 20)");
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
