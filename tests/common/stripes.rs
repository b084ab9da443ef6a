//! Stripes to be put on a sinogram `[view, col]` of absorbance, the same for the same seed.

use super::Lcg;
use ndarray::{Array2, s};

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stripes {
    /// None.
    Clean,
    /// 60 columns of 768 with an offset of 0.03 rms.
    Full,
    /// 25 columns of 768 with an offset of 0.06 rms over 300 views of 1024.
    Partial,
    /// Both, and three wide stripes of 5 to 12 columns with an offset of 0.03 rms, three dead columns that show their own mean,
    /// and three that fluctuate by 0.3 rms.
    Mixed,
}

impl Stripes {
    /// Puts stripes on a sinogram. Their number goes with its columns.
    pub fn put_on(self, sino: &mut Array2<f32>, seed: u64) {
        let (views, cols) = sino.dim();
        let mut random = Lcg(seed);
        let count = |of_768: usize| (of_768 * cols).div_ceil(768);
        if matches!(self, Stripes::Full | Stripes::Mixed) {
            for col in choose(&mut random, cols, count(60)) {
                let offset = normal(&mut random, 0.03);
                sino.column_mut(col).mapv_inplace(|v| v + offset);
            }
        }
        if matches!(self, Stripes::Partial | Stripes::Mixed) {
            let length = views * 300 / 1024;
            for col in choose(&mut random, cols, count(25)) {
                let (first, offset) = (below(&mut random, views - length), normal(&mut random, 0.06));
                sino.slice_mut(s![first..first + length, col]).mapv_inplace(|v| v + offset);
            }
        }
        if self == Stripes::Mixed {
            // Far enough from one another, and from the edges.
            let places: Vec<usize> = choose(&mut random, cols / 20 - 3, 9).iter().map(|i| 20 * (i + 2)).collect();
            for first in &places[..3] {
                let (width, offset) = (5 + below(&mut random, 8), normal(&mut random, 0.03));
                sino.slice_mut(s![.., *first..first + width]).mapv_inplace(|v| v + offset);
            }
            for col in &places[3..6] {
                let mean = sino.column(*col).mean().unwrap_or_default();
                sino.column_mut(*col).fill(mean);
            }
            for col in &places[6..] {
                sino.column_mut(*col).mapv_inplace(|v| v + normal(&mut random, 0.3));
            }
        }
    }
}

fn below(random: &mut Lcg, limit: usize) -> usize {
    (random.unit() * limit as f64) as usize
}

/// `count` different numbers below `limit`.
fn choose(random: &mut Lcg, limit: usize, count: usize) -> Vec<usize> {
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let next = below(random, limit);
        if !chosen.contains(&next) {
            chosen.push(next);
        }
    }
    chosen
}

/// Normally distributed around 0 (Box and Muller).
pub fn normal(random: &mut Lcg, deviation: f64) -> f32 {
    let (a, b) = (random.unit().max(1e-300), random.unit());
    (deviation * (-2.0 * a.ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()) as f32
}
