//! Class 7: which 2 to `max_subset` of the given amounts sum to the difference.
//!
//! The order is fixed: by size, then by position of the members. The last member of a subset is
//! looked up and not tried, so that a step is a choice of all members but the last.

use std::collections::HashMap;

use super::solution::{MAX_COUNTED, MAX_SHOWN};

/// Most candidates.
pub const MAX_CANDIDATES: usize = 200;
/// Most steps.
pub const MAX_STEPS: u32 = 1_000_000;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Subsets {
    /// Positions of the members, the first subsets in order.
    pub shown: Vec<Vec<usize>>,
    /// How many there are, counted to [`MAX_COUNTED`].
    pub count: u32,
    /// Steps or the count ended the search.
    pub bounded: bool,
}

struct Search<'a> {
    amounts: &'a [i128],
    by_amount: HashMap<i128, Vec<usize>>,
    chosen: Vec<usize>,
    steps: u32,
    found: Subsets,
}

/// Searches at most [`MAX_CANDIDATES`] amounts; the caller cuts the list.
pub fn subsets(amounts: &[i128], difference: i128, max_subset: usize) -> Subsets {
    let mut by_amount: HashMap<i128, Vec<usize>> = HashMap::new();
    for (index, amount) in amounts.iter().enumerate() {
        by_amount.entry(*amount).or_default().push(index);
    }
    let mut search = Search {
        amounts,
        by_amount,
        chosen: Vec::with_capacity(max_subset),
        steps: 0,
        found: Subsets::default(),
    };
    for size in 2..=max_subset.min(amounts.len()) {
        if !search.descend(0, size, difference) {
            search.found.bounded = true;
            break;
        }
    }
    search.found
}

impl Search<'_> {
    /// Chooses `size` more members from `from` on that sum to `rest`. False when a bound ended
    /// the search.
    fn descend(&mut self, from: usize, size: usize, rest: i128) -> bool {
        if size == 1 {
            return self.last(from, rest);
        }
        for index in from..self.amounts.len() {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return false;
            }
            let Some(rest) = rest.checked_sub(self.amounts[index]) else {
                continue;
            };
            self.chosen.push(index);
            let whole = self.descend(index + 1, size - 1, rest);
            self.chosen.pop();
            if !whole {
                return false;
            }
        }
        true
    }

    fn last(&mut self, from: usize, rest: i128) -> bool {
        let Some(places) = self.by_amount.get(&rest) else {
            return true;
        };
        let start = places.partition_point(|&place| place < from);
        for &place in &places[start..] {
            if self.found.shown.len() <= MAX_SHOWN {
                let mut members = self.chosen.clone();
                members.push(place);
                self.found.shown.push(members);
            }
            self.found.count += 1;
            if self.found.count >= MAX_COUNTED {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All subsets by counting in binary.
    fn naive(amounts: &[i128], difference: i128, max: usize) -> Vec<Vec<usize>> {
        let mut all: Vec<Vec<usize>> = (0_u32..1 << amounts.len())
            .map(|bits| (0..amounts.len()).filter(|i| bits >> i & 1 == 1).collect())
            .filter(|set: &Vec<usize>| (2..=max).contains(&set.len()))
            .filter(|set| set.iter().map(|&i| amounts[i]).sum::<i128>() == difference)
            .collect();
        all.sort_by_key(|set| (set.len(), set.clone()));
        all
    }

    proptest! {
        #[test]
        fn finds_what_counting_finds(
            amounts in prop::collection::vec(-20_i128..20, 0..11),
            difference in -30_i128..30,
            max in 2_usize..=6,
        ) {
            let found = subsets(&amounts, difference, max);
            let wanted = naive(&amounts, difference, max);
            prop_assert_eq!(found.count as usize, wanted.len());
            prop_assert!(!found.bounded);
            let shown = wanted.len().min(MAX_SHOWN + 1);
            prop_assert_eq!(&found.shown[..], &wanted[..shown]);
        }
    }

    #[test]
    fn bounds_end_the_search() {
        let many = vec![1_i128; MAX_CANDIDATES];
        let found = subsets(&many, 2, 4);
        assert_eq!((found.count, found.bounded), (MAX_COUNTED, true));
        let none: Vec<i128> = (1..=200).map(|i| i * 1_000).collect();
        let found = subsets(&none, 7, 4);
        assert_eq!((found.count, found.bounded), (0, true), "1.3 M triples");
        assert!(!subsets(&none, 7, 3).bounded);
        assert_eq!(subsets(&[i128::MIN, i128::MAX], 5, 2).count, 0);
    }
}
