//! Proof verifiers, written from RFC 9162 §2.1.3.2 and §2.1.4.2 and not from the prover: they
//! walk up from the leaf by the bits of the index, so that a mistake in the prover's
//! recursion cannot hide in a shared helper.

use super::hash::{Hash, node};

/// Why a proof does not show what it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The leaf is not in a tree of that size.
    #[error("leaf {leaf_index} does not exist in a tree of {size} leaves")]
    NoSuchLeaf {
        /// Index asked for, from 0.
        leaf_index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// The older tree is empty or larger than the newer one.
    #[error("no consistency proof leads from {from} to {to} leaves")]
    BadSizes {
        /// Leaves in the older tree.
        from: u64,
        /// Leaves in the newer tree.
        to: u64,
    },
    /// The path has too few or too many hashes for the sizes.
    #[error("the path has the wrong length")]
    PathLength,
    /// The path leads to another root of the (newer) tree.
    #[error("the path does not lead to the root")]
    RootMismatch,
    /// The path does not rebuild the older tree's root.
    #[error("the path does not rebuild the older root")]
    OldRootMismatch,
}

/// Checks that `leaf` is leaf `leaf_index` (from 0) of the tree of `size` leaves with `root`.
/// `path` is the audit path, leaf side first.
///
/// # Errors
/// [`VerifyError`] says what fails; nothing is proven then.
pub fn verify_inclusion(
    leaf: &Hash,
    leaf_index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), VerifyError> {
    if leaf_index >= size {
        return Err(VerifyError::NoSuchLeaf { leaf_index, size });
    }
    let (mut index, mut last) = (leaf_index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(VerifyError::PathLength);
        }
        if index & 1 == 1 || index == last {
            hash = node(sibling, &hash);
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        index >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(VerifyError::PathLength);
    }
    if hash == *root {
        Ok(())
    } else {
        Err(VerifyError::RootMismatch)
    }
}

/// Checks that the tree of `from` leaves with `old_root` is a prefix of the tree of `to`
/// leaves with `new_root`. Equal sizes need an empty path and equal roots.
///
/// # Errors
/// [`VerifyError`] says what fails; nothing is proven then. `from` = 0 is refused: the empty
/// tree is a prefix of everything and needs no proof.
pub fn verify_consistency(
    from: u64,
    old_root: &Hash,
    to: u64,
    new_root: &Hash,
    path: &[Hash],
) -> Result<(), VerifyError> {
    if from == 0 || from > to {
        return Err(VerifyError::BadSizes { from, to });
    }
    if from == to {
        return match (path.is_empty(), old_root == new_root) {
            (false, _) => Err(VerifyError::PathLength),
            (true, false) => Err(VerifyError::RootMismatch),
            (true, true) => Ok(()),
        };
    }
    let (mut old_at, mut new_at) = (from - 1, to - 1);
    while old_at & 1 == 1 {
        old_at >>= 1;
        new_at >>= 1;
    }
    let (start, rest) = if from.is_power_of_two() {
        (old_root, path)
    } else {
        path.split_first().ok_or(VerifyError::PathLength)?
    };
    let (mut old_hash, mut new_hash) = (*start, *start);
    for sibling in rest {
        if new_at == 0 {
            return Err(VerifyError::PathLength);
        }
        if old_at & 1 == 1 || old_at == new_at {
            old_hash = node(sibling, &old_hash);
            new_hash = node(sibling, &new_hash);
            while old_at & 1 == 0 && old_at != 0 {
                old_at >>= 1;
                new_at >>= 1;
            }
        } else {
            new_hash = node(&new_hash, sibling);
        }
        old_at >>= 1;
        new_at >>= 1;
    }
    if new_at != 0 {
        return Err(VerifyError::PathLength);
    }
    if old_hash != *old_root {
        return Err(VerifyError::OldRootMismatch);
    }
    if new_hash == *new_root {
        Ok(())
    } else {
        Err(VerifyError::RootMismatch)
    }
}
