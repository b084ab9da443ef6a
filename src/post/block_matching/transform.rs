//! The transform of a group of cubes: cosines along the three axes of each cube, Haar across the cubes. Orthonormal, so noise of
//! standard deviation sigma has it in every coefficient.

/// Edge of a cube, voxels; 1 or 2 in a volume that is thinner.
pub(super) const EDGE: usize = 4;
/// Voxels of a cube; [z, y, x] is at (z * EDGE + y) * EDGE + x.
pub(super) const VOXELS: usize = EDGE * EDGE * EDGE;
/// Most cubes in a group.
pub(super) const CUBES: usize = 16;

/// Cubes one after the other.
pub(super) type ByCube = [[f32; VOXELS]; CUBES];
/// The same coefficient of all cubes side by side.
pub(super) type ByVoxel = [[f32; CUBES]; VOXELS];

/// The first `count` cubes, a power of two, of a size whose edges are 1, 2 or 4. What is beyond them in `cubes` must be 0.
#[inline(always)]
pub(super) fn forward(cubes: &mut ByCube, count: usize, size: [usize; 3], out: &mut ByVoxel) {
    haar(cubes, count);
    for voxel in (0..VOXELS).step_by(4) {
        for cube in (0..CUBES).step_by(4) {
            let block: [[f32; 4]; 4] = std::array::from_fn(|k| std::array::from_fn(|i| cubes[cube + k][voxel + i]));
            for i in 0..4 {
                let line = [block[0][i], block[1][i], block[2][i], block[3][i]];
                out[voxel + i][cube..cube + 4].copy_from_slice(&line);
            }
        }
    }
    along::<16>(out, size[0], false);
    along::<4>(out, size[1], false);
    along::<1>(out, size[2], false);
}

/// Back again.
#[inline(always)]
pub(super) fn inverse(coefficients: &mut ByVoxel, count: usize, size: [usize; 3], cubes: &mut ByCube) {
    along::<16>(coefficients, size[0], true);
    along::<4>(coefficients, size[1], true);
    along::<1>(coefficients, size[2], true);
    for voxel in (0..VOXELS).step_by(4) {
        for cube in (0..CUBES).step_by(4) {
            let block: [[f32; 4]; 4] =
                std::array::from_fn(|k| std::array::from_fn(|i| coefficients[voxel + k][cube + i]));
            for i in 0..4 {
                let line = [block[0][i], block[1][i], block[2][i], block[3][i]];
                cubes[cube + i][voxel..voxel + 4].copy_from_slice(&line);
            }
        }
    }
    haar_back(cubes, count);
}

/// One axis: along it, voxels are `STRIDE` apart.
#[inline(always)]
fn along<const STRIDE: usize>(values: &mut ByVoxel, size: usize, back: bool) {
    for block in values.chunks_exact_mut(EDGE * STRIDE) {
        let (a, rest) = block.split_at_mut(STRIDE);
        let (b, rest) = rest.split_at_mut(STRIDE);
        let (c, d) = rest.split_at_mut(STRIDE);
        for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
            match (size, back) {
                (4, false) => cosines(a, b, c, d),
                (4, true) => cosines_back(a, b, c, d),
                (2, _) => halves(a, b),
                _ => {}
            }
        }
    }
}

/// One voxel of all cubes.
type Lanes = [f32; CUBES];

/// cos(π/8) / √2 and cos(3π/8) / √2.
const NEAR: f32 = 0.653_281_5;
const FAR: f32 = 0.270_598_05;

#[inline(always)]
fn cosines(a: &mut Lanes, b: &mut Lanes, c: &mut Lanes, d: &mut Lanes) {
    for i in 0..CUBES {
        let (outer, inner, rise, fall) = (a[i] + d[i], b[i] + c[i], a[i] - d[i], b[i] - c[i]);
        a[i] = 0.5 * (outer + inner);
        b[i] = NEAR * rise + FAR * fall;
        c[i] = 0.5 * (outer - inner);
        d[i] = FAR * rise - NEAR * fall;
    }
}

#[inline(always)]
fn cosines_back(a: &mut Lanes, b: &mut Lanes, c: &mut Lanes, d: &mut Lanes) {
    for i in 0..CUBES {
        let (outer, inner) = (0.5 * (a[i] + c[i]), 0.5 * (a[i] - c[i]));
        let (rise, fall) = (NEAR * b[i] + FAR * d[i], FAR * b[i] - NEAR * d[i]);
        a[i] = outer + rise;
        b[i] = inner + fall;
        c[i] = inner - fall;
        d[i] = outer - rise;
    }
}

/// Two voxels; its own inverse.
#[inline(always)]
fn halves(a: &mut Lanes, b: &mut Lanes) {
    for i in 0..CUBES {
        let (sum, difference) = (a[i] + b[i], a[i] - b[i]);
        a[i] = sum * std::f32::consts::FRAC_1_SQRT_2;
        b[i] = difference * std::f32::consts::FRAC_1_SQRT_2;
    }
}

/// Sums go to the first half, differences to the second; then on with the sums.
#[inline(always)]
fn haar(cubes: &mut ByCube, count: usize) {
    let (mut left, mut spare) = (count, [[0f32; VOXELS]; CUBES / 2]);
    while left > 1 {
        let half = left / 2;
        for k in 0..half {
            for i in 0..VOXELS {
                let (a, b) = (cubes[2 * k][i], cubes[2 * k + 1][i]);
                cubes[k][i] = (a + b) * std::f32::consts::FRAC_1_SQRT_2;
                spare[k][i] = (a - b) * std::f32::consts::FRAC_1_SQRT_2;
            }
        }
        cubes[half..left].copy_from_slice(&spare[..half]);
        left = half;
    }
}

#[inline(always)]
fn haar_back(cubes: &mut ByCube, count: usize) {
    let (mut half, mut spare) = (1, [[0f32; VOXELS]; CUBES / 2]);
    while half < count {
        spare[..half].copy_from_slice(&cubes[half..2 * half]);
        for k in (0..half).rev() {
            for i in 0..VOXELS {
                let (a, b) = (cubes[k][i], spare[k][i]);
                cubes[2 * k][i] = (a + b) * std::f32::consts::FRAC_1_SQRT_2;
                cubes[2 * k + 1][i] = (a - b) * std::f32::consts::FRAC_1_SQRT_2;
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_keep_the_length_and_come_back() {
        for (size, count) in [([4, 4, 4], 16), ([4, 4, 4], 1), ([1, 4, 4], 8), ([2, 1, 4], 4), ([1, 1, 1], 2)] {
            let inside = |voxel: usize| {
                [voxel / 16, voxel / 4 % 4, voxel % 4].iter().zip(size).all(|(place, size)| *place < size)
            };
            let mut cubes: ByCube = [[0.0; VOXELS]; CUBES];
            for (i, v) in cubes[..count].iter_mut().flatten().enumerate().filter(|(i, _)| inside(i % VOXELS)) {
                *v = ((i * 37) % 101) as f32 - 50.0;
            }
            let (before, mut out) = (cubes, [[0.0; CUBES]; VOXELS]);
            let length = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            forward(&mut cubes, count, size, &mut out);
            // Seven steps, each rounded to 6e-8.
            let (a, b) = (length(before.as_flattened()), length(out.as_flattened()));
            assert!((a / b - 1.0).abs() < 1e-6, "{size:?}: {a} {b}");
            let sum: f64 = before.iter().flatten().map(|v| f64::from(*v)).sum();
            let voxels = size.iter().product::<usize>() * count;
            assert!((f64::from(out[0][0]) - sum / (voxels as f64).sqrt()).abs() < 1e-3, "the first is the mean");
            inverse(&mut out, count, size, &mut cubes);
            for (a, b) in before.as_flattened().iter().zip(cubes.as_flattened()) {
                assert!((a - b).abs() < 1e-4, "{size:?}: {a} {b}");
            }
        }
    }
}
