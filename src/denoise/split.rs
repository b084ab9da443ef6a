//! Which views belong to which subset.

use crate::error::{Error, Result};

/// Fewest views of a subset: with less there is nothing to see in its slices.
pub const FEWEST_VIEWS: usize = 8;

/// Views of subset `subset` of `count`: every `count`-th, so that each subset covers all directions.
pub fn subset_views(views: usize, count: usize, subset: usize) -> impl Iterator<Item = usize> {
    (subset..views).step_by(count)
}

/// Refuses numbers of subsets that make no sense for so many views.
pub fn check_count(views: usize, count: usize) -> Result<()> {
    if !(2..=64).contains(&count) {
        return Err(Error::invalid("subsets", "expected 2 to 64 subsets of views").with("subsets", count));
    }
    if views < count * FEWEST_VIEWS {
        let message = format!("too few views: each of the {count} subsets needs at least {FEWEST_VIEWS}");
        return Err(Error::invalid("subsets", message).with("views", views));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_belongs_to_one_subset() {
        for (views, count) in [(32, 4), (33, 4), (35, 4), (17, 2), (180, 7)] {
            let mut seen = vec![0; views];
            for subset in 0..count {
                subset_views(views, count, subset).for_each(|view| seen[view] += 1);
            }
            assert!(seen.iter().all(|&n| n == 1), "{views} {count}");
        }
    }

    #[test]
    fn too_few_views_and_odd_numbers_of_subsets_are_refused() {
        assert!(check_count(32, 4).is_ok());
        for (views, count) in [(31, 4), (0, 2), (100, 1), (100, 0), (100_000, 65)] {
            assert!(check_count(views, count).is_err(), "{views} {count}");
        }
    }
}
