//! One level of the discrete wavelet transform along one axis, with Daubechies' wavelets. Must not know sinograms.
//!
//! Daubechies, "Orthonormal bases of compactly supported wavelets", Communications on Pure and Applied Mathematics 41 (1988),
//! doi:10.1002/cpa.3160410705. At its ends a line is continued by its mirror image, the end repeated.

use super::check::mirrored;
use ndarray::{Array2, ArrayView2};

/// Names of the wavelets, by the number of vanishing moments from 1 on.
pub const WAVELETS: &[&str] = &["db1", "db2", "db3", "db4", "db5", "db6", "db7", "db8", "db9", "db10"];

/// The scaling filters of [`WAVELETS`], of smallest phase, found by factoring Daubechies' polynomial; sum √2.
#[rustfmt::skip]
#[allow(clippy::excessive_precision)] // columns of equal length
const LOW: [&[f64]; 10] = [
    &[std::f64::consts::FRAC_1_SQRT_2, std::f64::consts::FRAC_1_SQRT_2],
    &[
        0.48296291314453427, 0.836516303737808, 0.2241438680420133, -0.12940952255126045,
    ],
    &[
        0.3326705529500826, 0.8068915093110924, 0.4598775021184915, -0.1350110200102546, -0.08544127388202663, 0.03522629188570956,
    ],
    &[
        0.23037781330889645, 0.7148465705529156, 0.630880767929859, -0.027983769416859594, -0.18703481171909306, 0.03084138183556063,
        0.032883011666885176, -0.010597401785069018,
    ],
    &[
        0.16010239797419293, 0.6038292697971896, 0.724308528437773, 0.13842814590132088, -0.242294887066382, -0.03224486958463847,
        0.0775714938400457, -0.00624149021279827, -0.012580751999081994, 0.003335725285473771,
    ],
    &[
        0.1115407433501094, 0.49462389039845295, 0.7511339080210949, 0.315250351709198, -0.22626469396543927, -0.1297668675672619,
        0.09750160558732306, 0.027522865530305606, -0.03158203931748598, 0.0005538422011615001, 0.0047772575109455056, -0.0010773010853084794,
    ],
    &[
        0.07785205408500923, 0.3965393194819175, 0.7291320908462355, 0.4697822874051929, -0.1439060039285652, -0.22403618499387515,
        0.07130921926683047, 0.08061260915108304, -0.03802993693501441, -0.016574541630666902, 0.012550998556099856, 0.00042957797292136684,
        -0.0018016407040474935, 0.0003537137999745206,
    ],
    &[
        0.05441584224310395, 0.3128715909142996, 0.6756307362972891, 0.5853546836542065, -0.015829105256348515, -0.28401554296154635,
        0.00047248457391308016, 0.12874742662047872, -0.01736930100180785, -0.04408825393079459, 0.01398102791739826, 0.008746094047405749,
        -0.004870352993451561, -0.0003917403733769473, 0.0006754494064505684, -0.00011747678412476935,
    ],
    &[
        0.03807794736387834, 0.24383467461259026, 0.6048231236901112, 0.6572880780513, 0.1331973858250076, -0.29327378327917436,
        -0.09684078322297601, 0.14854074933810588, 0.03072568147933388, -0.06763282906133074, 0.000250947114831909, 0.02236166212367897,
        -0.004723204757751389, -0.004281503682463433, 0.0018476468830562287, 0.00023038576352319616, -0.00025196318894271045, 3.9347320316271636e-05,
    ],
    &[
        0.02667005790055555, 0.18817680007769153, 0.5272011889317257, 0.6884590394536034, 0.28117234366057847, -0.2498464243273151,
        -0.19594627437737813, 0.12736934033579547, 0.0930573646035687, -0.07139414716639457, -0.029457536821876858, 0.03321267405934137,
        0.0036065535669560058, -0.01073317548333054, 0.0013953517470529, 0.001992405295185056, -0.0006858566949597117, -0.00011646685512928553,
        9.35886703200696e-05, -1.3264202894521243e-05,
    ],
];

/// Filters of one wavelet.
pub(super) struct Wavelet {
    low: &'static [f64],
    high: Vec<f64>,
}

impl Wavelet {
    /// By its name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        let low = LOW[WAVELETS.iter().position(|n| *n == name)?];
        let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        Some(Wavelet { low, high: low.iter().rev().enumerate().map(|(i, v)| sign(i) * v).collect() })
    }
    /// Length of each half of a transformed line.
    pub fn half(&self, len: usize) -> usize {
        (len + self.low.len() - 1) / 2
    }
    /// Half `k` of a line of `len` is the sum of `tap * line[place]`, for each `(place, tap)`.
    fn taps<'a>(&self, filter: &'a [f64], len: usize, k: usize) -> impl Iterator<Item = (usize, f64)> + 'a {
        let last = filter.len() - 1;
        let at = 2 * k as isize + 1;
        (0..=last).map(move |j| (mirrored(at - j as isize, len), filter[last - j]))
    }
    /// The slow half along axis 0.
    pub fn low_views(&self, image: ArrayView2<f32>) -> Array2<f32> {
        let (rows, cols) = image.dim();
        let mut out = Array2::zeros((self.half(rows), cols));
        let mut sum = vec![0.0; cols];
        for (k, mut out) in out.outer_iter_mut().enumerate() {
            sum.fill(0.0);
            for (place, tap) in self.taps(self.low, rows, k) {
                sum.iter_mut().zip(image.row(place)).for_each(|(s, v)| *s += tap * f64::from(*v));
            }
            out.iter_mut().zip(&sum).for_each(|(o, s)| *o = *s as f32);
        }
        out
    }
    /// The slow and the fast half along axis 1.
    pub fn halves_of_columns(&self, image: ArrayView2<f32>) -> [Array2<f32>; 2] {
        let (rows, cols) = image.dim();
        [self.low, &self.high].map(|filter| {
            let mut out = Array2::zeros((rows, self.half(cols)));
            let taps: Vec<Vec<(usize, f64)>> = (0..out.ncols()).map(|k| self.taps(filter, cols, k).collect()).collect();
            for (mut out, line) in out.outer_iter_mut().zip(image.outer_iter()) {
                for (out, taps) in out.iter_mut().zip(&taps) {
                    *out = taps.iter().map(|(place, tap)| tap * f64::from(line[*place])).sum::<f64>() as f32;
                }
            }
            out
        })
    }
    /// Of value `n` of a line, the halves that make it up and by how much.
    fn parts<'a>(&self, filter: &'a [f64], half: usize, n: usize) -> impl Iterator<Item = (usize, f64)> + 'a {
        let last = filter.len() - 2;
        let first = n / 2;
        (first..(first + filter.len() / 2).min(half)).map(move |k| (k, n + last - 2 * k)).map(|(k, j)| (k, filter[j]))
    }
    /// The first `rows` rows and `cols` columns of an image from its slow half and its half that is slow along axis 0 and
    /// fast along axis 1; the other two are 0.
    pub fn image(&self, slow: ArrayView2<f32>, fast: ArrayView2<f32>, rows: usize, cols: usize) -> Array2<f32> {
        let mut wide = Array2::<f32>::zeros((slow.nrows(), cols));
        let parts = |filter| -> Vec<Vec<(usize, f64)>> {
            (0..cols).map(|n| self.parts(filter, slow.ncols(), n).collect()).collect()
        };
        let (of_slow, of_fast) = (parts(self.low), parts(&self.high));
        for (mut line, (slow, fast)) in wide.outer_iter_mut().zip(slow.outer_iter().zip(fast.outer_iter())) {
            for (out, (of_slow, of_fast)) in line.iter_mut().zip(of_slow.iter().zip(&of_fast)) {
                let sum = |half: ndarray::ArrayView1<f32>, parts: &[(usize, f64)]| -> f64 {
                    parts.iter().map(|(k, tap)| tap * f64::from(half[*k])).sum()
                };
                *out = (sum(slow, of_slow) + sum(fast, of_fast)) as f32;
            }
        }
        let mut out = Array2::zeros((rows, cols));
        let mut sum = vec![0.0; cols];
        for (n, mut out) in out.outer_iter_mut().enumerate() {
            sum.fill(0.0);
            for (k, tap) in self.parts(self.low, wide.nrows(), n) {
                sum.iter_mut().zip(wide.row(k)).for_each(|(s, v)| *s += tap * f64::from(*v));
            }
            out.iter_mut().zip(&sum).for_each(|(o, s)| *o = *s as f32);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shifted by even steps, filters are orthonormal; the fast one of dbN sees no polynomial of degree below N.
    #[test]
    fn filters_have_daubechies_properties() {
        for (moments, name) in (1..).zip(WAVELETS) {
            let Wavelet { low, high } = Wavelet::named(name).unwrap();
            assert_eq!(low.len(), 2 * moments);
            for shift in 0..moments {
                let product: f64 = low.iter().zip(&low[2 * shift..]).map(|(a, b)| a * b).sum();
                assert!((product - f64::from(u8::from(shift == 0))).abs() < 1e-13, "{name} {shift}: {product}");
            }
            for power in 0..moments as i32 {
                // Scaled to the size of its terms, which the rounding of the table goes with.
                let terms = high.iter().enumerate().map(|(i, h)| h * (i as f64 / low.len() as f64).powi(power));
                assert!(terms.sum::<f64>().abs() < 1e-12, "{name} {power}");
            }
        }
        assert!(Wavelet::named("db11").is_none());
    }

    /// What is slow along axis 0 and anything along axis 1 comes back from the two halves that are kept.
    #[test]
    fn an_image_comes_back_from_its_halves() {
        for name in WAVELETS {
            let wavelet = Wavelet::named(name).unwrap();
            for (rows, cols) in [(20, 33), (37, 24)] {
                let image = Array2::from_shape_fn((rows, cols), |(_, x)| ((x * 7919 + 13) % 101) as f32 / 101.0);
                let [slow, fast] = wavelet.halves_of_columns(wavelet.low_views(image.view()).view());
                let back = wavelet.image(slow.view(), fast.view(), rows, cols);
                let worst = back.iter().zip(&image).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                // A few roundings to f32.
                assert!(worst < 2e-6, "{name} {rows} x {cols}: {worst}");
            }
        }
    }
}
