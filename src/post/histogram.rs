//! How often which values occur in a volume that comes slice by slice.

use super::finite_range;
use crate::error::{Error, Result};
use crate::progress::watched;
use ndarray::ArrayView3;

/// Bins of a fixed width that a histogram can have at most.
const MOST_BINS: usize = 1 << 20;

/// How wide the bins of a [`Histogram`] are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BinWidth {
    /// The smallest power of two (1, 2, 4, ... or 1/2, 1/4, ...) with which the values need at most so many bins. Whole numbers
    /// that span fewer values have bins of their own.
    Finest(usize),
    /// So wide.
    Fixed(f64),
}

/// Counts of values in bins `[i w, (i + 1) w)` for whole numbers `i`. Since the bins begin at multiples of their width, those of
/// the next power of two are pairs of them: one pass over the values is enough, and neither the order of the slices nor how many
/// come at a time changes anything.
#[derive(Clone, Debug)]
pub struct Histogram {
    rule: BinWidth,
    width: f64,
    /// Values that count; the others are only counted.
    limits: (f64, f64),
    /// `i` of the first bin.
    first: i64,
    counts: Vec<u64>,
    outside: u64,
    /// Of all values.
    range: (f32, f32),
}

impl Histogram {
    /// Of values from `low` to `high`, both included. Refuses widths that are not positive, no bins and an empty range.
    pub fn new(rule: BinWidth, low: f64, high: f64) -> Result<Self> {
        let width = match rule {
            // Replaced by the first values.
            BinWidth::Finest(1..) => 2f64.powi(-150),
            BinWidth::Fixed(width) if width > 0.0 && width.is_finite() => width,
            _ => return Err(Error::invalid("", "expected a positive width, or at least one bin")),
        };
        if low.is_nan() || high.is_nan() || low > high {
            let message = "the range of a histogram is empty; expected low to be at most high";
            return Err(Error::invalid("", message).with("low", low).with("high", high));
        }
        let range = (f32::INFINITY, f32::NEG_INFINITY);
        Ok(Histogram { rule, width, limits: (low, high), first: 0, counts: Vec::new(), outside: 0, range })
    }
    /// Counts the values of slices `[z, y, x]`, which must be finite. `tick` as in the other functions on volumes.
    pub fn add(
        &mut self,
        pool: &rayon::ThreadPool,
        slices: ArrayView3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let slices = slices.as_standard_layout();
        let values = slices.as_slice().unwrap_or_default();
        if values.is_empty() {
            return Ok(());
        }
        let each = values.len().div_ceil(pool.current_num_threads());
        let mut ranges = vec![None; values.len().div_ceil(each)];
        let look = |(part, range): (&[f32], &mut Option<(f32, f32)>), _: &_| *range = finite_range(part);
        watched(pool, values.chunks(each).zip(&mut ranges), 1, look, &mut |_| tick(0.0))?;
        for range in ranges {
            let (low, high) = range.ok_or_else(|| Error::invalid("", "a value is not a finite number"))?;
            self.range = (self.range.0.min(low), self.range.1.max(high));
        }
        let (low, high) = (f64::from(self.range.0), f64::from(self.range.1));
        if low > self.limits.1 || high < self.limits.0 {
            self.outside += values.len() as u64;
            return tick(1.0);
        }
        self.cover(low.max(self.limits.0), high.min(self.limits.1))?;
        let mut parts: Vec<(Vec<u64>, u64)> = values.chunks(each).map(|_| (vec![0; self.counts.len()], 0)).collect();
        let (width, first, limits) = (self.width, self.first, self.limits);
        let count = |(part, (counts, outside)): (&[f32], &mut (Vec<u64>, u64)), watch: &crate::progress::Watch| {
            for line in part.chunks(1 << 16) {
                for v in line {
                    let v = f64::from(*v);
                    if v < limits.0 || v > limits.1 {
                        *outside += 1;
                    } else if let Some(count) = counts.get_mut(((v / width).floor() as i64 - first) as usize) {
                        *count += 1;
                    }
                }
                if !watch.step() {
                    return;
                }
            }
        };
        let steps = values.len().div_ceil(1 << 16);
        watched(pool, values.chunks(each).zip(&mut parts), steps, count, tick)?;
        for (counts, outside) in parts {
            self.counts.iter_mut().zip(counts).for_each(|(all, part)| *all += part);
            self.outside += outside;
        }
        Ok(())
    }
    /// Makes bins for values from `low` to `high`, and wider ones if they would be too many.
    fn cover(&mut self, low: f64, high: f64) -> Result<()> {
        let (mut width, mut times) = (self.width, 0u32);
        let most = match self.rule {
            BinWidth::Finest(bins) => {
                // Below the distance of neighbouring numbers nothing is gained.
                let exponent = |v: f64| (v.abs().to_bits() >> 52) as i32 - 1023;
                let least =
                    if low == 0.0 && high == 0.0 { width } else { 2f64.powi(exponent(low).max(exponent(high)) - 23) };
                while width < least || bin(high, width) - bin(low, width) >= bins as i64 {
                    (width, times) = (2.0 * width, times + 1);
                }
                bins
            }
            BinWidth::Fixed(_) => MOST_BINS,
        };
        if (high / width).floor() - (low / width).floor() >= most as f64 {
            let message = format!("the values need more than {most} bins; expected wider bins, or a smaller range");
            return Err(Error::limit("", message).with("low", low).with("high", high).with("width", width));
        }
        let (old_first, old) = (shifted(self.first, times), std::mem::take(&mut self.counts));
        let (mut first, mut last) = (bin(low, width), bin(high, width));
        if !old.is_empty() {
            first = first.min(old_first);
            last = last.max(shifted(self.first + old.len() as i64 - 1, times));
        }
        self.counts = vec![0; (last - first + 1) as usize];
        for (i, n) in (self.first..).zip(old) {
            self.counts[(shifted(i, times) - first) as usize] += n;
        }
        (self.width, self.first) = (width, first);
        Ok(())
    }
    /// The same with at most `bins` bins, each a power of two of these.
    pub fn coarser(&self, bins: usize) -> Histogram {
        let mut times = 0;
        let last = self.first + self.counts.len() as i64 - 1;
        while shifted(last, times) - shifted(self.first, times) >= bins.max(1) as i64 && times < 62 {
            times += 1;
        }
        let first = shifted(self.first, times);
        let mut counts = vec![0; if self.counts.is_empty() { 0 } else { (shifted(last, times) - first + 1) as usize }];
        for (i, n) in (self.first..).zip(&self.counts) {
            counts[(shifted(i, times) - first) as usize] += n;
        }
        Histogram { width: self.width * 2f64.powi(times as i32), first, counts, ..self.clone() }
    }
    /// Width of a bin.
    pub fn width(&self) -> f64 {
        self.width
    }
    /// Values in each bin.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }
    /// Where bin `i` of [`Histogram::counts`] begins; the end of the last one for their number.
    pub fn edge(&self, i: usize) -> f64 {
        (self.first + i as i64) as f64 * self.width
    }
    /// Values below and above the range.
    pub fn outside(&self) -> u64 {
        self.outside
    }
    /// Smallest and largest of all values; from infinity to -infinity if there was none.
    pub fn range(&self) -> (f32, f32) {
        self.range
    }
}

fn bin(value: f64, width: f64) -> i64 {
    (value / width).floor() as i64
}

/// Number of a bin when bins are united pairwise, `times` times.
fn shifted(i: i64, times: u32) -> i64 {
    i.checked_shr(times).unwrap_or(if i < 0 { -1 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, Axis, s};

    fn pool() -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads")
    }

    fn of(values: &Array3<f32>, rule: BinWidth, height: usize, limits: (f64, f64)) -> Histogram {
        let mut made = Histogram::new(rule, limits.0, limits.1).expect("a histogram");
        for slab in values.axis_chunks_iter(Axis(0), height) {
            made.add(&pool(), slab, &mut |_| Ok(())).expect("counts");
        }
        made
    }

    const ALL: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

    #[test]
    fn counts_are_those_of_a_plain_count_whatever_the_order() {
        // The range grows from slice to slice, on both sides.
        let values = Array3::from_shape_fn((9, 5, 7), |(z, y, x)| {
            (((z * 35 + y * 7 + x) * 7919) % 1009) as f32 * 0.37f32.powi(8 - z as i32) - 3.0 * z as f32
        });
        let reversed = values.slice(s![..;-1, .., ..]).to_owned();
        for rule in [BinWidth::Finest(50), BinWidth::Finest(1 << 16), BinWidth::Fixed(0.1)] {
            let made = of(&values, rule, 9, ALL);
            for (i, count) in made.counts().iter().enumerate() {
                let inside =
                    |v: &&f32| (made.edge(i) / made.width()).round() == (f64::from(**v) / made.width()).floor();
                assert_eq!(values.iter().filter(inside).count() as u64, *count, "{rule:?} {i}");
            }
            assert_eq!(made.counts().iter().sum::<u64>(), 9 * 5 * 7);
            assert!(made.counts()[0] > 0 && *made.counts().last().expect("bins") > 0);
            for (volume, height) in [(&values, 1), (&values, 4), (&reversed, 1), (&reversed, 3)] {
                let other = of(volume, rule, height, ALL);
                assert_eq!((other.counts(), other.edge(0), other.width()), (made.counts(), made.edge(0), made.width()));
            }
            if let BinWidth::Finest(bins) = rule {
                assert!(made.counts().len() <= bins && made.counts().len() > bins / 2, "{}", made.counts().len());
            }
        }
        let fine = of(&values, BinWidth::Finest(1 << 16), 2, ALL);
        let (direct, coarse) = (of(&values, BinWidth::Finest(100), 2, ALL), fine.coarser(100));
        assert_eq!(
            (coarse.counts(), coarse.edge(0), coarse.width()),
            (direct.counts(), direct.edge(0), direct.width())
        );
    }

    #[test]
    fn whole_numbers_have_bins_of_their_own() {
        for (largest, bins) in [(255, 256), (65535, 1 << 16)] {
            let values = Array3::from_shape_fn((4, 8, 8), |(z, y, x)| ((z * 64 + y * 8 + x) * largest / 255) as f32);
            let made = of(&values, BinWidth::Finest(bins), 3, ALL);
            assert_eq!((made.width(), made.edge(0), made.counts().len()), (1.0, 0.0, largest + 1));
        }
        let flat = of(&Array3::from_elem((2, 3, 4), -7.25), BinWidth::Finest(1 << 16), 1, ALL);
        assert_eq!((flat.counts(), flat.edge(0), flat.range()), (&[24u64][..], -7.25, (-7.25, -7.25)));
        let zero = of(&Array3::zeros((2, 3, 4)), BinWidth::Finest(16), 1, ALL);
        assert_eq!((zero.counts(), zero.edge(0)), (&[24u64][..], 0.0));
    }

    #[test]
    fn limits_and_what_cannot_be_are_told() {
        let values = Array3::from_shape_fn((1, 1, 100), |(_, _, x)| x as f32);
        let made = of(&values, BinWidth::Fixed(10.0), 1, (20.0, 39.0));
        assert_eq!((made.counts(), made.edge(0), made.outside()), (&[10u64, 10][..], 20.0, 80));
        assert!(Histogram::new(BinWidth::Fixed(0.0), 0.0, 1.0).is_err());
        assert!(Histogram::new(BinWidth::Finest(0), 0.0, 1.0).is_err());
        assert!(Histogram::new(BinWidth::Finest(9), 2.0, 1.0).is_err());
        let mut many = Histogram::new(BinWidth::Fixed(1e-6), ALL.0, ALL.1).expect("a histogram");
        assert!(
            many.add(&pool(), values.view(), &mut |_| Ok(())).expect_err("too many").to_string().contains("wider bins")
        );
        let mut nan = Histogram::new(BinWidth::Finest(9), ALL.0, ALL.1).expect("a histogram");
        assert!(nan.add(&pool(), Array3::from_elem((1, 1, 1), f32::NAN).view(), &mut |_| Ok(())).is_err());
    }
}
