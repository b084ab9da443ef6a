//! The rotation axis: array functions on exact profiles, and the search in whole scans of discs.

use ndarray::{Array2, Array3, ArrayViewMut2, Axis, s};
use std::f64::consts::PI;
use std::ops::Range;
use wagiri::chain::{AxisFound, AxisMethod, AxisOptions, find_axis};
use wagiri::geometry::{Center, uniform_angles};
use wagiri::preprocess::center::{line, moment, registration, rmsd, usual_range};
use wagiri::scan::{Frame, FrameSource, MemorySource, ScanInfo, ScanOptions, ScanShape};
use wagiri::{Context, ContextOptions, ErrorKind, Progress, Result, Scan};

/// Deterministic numbers in 0..1.
fn random(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*seed >> 11) as f64 / (1u64 << 53) as f64
}

/// Sum of twelve, of variance 1.
fn normal(seed: &mut u64) -> f64 {
    (0..12).map(|_| random(seed)).sum::<f64>() - 6.0
}

/// Disc: centre x and y from the axis, radius (px), attenuation (1/px).
type Disc = [f64; 4];
const SAMPLE: [Disc; 4] =
    [[6.0, -4.0, 40.0, 0.012], [20.0, 10.0, 9.0, 0.03], [-22.0, 3.0, 6.0, 0.04], [-5.0, -27.0, 4.0, 0.06]];

/// Exact line integral over a disc, averaged over a pixel with 8 rays.
fn profile(discs: &[Disc], angle: f64, center: f64, cols: usize) -> Vec<f64> {
    let at = |x: f64| -> f64 {
        let one = |[dx, dy, r, mu]: &Disc| {
            let d = x - center - dx * angle.cos() - dy * angle.sin();
            2.0 * mu * (r * r - d * d).max(0.0).sqrt()
        };
        discs.iter().map(one).sum()
    };
    (0..cols).map(|x| (0..8).map(|k| at(x as f64 + (k as f64 - 3.5) / 8.0)).sum::<f64>() / 8.0).collect()
}

/// A scan in memory with an optional frame half a turn after view 0.
struct Phantom {
    views: Array3<f32>,
    half: Option<Array2<f32>>,
}

impl FrameSource for Phantom {
    fn shape(&self) -> ScanShape {
        let (views, rows, cols) = self.views.dim();
        ScanShape { views, rows, cols, flats: 1 }
    }
    fn read_rows(&self, frame: Frame, rows: Range<usize>, mut out: ArrayViewMut2<f32>) -> Result<()> {
        match (frame, &self.half) {
            (Frame::View(m), _) => out.assign(&self.views.slice(s![m, rows, ..])),
            (Frame::HalfTurn, Some(half)) => out.assign(&half.slice(s![rows, ..])),
            (Frame::Dark, _) => out.fill(100.0),
            _ => out.fill(20100.0),
        }
        Ok(())
    }
    fn frame_bytes(&self) -> u64 {
        0
    }
}

struct Case {
    angles: Vec<f64>,
    rows: usize,
    cols: usize,
    center: fn(usize) -> f64,
    /// Standard deviation of the absorbance.
    noise: f64,
    half: bool,
    discs: Vec<Disc>,
}

impl Case {
    fn new(angles: Vec<f64>, center: fn(usize) -> f64) -> Self {
        Case { angles, rows: 4, cols: 128, center, noise: 0.0, half: false, discs: SAMPLE.to_vec() }
    }
    fn scan(&self) -> Scan {
        let mut seed = 11;
        let mut image = |angle: f64| {
            let mut out = Array2::zeros((self.rows, self.cols));
            for (y, mut row) in out.outer_iter_mut().enumerate() {
                let p = profile(&self.discs, angle, (self.center)(y), self.cols);
                for (v, p) in row.iter_mut().zip(p) {
                    let p = if self.noise > 0.0 { p + self.noise * normal(&mut seed) } else { p };
                    *v = (100.0 + 20000.0 * (-p).exp()) as f32;
                }
            }
            out
        };
        let mut views = Array3::zeros((self.angles.len(), self.rows, self.cols));
        for (m, angle) in self.angles.iter().enumerate() {
            views.index_axis_mut(Axis(0), m).assign(&image(*angle));
        }
        let half = self.half.then(|| image(self.angles[0] + PI));
        let info = ScanInfo {
            format: "memory",
            angles_rad: self.angles.clone(),
            view_time: vec![0.0; self.angles.len()],
            flat_time: vec![0.0],
            half_turn_frame: self.half,
            ..ScanInfo::default()
        };
        Scan::new(Box::new(Phantom { views, half }), info).unwrap()
    }
    fn find(&self, method: AxisMethod) -> Result<AxisFound> {
        find_axis(&context(2), &self.scan(), &AxisOptions { method, ..AxisOptions::default() }, &mut Progress::silent())
    }
}

fn context(threads: usize) -> Context {
    Context::new(ContextOptions { threads: Some(threads), ..ContextOptions::default() }).unwrap()
}

fn fixed(found: &AxisFound) -> f64 {
    match found.center {
        Center::Fixed(px) => px,
        line => panic!("no tilt expected: {line}"),
    }
}

fn closed(views: usize) -> Vec<f64> {
    (0..views).map(|m| PI * m as f64 / (views - 1) as f64).collect()
}

/// Both views of one row, from 0 and 180 degrees.
fn opposite(center: f64, rows: usize) -> (Array2<f32>, Array2<f32>) {
    let make = |angle: f64| {
        let p = profile(&SAMPLE, angle, center, 128);
        Array2::from_shape_fn((rows, 128), |(_, x)| p[x] as f32)
    };
    (make(0.0), make(PI))
}

#[test]
fn opposite_views_give_the_axis_below_a_tenth_of_a_pixel() {
    for center in [50.0, 57.3, 63.5, 64.1, 71.75] {
        let (a, b) = opposite(center, 2);
        let by_line = line(a.view(), b.view(), &usual_range(128)).unwrap();
        // The parabola is exact for half pixels; between them it errs by a few hundredths at sharp edges.
        assert!((by_line.0.px - center).abs() < 0.05, "line: {} instead of {center}", by_line.0.px);
        assert!(by_line.0.confidence > 0.95 && by_line.1.len() == 2);
        let registered = registration(a.view(), b.view(), &usual_range(128)).unwrap();
        assert!((registered.px - center).abs() < 0.1, "registration: {} instead of {center}", registered.px);
        assert!(registered.confidence > 0.6, "{}", registered.confidence);
        // Steps of half a pixel.
        let (a, b) = (a.row(0).to_vec(), b.row(0).to_vec());
        let coarse = rmsd(&a, &b).unwrap().px;
        assert!((coarse - center).abs() <= 0.26 && (2.0 * coarse).fract() == 0.0, "rmsd: {coarse}");
    }
}

#[test]
fn rmsd_divides_by_one_more_than_it_sums() {
    // Against the text of the specification, term by term.
    let mut seed = 4;
    for n in [2usize, 3, 8, 21] {
        let a: Vec<f32> = (0..n).map(|_| random(&mut seed) as f32).collect();
        let b: Vec<f32> = (0..n).map(|_| random(&mut seed) as f32).collect();
        let last = n as i64 - 1;
        let mut best = (f64::MAX, 0);
        let mut shifts = vec![0];
        (1..=n as i64 / 2).for_each(|d| shifts.extend([d, -d]));
        for dx in shifts {
            let d = dx.abs();
            let terms = if dx == 0 { n as i64 } else { last - d };
            let mut sum = 0.0;
            for j in 0..terms {
                let (i, k) = if dx >= 0 { (j + d, last - j) } else { (j, last - d - j) };
                sum += (a[i as usize] as f64 - b[k as usize] as f64).powi(2);
            }
            let value = (sum / (n as i64 - d) as f64).sqrt();
            if value < best.0 {
                best = (value, dx);
            }
        }
        assert_eq!(rmsd(&a, &b).unwrap().px, (last + best.1) as f64 / 2.0);
    }
    assert_eq!(rmsd(&[1.0], &[1.0]), None);
    let empty = rmsd(&[0.0; 9], &[0.0; 9]).unwrap();
    assert_eq!((empty.px, empty.confidence), (4.0, 0.0));
}

#[test]
fn centroids_give_the_axis_exactly_and_tell_their_error() {
    let angles = uniform_angles(60, 0.2, PI);
    let exact: Vec<f64> = angles.iter().map(|t| 61.7 + 5.0 * t.cos() - 3.0 * t.sin()).collect();
    let fit = moment(&angles, &exact).unwrap();
    assert!((fit.px - 61.7).abs() < 1e-10 && fit.error_px < 1e-10);
    let mut seed = 3;
    let noisy: Vec<f64> = exact.iter().map(|c| c + 0.1 * normal(&mut seed)).collect();
    let fit = moment(&angles, &noisy).unwrap();
    // Five standard errors.
    assert!((fit.px - 61.7).abs() < 5.0 * fit.error_px && (0.01..0.1).contains(&fit.error_px), "{fit:?}");
    assert!(moment(&angles[..5], &exact[..5]).is_none());
    assert!(moment(&[0.3; 20], &[5.0; 20]).is_none(), "one angle tells nothing");
}

#[test]
fn auto_finds_the_axis_however_the_scan_was_taken() {
    let center = |_: usize| 58.3;
    let half = Case { half: true, ..Case::new(uniform_angles(90, 0.0, PI), center) };
    let cases = [
        ("half-turn frame", half),
        ("closed half turn", Case::new(closed(91), center)),
        ("half-open half turn", Case::new(uniform_angles(180, 0.0, PI), center)),
        ("negative sense, offset", Case::new(uniform_angles(180, 1.0, -PI), center)),
        ("full turn, even", Case::new(uniform_angles(120, 0.0, 2.0 * PI), center)),
        ("full turn, odd", Case::new(uniform_angles(181, 0.0, 2.0 * PI), center)),
    ];
    for (name, case) in cases {
        let found = case.find(AxisMethod::Auto).unwrap();
        assert!((fixed(&found) - 58.3).abs() < 0.1, "{name}: {found:?}");
        assert!(found.confidence > 0.6, "{name}: {found:?}");
    }
}

#[test]
fn a_missing_step_does_not_shift_the_axis() {
    // The last view of a half-open turn alone would be off by the motion in one step, here up to half a pixel at the rim.
    let case = Case::new(uniform_angles(180, 0.0, PI), |_| 58.3);
    for method in [AxisMethod::Line, AxisMethod::Registration, AxisMethod::Moment] {
        let px = fixed(&case.find(method).unwrap());
        assert!((px - 58.3).abs() < 0.15, "{method:?}: {px}");
    }
    let e = case.find(AxisMethod::Rmsd).unwrap_err();
    assert!(e.to_string().contains("no two projections lie half a turn apart"), "{e}");
    let few = Case::new(uniform_angles(40, 0.0, 2.0), |_| 58.3);
    assert_eq!(few.find(AxisMethod::Line).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn noise_and_an_axis_far_from_the_middle() {
    let mut case = Case { half: true, noise: 0.05, rows: 16, ..Case::new(uniform_angles(60, 0.0, PI), |_| 76.8) };
    let found = case.find(AxisMethod::Auto).unwrap();
    assert!((fixed(&found) - 76.8).abs() < 0.1, "{found:?}");
    // The sample is cut off on one side: centroids no longer hold and must not be trusted.
    case.center = |_| 88.4;
    let found = case.find(AxisMethod::Auto).unwrap();
    assert!((fixed(&found) - 88.4).abs() < 0.15, "{found:?}");
    assert!(found.candidates.iter().all(|c| c.method != "moment"), "{found:?}");
}

#[test]
fn a_tilt_is_given_as_a_line_only_if_it_is_there() {
    let base = || Case { half: true, noise: 0.02, rows: 60, ..Case::new(uniform_angles(20, 0.0, PI), |_| 60.2) };
    let straight = base().find(AxisMethod::Auto).unwrap();
    assert!((fixed(&straight) - 60.2).abs() < 0.1, "{straight:?}");
    assert!(straight.tilt.unwrap().px_per_row.abs() < 5.0 * straight.tilt.unwrap().error, "{straight:?}");
    let tilted = Case { center: |y| 60.2 + 0.03 * y as f64, ..base() };
    let found = tilted.find(AxisMethod::Auto).unwrap();
    assert!(matches!(found.center, Center::Line { .. }), "{found:?}");
    for row in [0, 30, 59] {
        assert!((found.center.at(row) - 60.2 - 0.03 * row as f64).abs() < 0.1, "{found:?}");
    }
}

#[test]
fn nothing_is_guessed() {
    let empty = Case { half: true, discs: Vec::new(), ..Case::new(uniform_angles(40, 0.0, PI), |_| 60.0) };
    let noise = Case { noise: 0.1, ..Case { half: true, discs: Vec::new(), ..Case::new(closed(41), |_| 60.0) } };
    let no_pair = Case { half: false, ..Case::new(uniform_angles(40, 0.0, 2.0), |_| 60.0) };
    for (name, case) in [("empty", empty), ("noise", noise), ("no opposite views", no_pair)] {
        let e = case.find(AxisMethod::Auto).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unsupported, "{name}");
        assert!(e.to_string().contains("give it as center_px=... (candidates: "), "{name}: {e}");
    }
    // The axis lies outside the range that was asked for: the best value is at its border.
    let case = Case { half: true, ..Case::new(uniform_angles(90, 0.0, PI), |_| 58.3) };
    let options = AxisOptions { search_px: Some(62.0..90.0), ..AxisOptions::default() };
    let e = find_axis(&context(1), &case.scan(), &options, &mut Progress::silent()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
}

/// What is too narrow to compare is told, or leaves the other methods to answer.
#[test]
fn tiny_detectors_give_an_axis_or_a_sentence() {
    let ctx = context(1);
    for cols in 2..=8 {
        let last = cols as f64 - 1.0;
        let flats = Array3::from_elem((1, 2, cols), 20100.0);
        let dark = Array2::from_elem((2, cols), 100.0);
        let blob = [[0.4, 0.0, cols as f64 / 5.0, 0.5]];
        let angles = closed(13);
        let mut views = Array3::zeros((13, 2, cols));
        for (m, angle) in angles.iter().enumerate() {
            for mut row in views.index_axis_mut(Axis(0), m).outer_iter_mut() {
                let p = profile(&blob, *angle, last / 2.0, cols);
                row.iter_mut().zip(p).for_each(|(v, p)| *v = (100.0 + 20000.0 * (-p).exp()) as f32);
            }
        }
        let scan = MemorySource::new(views, flats, dark).unwrap().into_scan(angles, None).unwrap();
        use AxisMethod::{Auto, Line, Moment, Registration, Rmsd};
        for method in [Auto, Rmsd, Line, Registration, Moment] {
            let options = AxisOptions { method, ..AxisOptions::default() };
            match find_axis(&ctx, &scan, &options, &mut Progress::silent()) {
                Ok(found) => assert!((0.0..=last).contains(&found.center.at(0)), "{cols} {method:?} {found:?}"),
                Err(e) => assert_ne!(e.kind(), ErrorKind::Internal, "{cols} {method:?} {e}"),
            }
        }
    }
}

#[test]
fn views_that_do_not_fit_give_nothing() {
    let image = |rows, cols| Array2::from_shape_fn((rows, cols), |(y, x)| ((x * x + y) % 7) as f32);
    for (a, b) in [([2, 16], [2, 18]), ([2, 16], [3, 16]), ([0, 16], [0, 16]), ([2, 3], [2, 3]), ([2, 0], [2, 0])] {
        let (a, b) = (image(a[0], a[1]), image(b[0], b[1]));
        let search = 0.0..a.ncols() as f64;
        assert!(line(a.view(), b.view(), &search).is_none() && registration(a.view(), b.view(), &search).is_none());
    }
}

#[test]
fn contradicting_opposite_views_are_refused() {
    // The sample moved by 8 px between the first view and the one after half a turn: its centroids do not.
    let case = Case { half: true, ..Case::new(uniform_angles(90, 0.0, PI), |_| 58.3) };
    let mut views = Array3::zeros((90, 4, 128));
    for m in 0..90 {
        for y in 0..4 {
            for (x, p) in profile(&SAMPLE, case.angles[m], 58.3, 128).iter().enumerate() {
                views[[m, y, x]] = (100.0 + 20000.0 * (-p).exp()) as f32;
            }
        }
    }
    let moved = profile(&[SAMPLE[3]], PI, 90.0, 128);
    let half = Array2::from_shape_fn((4, 128), |(_, x)| (100.0 + 20000.0 * (-moved[x]).exp()) as f32);
    let info = case.scan().info().clone();
    let scan = Scan::new(Box::new(Phantom { views, half: Some(half) }), info).unwrap();
    let found = find_axis(&context(2), &scan, &AxisOptions::default(), &mut Progress::silent());
    // Centroids alone are one opinion.
    assert_eq!(found.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn options_are_checked_and_threads_do_not_matter() {
    let scan = Case { noise: 0.02, rows: 20, ..Case::new(closed(31), |_| 60.2) }.scan();
    let find = |threads, rows, search_px| {
        let options = AxisOptions { rows, search_px, ..AxisOptions::default() };
        find_axis(&context(threads), &scan, &options, &mut Progress::silent())
    };
    let one = find(1, None, None).unwrap();
    for threads in [2, 3, 7] {
        let other = find(threads, None, None).unwrap();
        assert_eq!((&one.center, &one.candidates), (&other.center, &other.candidates));
    }
    assert!((fixed(&find(2, Some(3..4), None).unwrap()) - 60.2).abs() < 0.2);
    assert_eq!(find(1, Some(3..21), None).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(find(1, Some(3..3), None).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(find(1, None, Some(-1.0..50.0)).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(find(1, None, Some(50.0..f64::NAN)).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!("moment".parse::<AxisMethod>().unwrap(), AxisMethod::Moment);
    assert!("moments".parse::<AxisMethod>().unwrap_err().to_string().contains("expected auto, rmsd"));
}

fn open(path: &str, options: ScanOptions) -> Scan {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    wagiri::io::open(&data.join(path), &options).unwrap()
}

fn auto(scan: &Scan) -> AxisFound {
    find_axis(&context(2), scan, &AxisOptions::default(), &mut Progress::silent()).unwrap()
}

#[test]
fn golden_scans_give_their_true_axis() {
    for (name, truth) in [("tif180", 49.3), ("s180", 60.7)] {
        let scan = open(&format!("ct-rec-100/{name}"), ScanOptions::default());
        assert!(scan.info().half_turn_frame);
        let found = auto(&scan);
        assert!((fixed(&found) - truth).abs() < 0.1, "{name}: {found:?}");
        assert!(found.confidence > 0.9, "{name}: {found:?}");
    }
    // Cut off on both sides and without a frame at half a turn.
    let found = auto(&open("ct-rec-100/pad", ScanOptions::default()));
    assert!((fixed(&found) - 63.5).abs() < 0.1, "{found:?}");
}

#[test]
fn rmsd_finds_what_ct_rec_found() {
    let scan = open("ct-rec-100/tif180", ScanOptions::default());
    let options = AxisOptions { method: AxisMethod::Rmsd, rows: Some(1..2), ..AxisOptions::default() };
    let found = find_axis(&context(1), &scan, &options, &mut Progress::silent()).unwrap();
    assert_eq!(found.center, Center::Fixed(49.5));
}

#[test]
fn real_scans_give_their_known_axis() {
    // Half-open turn of two rows; its data sheet says 295.5 to 296.
    let found = auto(&open("tooth/tooth.h5", ScanOptions::default()));
    let px = found.center.at(0);
    assert!((295.25..296.25).contains(&px) && found.confidence > 0.8, "{found:?}");
    // Closed half turn, a dead pixel in every frame, sample cut off at one side; about 86.
    let options = ScanOptions {
        dark: Some("dark_00001.tiff".into()),
        flat: Some("flat_00001.tiff".into()),
        angles: Some("angles.txt:10..101".into()),
        ..ScanOptions::default()
    };
    let found = auto(&open("savu", options));
    assert!((found.center.at(67) - 86.0).abs() < 1.0 && found.confidence > 0.8, "{found:?}");
}
