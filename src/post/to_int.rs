//! 32-bit values to 8 or 16 bits.

use crate::error::{Error, Result};

/// Maps `min..max` to `0..levels`, truncating: value k stands for [min + k d, min + (k + 1) d) with
/// d = (max - min) / levels, and only values of `max` or more become `levels`.
#[derive(Clone, Copy, Debug)]
pub struct Quantiser {
    min: f64,
    scale: f64,
    levels: f64,
}

impl Quantiser {
    /// `levels` is 255 for 8 bits, 65535 for 16. Refuses an empty range.
    pub fn new(min: f64, max: f64, levels: u16) -> Result<Self> {
        if !(min.is_finite() && max.is_finite() && max > min) {
            let accepted = "the range of 8- or 16-bit output must be finite with max greater than min";
            return Err(Error::invalid("write.tiff", accepted).with("min", min).with("max", max));
        }
        Ok(Quantiser { min, scale: f64::from(levels) / (max - min), levels: f64::from(levels) })
    }
    /// Grey value of `x`; below the range 0, above it `levels`.
    pub fn level(&self, x: f32) -> u16 {
        (self.scale * (f64::from(x) - self.min)).clamp(0.0, self.levels) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_truncated_and_only_the_maximum_is_white() {
        let q = Quantiser::new(-1.0, 12.0, 255).unwrap();
        let step = 13.0 / 255.0;
        let at = |v: f64| q.level((-1.0 + v * step) as f32);
        assert_eq!(
            [at(-3.0), at(0.5), at(1.01), at(1.99), at(254.9), at(255.01), at(400.0)],
            [0, 0, 1, 1, 254, 255, 255]
        );
        assert!(Quantiser::new(1.0, 1.0, 255).is_err() && Quantiser::new(f64::NAN, 1.0, 255).is_err());
    }
}
