//! The 256 ways in which a surface can pass through a cell of eight voxels, derived and not listed.
//!
//! On each face of a cell, lines separate the corners inside from those outside; where corners inside lie across from each other,
//! each gets a line of its own. That depends on the four corners of the face only, so that both cells beside it draw the same
//! lines. The lines of all faces join into closed loops, which are cut into triangles such that no cut lies in a face. So every
//! edge of the surface has two triangles, whatever the values are.

use std::sync::OnceLock;

/// The 12 edges of a cell: the corner with the smaller number, and the axis (0 x, 1 y, 2 z) along which the other one lies.
/// Corner `c` is at x = `c & 1`, y = `c >> 1 & 1`, z = `c >> 2`.
pub const EDGES: [(u8, u8); 12] =
    [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 0), (2, 2), (3, 2), (4, 0), (4, 1), (5, 1), (6, 0)];

/// Triangles of each case, as edges of the cell in [`EDGES`]. Bit `c` of a case: corner `c` is inside. The corners of a triangle
/// go counter-clockwise for one who looks at it from outside the object.
pub fn cases() -> &'static [Vec<[u8; 3]>] {
    static CASES: OnceLock<Vec<Vec<[u8; 3]>>> = OnceLock::new();
    CASES.get_or_init(|| (0..=255).map(|case| loops(case).iter().flat_map(|l| triangles(l)).collect()).collect())
}

/// Corners around each face, counter-clockwise for one who looks at it from outside the cell.
fn faces() -> [[u8; 4]; 6] {
    let mut faces = [[0; 4]; 6];
    for (axis, pair) in faces.chunks_mut(2).enumerate() {
        let (u, v, far) = (1 << ((axis + 1) % 3), 1 << ((axis + 2) % 3), 1 << axis);
        pair[0] = [0, v, u | v, u];
        pair[1] = [far, far | u, far | u | v, far | v];
    }
    faces
}

/// The edge between two neighbouring corners.
fn edge(a: u8, b: u8) -> u8 {
    let axis = (a ^ b).trailing_zeros() as u8;
    EDGES.iter().position(|e| *e == (a.min(b), axis)).map_or(0, |i| i as u8)
}

/// Closed loops of edges along which the surface meets the faces; seen from outside the cell, the object is at their right.
fn loops(case: u8) -> Vec<Vec<u8>> {
    let inside = |corner: u8| case >> corner & 1 == 1;
    let mut next = [None; 12];
    for face in faces() {
        for i in 0..4 {
            if !inside(face[i]) || inside(face[(i + 3) % 4]) {
                continue;
            }
            // A stretch of corners inside, from `i` to `last`.
            let last = (i..i + 4).take_while(|j| inside(face[j % 4])).last().unwrap_or(i);
            let (enters, leaves) = (edge(face[(i + 3) % 4], face[i]), edge(face[last % 4], face[(last + 1) % 4]));
            next[enters as usize] = Some(leaves);
        }
    }
    let mut loops = Vec::new();
    for start in 0..12 {
        let (mut found, mut at) = (Vec::new(), start as u8);
        while let Some(after) = next[at as usize].take() {
            found.push(at);
            at = after;
        }
        if !found.is_empty() {
            loops.push(found);
        }
    }
    loops
}

/// True if two edges lie in one face.
fn share_a_face(a: u8, b: u8) -> bool {
    let ends = |e: u8| {
        let (corner, axis) = EDGES[e as usize];
        [corner, corner | 1 << axis]
    };
    faces().iter().any(|face| ends(a).iter().chain(&ends(b)).all(|corner| face.contains(corner)))
}

/// Triangles of a loop, without a cut in a face. There is always a way; a test looks at all loops.
fn triangles(corners: &[u8]) -> Vec<[u8; 3]> {
    fn cut(corners: &[u8], whole: bool) -> Option<Vec<[u8; 3]>> {
        let (first, last) = (*corners.first()?, *corners.last()?);
        if corners.len() < 3 {
            return Some(Vec::new());
        }
        if !whole && share_a_face(first, last) {
            return None;
        }
        (1..corners.len() - 1).find_map(|k| {
            // An edge between neighbours of the loop is no cut.
            let mut found = cut(&corners[..=k], false)?;
            found.push([first, corners[k], last]);
            found.extend(cut(&corners[k..], false)?);
            Some(found)
        })
    }
    cut(corners, true).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_separates_its_corners_by_a_surface_that_ends_at_the_faces_only() {
        for (case, triangles) in cases().iter().enumerate() {
            let inside = |corner: u8| case >> corner & 1 == 1;
            let crossed: Vec<u8> = (0..12)
                .filter(|e| {
                    let (corner, axis) = EDGES[*e as usize];
                    inside(corner) != inside(corner | 1 << axis)
                })
                .collect();
            let mut used: Vec<u8> = triangles.iter().flatten().copied().collect();
            used.sort_unstable();
            used.dedup();
            assert_eq!(used, crossed, "{case:08b}");
            // Directed sides of the triangles: those inside the cell once each way, those at its faces once.
            let sides: Vec<(u8, u8)> =
                triangles.iter().flat_map(|t| [(t[0], t[1]), (t[1], t[2]), (t[2], t[0])]).collect();
            for (a, b) in &sides {
                assert_eq!(sides.iter().filter(|s| *s == &(*a, *b)).count(), 1, "{case:08b}");
                let is_inner = sides.contains(&(*b, *a));
                assert_ne!(is_inner, share_a_face(*a, *b), "{case:08b}: {a} {b}");
            }
        }
        assert!(cases()[0].is_empty() && cases()[255].is_empty());
    }
}
