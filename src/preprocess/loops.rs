//! The inner loops of `normalise`, written so that they become vector code.

use super::logarithm::ln;
use super::normalise::Air;
use crate::simd::Kernel;

/// Absorbance of one view before repairs, the transmission rounded to f32 if `ROUND`; gives the number of pixels that were
/// raised to the floor.
pub(super) struct View<'a, const ROUND: bool> {
    pub counts: &'a [f32],
    pub dark: &'a [f64],
    /// The direct-beam images before and after.
    pub flats: [&'a [f64]; 2],
    /// Weight of the second one.
    pub r2: f64,
    pub floor: f64,
    pub out: &'a mut [f64],
}

impl<const ROUND: bool> Kernel for View<'_, ROUND> {
    type Output = u64;
    #[inline(always)]
    fn run(self) -> u64 {
        let View { counts, dark, flats: [a, b], r2, floor, out } = self;
        let n = out.len();
        let (counts, dark, a, b) = (&counts[..n], &dark[..n], &a[..n], &b[..n]);
        let (r1, mut clipped) = (1.0 - r2, 0);
        for x in 0..n {
            let signal = f64::from(counts[x]) - dark[x];
            let beam = r1 * a[x] + r2 * b[x] - dark[x];
            clipped += u64::from(signal < floor);
            let (i0, i) = (if beam < floor { floor } else { beam }, if signal < floor { floor } else { signal });
            out[x] = if ROUND {
                // Rounded where hp_tg stores it. The bounds matter for absurd input only: f32 counts may have a quotient
                // outside f32.
                -ln(f64::from(((i / i0) as f32).clamp(f32::MIN_POSITIVE, f32::MAX)))
            } else {
                ln(i0 / i)
            };
        }
        clipped
    }
}

/// Rounds a view to the f32 that is stored and adds it to `sum`; the mean of hp_tg is one of the stored values, that of
/// ct_rec one of f64 values.
pub(super) struct Store<'a> {
    pub absorbance: &'a [f64],
    pub air: Air,
    pub line: &'a mut [f32],
    pub sum: &'a mut [f64],
}

impl Kernel for Store<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let rounded = self.line.iter_mut().zip(self.sum).zip(self.absorbance);
        match self.air {
            Air::Off => rounded.for_each(|((v, s), p)| {
                *v = *p as f32;
                *s += f64::from(*v);
            }),
            Air::Edges => rounded.for_each(|((v, s), p)| {
                *v = *p as f32;
                *s += p;
            }),
        }
    }
}
