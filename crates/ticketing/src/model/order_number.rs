//! Order numbers `XXXXX-XXXXX`: nine Crockford base32 characters from a keyed permutation of a
//! sequence, and a Luhn mod 32 check character (contract B3). Unique without retries, silent
//! about sales volume, and a typing error is caught.

use ring::hmac;

/// Crockford's alphabet.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters before the check character.
const BODY: usize = 9;

/// Sequence numbers are below this: nine characters of five bits.
pub const SEQUENCE_END: u64 = 1 << 45;

/// Bits of one half of the permutation's block, which is one bit wider than the number.
const HALF: u32 = 23;
const MASK: u64 = (1 << HALF) - 1;
const ROUNDS: u8 = 8;

/// Not an order number: wrong length, wrong characters, or a wrong check character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an order number")]
pub struct NotANumber;

/// Makes order numbers; all processes of an installation share its key.
#[derive(Clone)]
pub struct OrderNumbers(hmac::Key);

impl OrderNumbers {
    /// With a key that never changes during an installation's life.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The number of a place in the sequence (below [`SEQUENCE_END`]), with its hyphen.
    pub fn number(&self, sequence: u64) -> String {
        let mut value = self.permute(sequence);
        // The block is one bit wider than the numbers: walk until the value is one of them.
        while value >= SEQUENCE_END {
            value = self.permute(value);
        }
        let mut text = [0u8; BODY];
        for (index, character) in text.iter_mut().enumerate() {
            let shift = 5 * (BODY - 1 - index);
            *character = ALPHABET[((value >> shift) & 31) as usize];
        }
        let body = text.map(char::from);
        let check = check_character(&text);
        let (front, back) = body.split_at(5);
        let mut number: String = front.iter().collect();
        number.push('-');
        number.extend(back);
        number.push(check);
        number
    }

    /// A balanced Feistel network: a permutation whatever the round function.
    fn permute(&self, value: u64) -> u64 {
        let (mut left, mut right) = ((value >> HALF) & MASK, value & MASK);
        for round in 0..ROUNDS {
            let mut message = [round; 9];
            message[1..].copy_from_slice(&right.to_be_bytes());
            let tag = hmac::sign(&self.0, &message);
            let mut word = [0u8; 8];
            word.copy_from_slice(&tag.as_ref()[..8]);
            (left, right) = (right, left ^ (u64::from_be_bytes(word) & MASK));
        }
        (left << HALF) | right
    }
}

/// The canonical form of a number as people write it: any case, with or without hyphen, O for 0,
/// I and L for 1.
///
/// # Errors
/// [`NotANumber`].
pub fn read(text: &str) -> Result<String, NotANumber> {
    let mut body = Vec::with_capacity(BODY + 1);
    for character in text.trim().chars().filter(|c| *c != '-') {
        let upper = match character.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let byte = u8::try_from(upper).map_err(|_| NotANumber)?;
        if !ALPHABET.contains(&byte) || body.len() > BODY {
            return Err(NotANumber);
        }
        body.push(byte);
    }
    let Some((check, front)) = body.split_last().filter(|(_, front)| front.len() == BODY) else {
        return Err(NotANumber);
    };
    if check_character(front) != char::from(*check) {
        return Err(NotANumber);
    }
    let mut number: String = front.iter().copied().map(char::from).collect();
    number.insert(5, '-');
    number.push(char::from(*check));
    Ok(number)
}

/// Luhn mod N over the alphabet.
fn check_character(body: &[u8]) -> char {
    let sum: usize = body
        .iter()
        .rev()
        .enumerate()
        .map(|(place, character)| {
            let value = ALPHABET.iter().position(|c| c == character).unwrap_or(0);
            let factor = if place % 2 == 0 { 2 } else { 1 };
            let product = value * factor;
            product / 32 + product % 32
        })
        .sum();
    char::from(ALPHABET[(32 - sum % 32) % 32])
}

/// The number of the nth ticket of an order, from 1: `{order}-01` to `{order}-100`.
pub fn ticket_number(order: &str, nth: usize) -> String {
    format!("{order}-{nth:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_contract_s_example_is_well_formed() {
        assert_eq!(read("7K3QD-9M2XS").as_deref(), Ok("7K3QD-9M2XS"));
    }

    #[test]
    fn every_place_has_its_own_number_and_reads_back() {
        let numbers = OrderNumbers::new(&[7; 32]);
        let mut seen = BTreeSet::new();
        for sequence in (0..5_000).chain(SEQUENCE_END - 5_000..SEQUENCE_END) {
            let number = numbers.number(sequence);
            assert_eq!(number.len(), 11);
            assert_eq!(read(&number).as_deref(), Ok(&*number));
            assert!(seen.insert(number), "place {sequence}");
        }
        let other = OrderNumbers::new(&[8; 32]);
        assert_ne!(numbers.number(1), other.number(1));
        assert_eq!(numbers.number(1), numbers.number(1));
    }

    #[test]
    fn people_s_ways_of_writing_are_read() {
        let number = "7K3QD-9M2XS";
        for text in ["7k3qd9m2xs", " 7K3QD-9M2XS ", "7-K-3-Q-D-9-M-2-X-S"] {
            assert_eq!(read(text).as_deref(), Ok(number), "{text}");
        }
        let numbers = OrderNumbers::new(&[1; 32]);
        let with_both = (0..)
            .map(|n| numbers.number(n))
            .find(|n| n.contains('0') && n.contains('1'));
        let with_both = with_both.expect("soon");
        let typed = with_both.replace('0', "o").replace('1', "l");
        assert_eq!(read(&typed).as_deref(), Ok(&*with_both));
    }

    #[test]
    fn one_wrong_character_and_one_swap_are_caught() {
        let numbers = OrderNumbers::new(&[3; 32]);
        for sequence in 0..40 {
            let number = numbers.number(sequence);
            let plain: Vec<u8> = number.bytes().filter(|b| *b != b'-').collect();
            for place in 0..plain.len() {
                for other in ALPHABET.iter().filter(|c| **c != plain[place]) {
                    let mut wrong = plain.clone();
                    wrong[place] = *other;
                    let text = String::from_utf8(wrong).expect("ascii");
                    assert_eq!(read(&text), Err(NotANumber), "{number} {text}");
                }
            }
        }
        for bad in [
            "",
            "7K3QD-9M2X",
            "7K3QD-9M2XSS",
            "7K3QD-9M2XU",
            "7K3QD-9M2X\u{e9}",
        ] {
            assert_eq!(read(bad), Err(NotANumber), "{bad}");
        }
    }

    #[test]
    fn tickets_are_numbered_from_01_to_100() {
        assert_eq!(ticket_number("7K3QD-9M2XS", 1), "7K3QD-9M2XS-01");
        assert_eq!(ticket_number("7K3QD-9M2XS", 100), "7K3QD-9M2XS-100");
    }
}
