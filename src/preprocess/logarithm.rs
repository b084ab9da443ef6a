//! The natural logarithm, in a form that compilers turn into vector code. Must not know: what it is for.

use std::f64::consts::SQRT_2;

/// Bits of a mantissa.
const MANTISSA: u32 = 52;
/// ln 2 in two parts: the first has so few bits that its product with an exponent is exact.
const LN_2: [f64; 2] = [f64::from_bits(0x3fe6_2e42_fee0_0000), 1.908_214_929_270_587_7e-10];

/// ln x for a positive, normal, finite `x`, within one unit in the last place; for any other `x` some number.
///
/// x = 2^e m with m from √½ to √2; then ln m = 2 artanh s with s = (m - 1) / (m + 1), by its power series.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    // Moves the exponent's step from m = 1 to m = √½.
    const STEP: u64 = 1f64.to_bits() - (SQRT_2 / 2.0).to_bits();
    let moved = x.to_bits().wrapping_add(STEP);
    let m = f64::from_bits((moved & ((1 << MANTISSA) - 1)).wrapping_add((SQRT_2 / 2.0).to_bits()));
    // The exponent as the last bits of a large number: vector instructions can turn bits into numbers only so.
    const LARGE: f64 = (1u64 << MANTISSA) as f64;
    let e = f64::from_bits(LARGE.to_bits() | moved >> MANTISSA) - (LARGE + 1023.0);
    let f = m - 1.0;
    let s = f / (m + 1.0);
    let z = s * s;
    // 2 z / 3 + 2 z² / 5 + ...; |s| < 0.172, so what comes after ten terms is below 1e-18.
    let c = |n: u32| 2.0 / f64::from(2 * n + 1);
    let (z2, z4) = (z * z, (z * z) * (z * z));
    let low = (c(1) + c(2) * z) + (c(3) + c(4) * z) * z2;
    let high = (c(5) + c(6) * z) + (c(7) + c(8) * z) * z2;
    let series = z * (low + (high + (c(9) + c(10) * z) * z4) * z4);
    // 2 s = f - s f, and f is exact: only small terms are rounded.
    e * LN_2[0] + (f - (s * (f - series) - e * LN_2[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absorbance_is_the_same_f32_as_by_the_standard_library() {
        // Some 2 million of the 2^31 positive numbers, those around 1 more densely. (All of them were compared once.)
        let all = (f32::MIN_POSITIVE.to_bits()..f32::INFINITY.to_bits()).step_by(1009);
        let around_one = (0.5f32.to_bits()..2f32.to_bits()).step_by(97);
        let mut compared = 0;
        for x in all.chain(around_one).chain([1f32.to_bits() - 1, 1f32.to_bits(), 1f32.to_bits() + 1]) {
            let x = f64::from(f32::from_bits(x));
            assert_eq!((ln(x) as f32).to_bits(), (x.ln() as f32).to_bits(), "{x:e}");
            compared += 1;
        }
        assert!(compared > 2_000_000);
    }

    #[test]
    fn error_is_one_unit_in_the_last_place() {
        let mut x = f64::MIN_POSITIVE;
        while x < 1e308 {
            let (ours, theirs) = (ln(x), x.ln());
            // One unit is up to 2.2e-16 of the value; the standard library may be off by as much.
            assert!((ours - theirs).abs() <= 3e-16 * theirs.abs(), "{x:e}: {ours:e} {theirs:e}");
            x *= 1.000_37;
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn whatever_comes_in_a_number_comes_out() {
        for x in [0.0, -1.0, 1e-320, f64::INFINITY, f64::NAN] {
            assert!(ln(x).is_finite(), "{x}");
        }
    }
}
