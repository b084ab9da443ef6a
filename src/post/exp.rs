//! Powers of 2 for weights that fall off: in loops over arrays they become vector instructions, the same bits on every machine.

/// 2⁻ᵗ for t of 0 or more, to 1e-7 of it; exactly 1 at 0. Beyond 126, and of NaN, it stays at 2⁻¹²⁶, which no sum with a weight of 1
/// in it can feel.
#[inline(always)]
pub(super) fn half_to_the(t: f32) -> f32 {
    // Added to it, a number is rounded to a whole one, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const FIRST: f32 = std::f32::consts::LN_2 - 1.8e-7;
    let t = if t < 126.0 { t } else { 126.0 };
    let rounded = t + ROUND;
    let f = (rounded - ROUND) - t;
    // Of 2^f from -1/2 to 1/2, the polynomial through 1 with the smallest relative error; its first coefficient is ln 2 - 1.8e-7.
    let p = 0.009_671_513 + f * 0.001_326_472_7;
    let p = 0.240_222_42 + f * (0.055_507_336 + f * p);
    let p = 1.0 + f * (FIRST + f * p);
    f32::from_bits(p.to_bits().wrapping_sub(rounded.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_exact_to_rounding() {
        assert_eq!([0.0, 1.0, 2.0, 126.0].map(half_to_the), [1.0, 0.5, 0.25, 2f32.powi(-126)]);
        assert_eq!([127.0, 1e30, f32::INFINITY, f32::NAN].map(half_to_the), [2f32.powi(-126); 4]);
        for i in 0..126_000 {
            let t = i as f32 * 1e-3;
            let exact = (-f64::from(t)).exp2();
            // 9e-8 from the polynomial, and f32 rounds three times.
            assert!((f64::from(half_to_the(t)) / exact - 1.0).abs() < 2.5e-7, "{t}");
        }
    }
}
