//! The tree against a naive recursive model written straight from RFC 6962.

use std::convert::Infallible;

use proptest::prelude::*;

use super::super::hash::leaf;
use super::super::{VerifyError, verify_consistency, verify_inclusion};
use super::*;

fn leaf_of(index: u64) -> Hash {
    leaf(index.to_string().as_bytes())
}

/// Leaves are a function of their index; the stored array is what the frontier emitted.
struct Model {
    leaves: Vec<Hash>,
    level8: Vec<Hash>,
    level8_reads: std::cell::Cell<u64>,
}

impl Model {
    fn new(size: u64) -> (Self, Frontier) {
        let mut frontier = Frontier::new();
        let mut model = Model {
            leaves: (0..size).map(leaf_of).collect(),
            level8: Vec::new(),
            level8_reads: std::cell::Cell::new(0),
        };
        for leaf in &model.leaves {
            if let Some(block) = frontier.push(*leaf) {
                assert_eq!(block.index, model.level8.len() as u64);
                model.level8.push(block.hash);
            }
        }
        (model, frontier)
    }
}

impl TreeSource for Model {
    type Error = Infallible;

    fn level8(&self, index: u64) -> Result<Hash, Infallible> {
        self.level8_reads.set(self.level8_reads.get() + 1);
        Ok(self.level8[index as usize])
    }

    fn leaves(&self, range: Range<u64>) -> Result<Vec<Hash>, Infallible> {
        assert_eq!(range.start / 256, (range.end - 1) / 256);
        Ok(self.leaves[range.start as usize..range.end as usize].to_vec())
    }
}

fn half(n: usize) -> usize {
    let mut k = 1;
    while 2 * k < n {
        k *= 2;
    }
    k
}

fn naive_root(d: &[Hash]) -> Hash {
    match d.len() {
        0 => empty_root(),
        1 => d[0],
        n => node(&naive_root(&d[..half(n)]), &naive_root(&d[half(n)..])),
    }
}

fn naive_path(m: usize, d: &[Hash]) -> Vec<Hash> {
    let n = d.len();
    if n == 1 {
        return vec![];
    }
    let k = half(n);
    let (mut path, sibling) = if m < k {
        (naive_path(m, &d[..k]), naive_root(&d[k..]))
    } else {
        (naive_path(m - k, &d[k..]), naive_root(&d[..k]))
    };
    path.push(sibling);
    path
}

fn naive_consistency(m: usize, d: &[Hash], complete: bool) -> Vec<Hash> {
    let n = d.len();
    if m == n {
        return if complete {
            vec![]
        } else {
            vec![naive_root(d)]
        };
    }
    let k = half(n);
    let (mut path, other) = if m <= k {
        (naive_consistency(m, &d[..k], complete), naive_root(&d[k..]))
    } else {
        (
            naive_consistency(m - k, &d[k..], false),
            naive_root(&d[..k]),
        )
    };
    path.push(other);
    path
}

/// Checks one size against the model, for the given leaves and older sizes.
fn check(tree: &Tree<Model>, size: u64, leaves: &[u64], olds: &[u64]) {
    let all = &tree.source().leaves[..size as usize];
    let root = tree.root(size).unwrap();
    assert_eq!(root, naive_root(all), "root of {size}");
    for &index in leaves {
        let path = tree.inclusion(index, size).unwrap();
        assert_eq!(path, naive_path(index as usize, all), "{index} of {size}");
        let leaf = leaf_of(index);
        assert_eq!(verify_inclusion(&leaf, index, size, &path, &root), Ok(()));
        let wrong = verify_inclusion(&leaf_of(index + 1), index, size, &path, &root);
        assert_eq!(wrong, Err(VerifyError::RootMismatch));
        let mut longer = path.clone();
        longer.push(root);
        let wrong = verify_inclusion(&leaf, index, size, &longer, &root);
        assert_eq!(wrong, Err(VerifyError::PathLength));
        if let Some((_, shorter)) = path.split_last() {
            let wrong = verify_inclusion(&leaf, index, size, shorter, &root);
            assert_eq!(wrong, Err(VerifyError::PathLength));
        }
    }
    for &old in olds {
        let path = tree.consistency(old, size).unwrap();
        assert_eq!(path, naive_consistency(old as usize, all, true));
        let old_root = tree.root(old).unwrap();
        assert_eq!(
            verify_consistency(old, &old_root, size, &root, &path),
            Ok(())
        );
        let other = leaf_of(u64::MAX);
        assert!(verify_consistency(old, &other, size, &root, &path).is_err());
        assert!(verify_consistency(old, &old_root, size, &other, &path).is_err());
        for flip in 0..path.len() {
            let mut changed = path.clone();
            changed[flip].0[7] ^= 1;
            assert!(verify_consistency(old, &old_root, size, &root, &changed).is_err());
        }
    }
}

/// INV-L23: every root and proof of every tree up to 70 leaves.
#[test]
fn all_small_trees_match_the_model() {
    let tree = Tree::new(Model::new(70).0);
    for size in 0..=70 {
        let leaves: Vec<u64> = (0..size).collect();
        let olds: Vec<u64> = (1..=size).collect();
        check(&tree, size, &leaves, &olds);
    }
}

/// Sizes around a cached node (2^16) and its neighbours.
#[test]
fn trees_above_the_cached_level_match_the_model() {
    let size = (1 << 16) + 300;
    let (model, frontier) = Model::new(size);
    let tree = Tree::new(model);
    assert_eq!(frontier.root(), tree.root(size).unwrap());
    for size in [65_535, 65_536, 65_537, 65_791, 65_792, 65_793, size] {
        check(
            &tree,
            size,
            &[0, 255, 256, 65_000, size - 1],
            &[1, 256, 65_535, size],
        );
    }
    tree.source().level8_reads.set(0);
    tree.root(size).unwrap();
    assert_eq!(
        tree.source().level8_reads.get(),
        1,
        "the first 65 536 leaves come from the cache"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// INV-L23 for random larger trees.
    #[test]
    fn random_trees_match_the_model(size in 71u64..2_000, leaf in any::<u64>(), old in any::<u64>()) {
        let tree = Tree::new(Model::new(size).0);
        check(&tree, size, &[leaf % size], &[1 + old % size]);
    }

    /// A frontier survives storage, and a rebuilt one equals the one that followed.
    #[test]
    fn frontiers_follow_the_tree(size in 0u64..1_500) {
        let (model, frontier) = Model::new(size);
        let tree = Tree::new(model);
        prop_assert_eq!(frontier.root(), tree.root(size).unwrap());
        prop_assert_eq!(&tree.frontier(size).unwrap(), &frontier);
        prop_assert_eq!(&Frontier::from_bytes(&frontier.to_bytes()).unwrap(), &frontier);
        let bytes = frontier.to_bytes();
        prop_assert!(Frontier::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}

#[test]
fn impossible_questions_are_refused() {
    let tree = Tree::new(Model::new(10).0);
    assert!(matches!(
        tree.inclusion(10, 10),
        Err(TreeError::NoSuchLeaf { .. })
    ));
    for (from, to) in [(0, 10), (7, 6)] {
        let refused = tree.consistency(from, to);
        assert!(matches!(refused, Err(TreeError::BadSizes { .. })));
        let root = leaf_of(0);
        assert_eq!(
            verify_consistency(from, &root, to, &root, &[]),
            Err(VerifyError::BadSizes { from, to })
        );
    }
    assert!(matches!(
        tree.root(MAX_LEAVES + 1),
        Err(TreeError::TooLarge { .. })
    ));
}
