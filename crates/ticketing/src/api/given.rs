//! Members of a PATCH: left out, null, or a value.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A member as it was sent. Needs `#[serde(default)]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Given<T> {
    /// It was left out: nothing changes.
    #[default]
    Left,
    /// `null`: the default, or nothing.
    Null,
    /// A value.
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::<T>::deserialize(deserializer)? {
            None => Self::Null,
            Some(value) => Self::Value(value),
        })
    }
}

/// Only for the defaults in the OpenAPI file.
impl<T: Serialize> Serialize for Given<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Left | Self::Null => serializer.serialize_none(),
            Self::Value(value) => value.serialize(serializer),
        }
    }
}

impl<T> Given<T> {
    /// Puts the value, or the default for null, in its place.
    pub fn over(self, place: &mut T, default: T) {
        match self {
            Self::Left => {}
            Self::Null => *place = default,
            Self::Value(value) => *place = value,
        }
    }

    /// Puts the value, or nothing for null, in its place.
    pub fn over_option(self, place: &mut Option<T>) {
        match self {
            Self::Left => {}
            Self::Null => *place = None,
            Self::Value(value) => *place = Some(value),
        }
    }

    /// Another type inside.
    ///
    /// # Errors
    /// What the conversion says.
    pub fn try_map<U, E>(self, convert: impl FnOnce(T) -> Result<U, E>) -> Result<Given<U>, E> {
        Ok(match self {
            Self::Left => Given::Left,
            Self::Null => Given::Null,
            Self::Value(value) => Given::Value(convert(value)?),
        })
    }
}
