//! Loops over the pixels of a line, for blocks of channels: all that is not a convolution. Must not know images or threads.
//!
//! Plain Rust in the widest vectors, with the same bits on every machine; results of a block are written at once, so that the
//! compiler need not think of what they might overwrite. Each line has its pixels `step` floats apart; what is
//! summed over a line is summed for each channel by itself, in f32, and leaves as f64.

use super::maps::BLOCK;
use crate::simd::Kernel;

/// Pixels of a line, from the first channel that counts on.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub data: &'a [f32],
    pub step: usize,
}

impl<'a> Line<'a> {
    /// A block of channels of each pixel.
    #[inline(always)]
    fn blocks(self, channel: usize) -> impl Iterator<Item = &'a [f32; BLOCK]> {
        self.data.chunks(self.step).map(move |pixel| block(pixel, channel))
    }
}

#[inline(always)]
fn block(values: &[f32], channel: usize) -> &[f32; BLOCK] {
    values[channel..channel + BLOCK].try_into().expect("a block")
}

#[inline(always)]
fn block_mut(values: &mut [f32], channel: usize) -> &mut [f32; BLOCK] {
    (&mut values[channel..channel + BLOCK]).try_into().expect("a block")
}

/// `value` or 0, in a form that compilers turn into vector code.
#[inline(always)]
fn gate(open: bool, value: f32) -> f32 {
    f32::from_bits(value.to_bits() & u32::from(open).wrapping_neg())
}

/// Sum and sum of squares of each channel: the first half and the second half of `sums`.
pub(super) struct Moments<'a> {
    pub line: Line<'a>,
    pub cols: usize,
    pub sums: &'a mut [f64],
}

impl Kernel for Moments<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (sums, squares) = self.sums.split_at_mut(self.sums.len() / 2);
        for channel in (0..sums.len()).step_by(BLOCK) {
            let mut sum = [0.0f32; BLOCK];
            for pixel in self.line.blocks(channel) {
                (0..BLOCK).for_each(|i| sum[i] += pixel[i]);
            }
            // Squares of what is left without the mean: few digits of them are needed then.
            let mean = sum.map(|sum| sum / self.cols as f32);
            let mut square = [0.0f32; BLOCK];
            for pixel in self.line.blocks(channel) {
                for i in 0..BLOCK {
                    let value = pixel[i] - mean[i];
                    square[i] += value * value;
                }
            }
            for i in 0..BLOCK {
                let (sum, mean) = (f64::from(sum[i]), f64::from(mean[i]));
                sums[channel + i] = sum;
                squares[channel + i] = f64::from(square[i]) + mean * (2.0 * sum - self.cols as f64 * mean);
            }
        }
    }
}

/// `to = max(0, scale * from + shift)`.
pub(super) struct Activate<'a> {
    pub from: Line<'a>,
    pub scale: &'a [f32],
    pub shift: &'a [f32],
    pub to: &'a mut [f32],
    pub to_step: usize,
}

impl Kernel for Activate<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for channel in (0..self.scale.len()).step_by(BLOCK) {
            let (scale, shift) = (block(self.scale, channel), block(self.shift, channel));
            for (from, to) in self.from.blocks(channel).zip(self.to.chunks_mut(self.to_step)) {
                let mut values = [0.0; BLOCK];
                for i in 0..BLOCK {
                    let value = from[i] * scale[i] + shift[i];
                    // NaN stays.
                    values[i] = if value < 0.0 { 0.0 } else { value };
                }
                *block_mut(to, channel) = values;
            }
        }
    }
}

/// What a line says of the addend and the factor of its normalisation: the sums of the gradients that pass the activation, and of
/// those times the normalised values. First and second half of `sums`.
pub(super) struct BackSums<'a> {
    pub line: Line<'a>,
    pub gradient: Line<'a>,
    pub scale: &'a [f32],
    pub shift: &'a [f32],
    pub mean: &'a [f32],
    pub inverse: &'a [f32],
    pub sums: &'a mut [f64],
}

impl Kernel for BackSums<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (plain, weighted) = self.sums.split_at_mut(self.sums.len() / 2);
        for channel in (0..plain.len()).step_by(BLOCK) {
            let [scale, shift, mean, inverse] =
                [self.scale, self.shift, self.mean, self.inverse].map(|values| block(values, channel));
            let (mut sum, mut product) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
            for (value, gradient) in self.line.blocks(channel).zip(self.gradient.blocks(channel)) {
                for i in 0..BLOCK {
                    let passed = gate(value[i] * scale[i] + shift[i] > 0.0, gradient[i]);
                    sum[i] += passed;
                    product[i] += passed * ((value[i] - mean[i]) * inverse[i]);
                }
            }
            for i in 0..BLOCK {
                (plain[channel + i], weighted[channel + i]) = (f64::from(sum[i]), f64::from(product[i]));
            }
        }
    }
}

/// The gradient before activation and normalisation takes the place of the values there:
/// `scale * passed + slope * value + offset`.
pub(super) struct Back<'a> {
    pub line: &'a mut [f32],
    pub step: usize,
    pub gradient: Line<'a>,
    pub scale: &'a [f32],
    pub shift: &'a [f32],
    pub slope: &'a [f32],
    pub offset: &'a [f32],
}

impl Kernel for Back<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for channel in (0..self.scale.len()).step_by(BLOCK) {
            let [scale, shift, slope, offset] =
                [self.scale, self.shift, self.slope, self.offset].map(|values| block(values, channel));
            for (value, gradient) in self.line.chunks_mut(self.step).zip(self.gradient.blocks(channel)) {
                let to = block_mut(value, channel);
                let (value, mut values) = (*to, [0.0; BLOCK]);
                for i in 0..BLOCK {
                    let passed = gate(value[i] * scale[i] + shift[i] > 0.0, gradient[i]);
                    values[i] = scale[i] * passed + (offset[i] + slope[i] * value[i]);
                }
                *to = values;
            }
        }
    }
}

/// Sum of each channel.
pub(super) struct Sums<'a> {
    pub line: Line<'a>,
    pub sums: &'a mut [f64],
}

impl Kernel for Sums<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for channel in (0..self.sums.len()).step_by(BLOCK) {
            let mut sum = [0.0f32; BLOCK];
            for pixel in self.line.blocks(channel) {
                (0..BLOCK).for_each(|i| sum[i] += pixel[i]);
            }
            (0..BLOCK).for_each(|i| self.sums[channel + i] = f64::from(sum[i]));
        }
    }
}

/// The larger, or NaN if there is one.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

/// Maximum of pairs of pixels of two lines.
pub(super) struct Pool<'a> {
    pub upper: Line<'a>,
    pub lower: Line<'a>,
    pub to: &'a mut [f32],
    pub to_step: usize,
    pub channels: usize,
}

impl Kernel for Pool<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let step = self.upper.step;
        let pairs = self.upper.data.chunks(2 * step).zip(self.lower.data.chunks(2 * step));
        for ((upper, lower), to) in pairs.zip(self.to.chunks_mut(self.to_step)) {
            for channel in (0..self.channels).step_by(BLOCK) {
                let [a, b] = [block(upper, channel), block(upper, step + channel)];
                let [c, d] = [block(lower, channel), block(lower, step + channel)];
                let mut values = [0.0; BLOCK];
                for i in 0..BLOCK {
                    values[i] = larger(larger(a[i], b[i]), larger(c[i], d[i]));
                }
                *block_mut(to, channel) = values;
            }
        }
    }
}

/// Adds the gradient of maxima to that of the pixels of one of the two lines. The first of equal pixels has it.
pub(super) struct PoolBack<'a> {
    pub upper: Line<'a>,
    pub lower: Line<'a>,
    pub maxima: Line<'a>,
    pub gradient: Line<'a>,
    pub channels: usize,
    /// The lower of the two lines.
    pub is_lower: bool,
    pub to: &'a mut [f32],
    pub to_step: usize,
}

impl Kernel for PoolBack<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let step = self.upper.step;
        let pairs = self.upper.data.chunks(2 * step).zip(self.lower.data.chunks(2 * step));
        let pooled = self.maxima.data.chunks(self.maxima.step).zip(self.gradient.data.chunks(self.gradient.step));
        for (((upper, lower), (maxima, gradient)), to) in pairs.zip(pooled).zip(self.to.chunks_mut(2 * self.to_step)) {
            let (left, right) = to.split_at_mut(self.to_step);
            for channel in (0..self.channels).step_by(BLOCK) {
                let [a, b] = [block(upper, channel), block(upper, step + channel)];
                let c = block(lower, channel);
                let [maximum, gradient] = [block(maxima, channel), block(gradient, channel)];
                let [to_left, to_right] = [block_mut(left, channel), block_mut(right, channel)];
                let [mut left, mut right] = [*to_left, *to_right];
                for i in 0..BLOCK {
                    let [is_a, is_b, is_c] = [a[i], b[i], c[i]].map(|value| value == maximum[i]);
                    let above = is_a | is_b;
                    let (is_left, is_right) =
                        if self.is_lower { (!above & is_c, !above & !is_c) } else { (is_a, !is_a & is_b) };
                    left[i] += gate(is_left, gradient[i]);
                    right[i] += gate(is_right, gradient[i]);
                }
                (*to_left, *to_right) = (left, right);
            }
        }
    }
}

/// Of each pixel: bias and the sum of all channels times their weights.
pub(super) struct Dot<'a> {
    pub line: Line<'a>,
    pub weights: &'a [f32],
    pub bias: f32,
    pub to: &'a mut [f32],
}

impl Kernel for Dot<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (pixel, to) in self.line.data.chunks(self.line.step).zip(self.to) {
            let mut sums = [0.0f32; BLOCK];
            for channel in (0..self.weights.len()).step_by(BLOCK) {
                let (values, weights) = (block(pixel, channel), block(self.weights, channel));
                (0..BLOCK).for_each(|i| sums[i] += values[i] * weights[i]);
            }
            // Pairs, pairs of pairs, and so on.
            for half in [8, 4, 2, 1] {
                (0..half).for_each(|i| sums[i] += sums[i + half]);
            }
            *to = self.bias + sums[0];
        }
    }
}

/// Backwards through [`Dot`]: the gradient of the channels, and the sum over pixels of their values times the gradient.
pub(super) struct DotBack<'a> {
    pub line: Line<'a>,
    pub weights: &'a [f32],
    pub gradient: &'a [f32],
    pub to: &'a mut [f32],
    pub to_step: usize,
    pub sums: &'a mut [f64],
}

impl Kernel for DotBack<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for channel in (0..self.weights.len()).step_by(BLOCK) {
            let weights = block(self.weights, channel);
            let mut sum = [0.0f32; BLOCK];
            let pixels = self.line.blocks(channel).zip(self.to.chunks_mut(self.to_step));
            for ((values, to), gradient) in pixels.zip(self.gradient) {
                let mut back = [0.0; BLOCK];
                for i in 0..BLOCK {
                    sum[i] += values[i] * gradient;
                    back[i] = weights[i] * gradient;
                }
                *block_mut(to, channel) = back;
            }
            (0..BLOCK).for_each(|i| self.sums[channel + i] = f64::from(sum[i]));
        }
    }
}
