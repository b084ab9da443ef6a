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
    &[0.4829629131445343, 0.8365163037378081, 0.2241438680420133, -0.1294095225512605],
    &[0.3326705529500826, 0.8068915093110924, 0.4598775021184915, -0.1350110200102546, -0.0854412738820266, 0.0352262918857096],
    &[0.2303778133088965, 0.7148465705529156, 0.6308807679298590, -0.0279837694168596, -0.1870348117190931, 0.0308413818355606, 0.0328830116668852, -0.0105974017850690],
    &[0.1601023979741929, 0.6038292697971896, 0.7243085284377730, 0.1384281459013209, -0.2422948870663820, -0.0322448695846385, 0.0775714938400457, -0.0062414902127983, -0.0125807519990820, 0.0033357252854738],
    &[0.1115407433501094, 0.4946238903984529, 0.7511339080210949, 0.3152503517091980, -0.2262646939654393, -0.1297668675672619, 0.0975016055873231, 0.0275228655303056, -0.0315820393174860, 5.538422011615001e-04, 0.0047772575109455, -0.0010773010853085],
    &[0.0778520540850092, 0.3965393194819175, 0.7291320908462355, 0.4697822874051929, -0.1439060039285652, -0.2240361849938751, 0.0713092192668305, 0.0806126091510830, -0.0380299369350144, -0.0165745416306669, 0.0125509985560999, 4.295779729213668e-04, -0.0018016407040475, 3.537137999745206e-04],
    &[0.0544158422431040, 0.3128715909142996, 0.6756307362972891, 0.5853546836542065, -0.0158291052563485, -0.2840155429615464, 4.724845739130802e-04, 0.1287474266204787, -0.0173693010018078, -0.0440882539307946, 0.0139810279173983, 0.0087460940474057, -0.0048703529934516, -3.917403733769473e-04, 6.754494064505684e-04, -1.174767841247693e-04],
    &[0.0380779473638783, 0.2438346746125903, 0.6048231236901112, 0.6572880780513000, 0.1331973858250076, -0.2932737832791744, -0.0968407832229760, 0.1485407493381059, 0.0307256814793339, -0.0676328290613307, 2.509471148319090e-04, 0.0223616621236790, -0.0047232047577514, -0.0042815036824634, 0.0018476468830562, 2.303857635231962e-04, -2.519631889427104e-04, 3.934732031627164e-05],
    &[0.0266700579005556, 0.1881768000776915, 0.5272011889317257, 0.6884590394536034, 0.2811723436605785, -0.2498464243273151, -0.1959462743773781, 0.1273693403357955, 0.0930573646035687, -0.0713941471663946, -0.0294575368218769, 0.0332126740593414, 0.0036065535669560, -0.0107331754833305, 0.0013953517470529, 0.0019924052951851, -6.858566949597117e-04, -1.164668551292855e-04, 9.358867032006961e-05, -1.326420289452124e-05],
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
