//! Text that is short nearly always, kept in place: account ids are made, compared and dropped
//! with every transfer, and each would be an allocation and a cache miss.

use std::{cmp::Ordering, fmt, hash, ops::Deref};

/// Bytes that fit without an allocation.
const SHORT: usize = 30;

#[derive(Clone)]
enum Kept {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

/// A string; compares, sorts and hashes by its bytes.
#[derive(Clone)]
pub struct Name(Kept);

impl Name {
    /// Its bytes, which are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Short(length, bytes) => &bytes[..usize::from(*length)],
            Kept::Long(text) => text.as_bytes(),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kept::Short(..) => {
                std::str::from_utf8(self.as_bytes()).expect("made from a whole string")
            }
            Kept::Long(text) => text,
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..text.len()) {
            Some(start) => {
                start.copy_from_slice(text.as_bytes());
                Self(Kept::Short(text.len() as u8, bytes))
            }
            None => Self(Kept::Long(text.into())),
        }
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl hash::Hash for Name {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Ok(Self::from(&*text))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AccountId;

    #[test]
    fn names_of_every_length_come_back_and_sort_as_text() {
        let texts: Vec<String> = (0..130)
            .flat_map(|length| ["a", "é"].map(|c| c.repeat(length)))
            .collect();
        for one in &texts {
            let name = Name::from(one.as_str());
            assert_eq!(name.as_str(), one);
            for other in &texts {
                let other_name = Name::from(other.as_str());
                assert_eq!(name.cmp(&other_name), one.cmp(other));
                assert_eq!(name == other_name, one == other);
            }
        }
    }

    #[test]
    fn an_account_id_stays_as_small_as_a_wallet_id_allows() {
        assert_eq!(std::mem::size_of::<AccountId>(), 32);
    }
}
