//! The innermost loops of convolutions, on images whose channels lie side by side. Must not know networks or threads.
//!
//! A tile of sums stays in registers: of some pixels and one or two registers of output channels, or, for the gradient of
//! weights, of some input channels. Each input value is spread over a register and used for all output channels of the tile.
//! A sum runs over the places of the kernel and then over input channels, whatever the tile: so its bits do not depend on where in
//! a line a pixel lies, nor on the number of threads.

use super::vector::Vector;

/// A line of output pixels: each is a sum over `taps` pixels of the input, for `wide` output channels. Lengths in floats.
pub(super) struct Row<'a> {
    pub input: &'a [f32],
    /// Where the first channel of what output pixel 0 sees lies in `input`, for each place of the kernel.
    pub taps: &'a [usize],
    /// Input channels.
    pub channels: usize,
    /// From one input pixel to the next.
    pub step_in: usize,
    /// `[tap][input channel][output channel]`.
    pub weights: &'a [f32],
    /// Output channels, 16 or 32.
    pub wide: usize,
    /// From one output pixel to the next.
    pub step_out: usize,
    /// Pixels.
    pub cols: usize,
}

/// What becomes of a sum.
#[derive(Clone, Copy)]
pub(super) enum Finish<'a> {
    /// It is the result.
    Store,
    /// A bias is added.
    Bias(&'a [f32]),
    /// A bias is added, and negative values become 0.
    Ramp(&'a [f32]),
}

impl<'a> Finish<'a> {
    /// For output channels from `first` on.
    pub fn from(self, first: usize) -> Finish<'a> {
        match self {
            Finish::Store => Finish::Store,
            Finish::Bias(bias) => Finish::Bias(&bias[first..]),
            Finish::Ramp(bias) => Finish::Ramp(&bias[first..]),
        }
    }
}

/// `out` begins with the first output channel of pixel 0. `V` by `NV` are the registers of channels of a tile, `PX` its pixels.
#[inline(always)]
pub(super) fn row<V: Vector, const NV: usize, const PX: usize>(row: &Row, finish: Finish, out: &mut [f32]) {
    assert!(row.cols > 0 && row.channels > 0 && row.wide.is_multiple_of(NV * V::LANES));
    let reach = (row.cols - 1) * row.step_in + row.channels;
    assert!(row.taps.iter().all(|tap| tap + reach <= row.input.len()));
    assert!(row.taps.len() * row.channels * row.wide <= row.weights.len());
    assert!((row.cols - 1) * row.step_out + row.wide <= out.len());
    if let Finish::Bias(bias) | Finish::Ramp(bias) = finish {
        assert!(row.wide <= bias.len());
    }
    for channel in (0..row.wide).step_by(NV * V::LANES) {
        let mut col = 0;
        // SAFETY: tiles are inside the line and the channels, whose places in all slices were checked above.
        unsafe {
            while col + PX <= row.cols {
                row_tile::<V, NV, PX>(row, finish, out, channel, col);
                col += PX;
            }
            while col + 4 <= row.cols {
                row_tile::<V, NV, 4>(row, finish, out, channel, col);
                col += 4;
            }
            while col < row.cols {
                row_tile::<V, NV, 1>(row, finish, out, channel, col);
                col += 1;
            }
        }
    }
}

/// # Safety
/// Pixels `col..col + PX` and channels `channel..channel + NV * LANES` are inside what [`row`] has checked.
#[inline(always)]
unsafe fn row_tile<V: Vector, const NV: usize, const PX: usize>(
    row: &Row,
    finish: Finish,
    out: &mut [f32],
    channel: usize,
    col: usize,
) {
    let mut sums = [[V::splat(0.0); NV]; PX];
    // SAFETY: the caller's.
    unsafe {
        let mut weights = row.weights.as_ptr().add(channel);
        for &tap in row.taps {
            let mut values = row.input.as_ptr().add(tap + col * row.step_in);
            for _ in 0..row.channels {
                let weight: [V; NV] = std::array::from_fn(|v| V::load(weights.add(v * V::LANES)));
                for (px, sums) in sums.iter_mut().enumerate() {
                    let value = V::splat(*values.add(px * row.step_in));
                    for (sum, weight) in sums.iter_mut().zip(weight) {
                        *sum = value.mul_add(weight, *sum);
                    }
                }
                values = values.add(1);
                // Behind the last channel may be the end of the slice.
                weights = weights.wrapping_add(row.wide);
            }
        }
        for (px, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                let at = channel + v * V::LANES;
                let value = match finish {
                    Finish::Store => sum,
                    Finish::Bias(bias) => sum.add(V::load(bias.as_ptr().add(at))),
                    Finish::Ramp(bias) => sum.add(V::load(bias.as_ptr().add(at))).ramp(),
                };
                value.store(out.as_mut_ptr().add((col + px) * row.step_out + at));
            }
        }
    }
}

/// What some lines of pixels say of the weights at one place of the kernel: for each input channel and each of `wide` output
/// channels the sum over pixels of the input times the gradient of the output. Lengths in floats.
pub(super) struct Correlation<'a> {
    /// From the first channel of pixel 0 of line 0 on.
    pub input: &'a [f32],
    /// Input channels, a multiple of 4.
    pub channels: usize,
    /// From one input pixel to the next, and from one line to the next.
    pub input_steps: [usize; 2],
    /// From the first of the output channels of pixel 0 of line 0 on.
    pub gradient: &'a [f32],
    /// Output channels, 16 or 32.
    pub wide: usize,
    /// As of the input.
    pub gradient_steps: [usize; 2],
    /// Lines and pixels of each.
    pub rows: usize,
    pub cols: usize,
}

/// Adds to `sums`, `[input channel][output channel]`. `IC` are the input channels of a tile.
#[inline(always)]
pub(super) fn correlate<V: Vector, const NV: usize, const IC: usize>(of: &Correlation, sums: &mut [f32]) {
    assert!(of.rows > 0 && of.cols > 0 && of.channels.is_multiple_of(4) && of.wide.is_multiple_of(NV * V::LANES));
    let last = |steps: [usize; 2]| (of.cols - 1) * steps[0] + (of.rows - 1) * steps[1];
    assert!(last(of.input_steps) + of.channels <= of.input.len());
    assert!(last(of.gradient_steps) + of.wide <= of.gradient.len());
    assert!(of.channels * of.wide <= sums.len());
    for out in (0..of.wide).step_by(NV * V::LANES) {
        let mut channel = 0;
        // SAFETY: tiles are inside the channels, whose places in all slices were checked above.
        unsafe {
            while channel + IC <= of.channels {
                correlate_tile::<V, NV, IC>(of, sums, out, channel);
                channel += IC;
            }
            while channel < of.channels {
                correlate_tile::<V, NV, 4>(of, sums, out, channel);
                channel += 4;
            }
        }
    }
}

/// # Safety
/// Output channels `out..out + NV * LANES` and input channels `channel..channel + IC` are inside what [`correlate`] has checked.
#[inline(always)]
unsafe fn correlate_tile<V: Vector, const NV: usize, const IC: usize>(
    of: &Correlation,
    sums: &mut [f32],
    out: usize,
    channel: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let at = |i: usize, v: usize| (channel + i) * of.wide + out + v * V::LANES;
        let to = sums.as_mut_ptr();
        let mut tile: [[V; NV]; IC] =
            std::array::from_fn(|i| std::array::from_fn(|v| V::load(to.add(at(i, v)).cast_const())));
        for row in 0..of.rows {
            let mut values = of.input.as_ptr().add(row * of.input_steps[1] + channel);
            let mut gradients = of.gradient.as_ptr().add(row * of.gradient_steps[1] + out);
            for _ in 0..of.cols {
                let gradient: [V; NV] = std::array::from_fn(|v| V::load(gradients.add(v * V::LANES)));
                for (i, sums) in tile.iter_mut().enumerate() {
                    let value = V::splat(*values.add(i));
                    for (sum, gradient) in sums.iter_mut().zip(gradient) {
                        *sum = value.mul_add(gradient, *sum);
                    }
                }
                // Behind the last pixel may be the end of the slice.
                values = values.wrapping_add(of.input_steps[0]);
                gradients = gradients.wrapping_add(of.gradient_steps[0]);
            }
        }
        for (i, sums) in tile.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                sum.store(to.add(at(i, v)));
            }
        }
    }
}
