//! Names of members and codes across the link between two processes: the set is small and fixed,
//! so each is kept once for the life of the process.

use std::{borrow::Cow, collections::HashSet};

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// More different words than this process has names for.
const WORDS_MAX: usize = 1_024;
/// Longest word.
const WORD_BYTES_MAX: usize = 64;

/// A word of this version. By this name serde does not take it for text borrowed from its input.
pub type Word = &'static str;

static WORDS: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// The one copy of a word; `None` when that cannot be one of ours.
fn keep(word: &str) -> Option<&'static str> {
    let mut words = WORDS.lock();
    let words = words.get_or_insert_default();
    if let Some(known) = words.get(word) {
        return Some(known);
    }
    if words.len() >= WORDS_MAX || word.len() > WORD_BYTES_MAX {
        return None;
    }
    let kept: &'static str = Box::leak(Box::from(word));
    words.insert(kept);
    Some(kept)
}

pub(super) fn serialize<S: Serializer>(word: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<&'static str, D::Error> {
    let word = <Cow<'de, str>>::deserialize(deserializer)?;
    known(&word)
}

fn known<E: Error>(word: &str) -> Result<&'static str, E> {
    keep(word).ok_or_else(|| E::custom("not a word of this version"))
}

/// A word that may be absent.
pub(super) mod maybe {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::call) fn serialize<S: Serializer>(
        word: &Option<&'static str>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        word.serialize(serializer)
    }

    pub(in crate::call) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<&'static str>, D::Error> {
        let word = <Option<String>>::deserialize(deserializer)?;
        word.map(|word| super::known(&word)).transpose()
    }
}

/// A result code with the member at fault.
pub(super) mod fault {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::codes::ResultCode;

    pub(in crate::call) fn serialize<S: Serializer>(
        fault: &Option<(ResultCode, &'static str)>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        fault.serialize(serializer)
    }

    pub(in crate::call) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<(ResultCode, &'static str)>, D::Error> {
        let fault = <Option<(ResultCode, String)>>::deserialize(deserializer)?;
        let known = |(code, word): (_, String)| super::known(&word).map(|word| (code, word));
        fault.map(known).transpose()
    }
}
