//! Amounts, ids and metadata as they stand in JSON, written without going through the heap.

use florin_base::Signed;
use florin_ledger::model::{Asset, Metadata};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};
use serde_json::value::RawValue;
use uuid::fmt::Hyphenated;

/// Longest decimal: sign, 39 digits of 2^128 - 1, point, with room to spare.
const DECIMAL_MAX: usize = 48;

/// How money is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MoneyStyle {
    /// `"12.50"`.
    #[default]
    Text,
    /// `12.50`, profile `compat` (contract, section 0).
    Number,
}

/// An amount with the decimals of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// Minor units.
    pub minor: Signed,
    /// Decimals of the currency.
    pub scale: u8,
    /// How it is printed.
    pub style: MoneyStyle,
}

impl Money {
    /// An amount that is not negative.
    pub const fn positive(minor: u128, asset: &Asset, style: MoneyStyle) -> Self {
        Self::signed(Signed::difference(minor, 0), asset, style)
    }

    /// An amount of either sign.
    pub const fn signed(minor: Signed, asset: &Asset, style: MoneyStyle) -> Self {
        Self {
            minor,
            scale: asset.scale,
            style,
        }
    }
}

/// Writes the decimal to the end of `buffer` and returns it.
fn decimal(minor: Signed, scale: u8, buffer: &mut [u8; DECIMAL_MAX]) -> &str {
    let scale = usize::from(scale);
    let (mut rest, mut written, mut at) = (minor.magnitude, 0, DECIMAL_MAX);
    loop {
        // Division of 128-bit numbers is slow, and almost every amount fits 64 bits.
        let digit = match u64::try_from(rest) {
            Ok(narrow) => {
                rest = u128::from(narrow / 10);
                narrow % 10
            }
            Err(_) => {
                let digit = rest % 10;
                rest /= 10;
                digit as u64
            }
        };
        if written == scale && scale > 0 {
            at -= 1;
            buffer[at] = b'.';
        }
        at -= 1;
        buffer[at] = b'0' + digit as u8;
        written += 1;
        if rest == 0 && written > scale {
            break;
        }
    }
    if minor.negative {
        at -= 1;
        buffer[at] = b'-';
    }
    std::str::from_utf8(&buffer[at..]).expect("digits, point and sign are ASCII")
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0; DECIMAL_MAX];
        let text = decimal(self.minor, self.scale, &mut buffer);
        match self.style {
            MoneyStyle::Text => serializer.serialize_str(text),
            MoneyStyle::Number => RawValue::from_string(text.to_owned())
                .map_err(S::Error::custom)?
                .serialize(serializer),
        }
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(decimal(self.minor, self.scale, &mut [0; DECIMAL_MAX]))
    }
}

/// A UUID printed in its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(pub u128);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0; Hyphenated::LENGTH];
        let uuid = uuid::Uuid::from_u128(self.0).hyphenated();
        serializer.serialize_str(uuid.encode_lower(&mut buffer))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        uuid::Uuid::from_u128(self.0).hyphenated().fmt(f)
    }
}

/// Metadata as a JSON object.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a>(pub &'a Metadata);

impl<'a> Pairs<'a> {
    /// `None` for no pairs: members without a value are left out.
    pub fn some(metadata: &'a Metadata) -> Option<Self> {
        (!metadata.is_empty()).then_some(Self(metadata))
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.pairs().len()))?;
        for (key, value) in self.0.pairs() {
            map.serialize_entry(&**key, &**value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use florin_base::money::format_minor;

    use super::*;

    fn money(minor: Signed, scale: u8) -> Money {
        let style = MoneyStyle::Text;
        Money {
            minor,
            scale,
            style,
        }
    }

    #[test]
    fn decimals_agree_with_the_plain_way_of_writing_them() {
        let around_64_bits = u128::from(u64::MAX) - 1;
        for scale in [0, 1, 2, 8, 18, 30] {
            for magnitude in [0, 1, 9, 10, 99, 123_456, around_64_bits, around_64_bits + 3]
                .into_iter()
                .chain([u128::MAX / 10, u128::MAX])
            {
                let value = Signed::difference(magnitude, 0);
                let text = money(value, scale).to_string();
                assert_eq!(text, format_minor(magnitude, scale), "scale {scale}");
                let below = Signed::difference(0, magnitude);
                assert_eq!(money(below, scale).to_string(), below.to_decimal(scale));
            }
        }
    }

    #[test]
    fn style_decides_between_string_and_number() {
        let mut amount = money(Signed::difference(0, 1_050), 2);
        let json = |m: &Money| serde_json::to_string(m).expect("serialises");
        assert_eq!(json(&amount), r#""-10.50""#);
        amount.style = MoneyStyle::Number;
        assert_eq!(json(&amount), "-10.50");
    }
}
