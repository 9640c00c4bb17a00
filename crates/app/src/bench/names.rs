//! Names of what a measurement makes: the same in every run, so that a data directory that was
//! set up once can be used again.

use florin_ledger::model::write_uuid;

use super::pick::mix;

/// Currency of everything.
pub const ASSET: &str = "BRL";
/// Pays everybody's first money.
pub const TREASURY: &str = "bench-treasury";
/// Minor units that every account starts with.
pub const FUNDS_MINOR: u64 = 10_000_000_000;

/// Id of a wallet: spread like random ones, a UUIDv7 by its marks.
pub fn wallet(number: u64) -> u128 {
    let random = u128::from(mix(number)) << 64 | u128::from(mix(!number));
    let marks = (0xf << 76) | (0x3 << 62);
    (random & !marks) | (0x7 << 76) | (0x2 << 62)
}

/// Appends the text of a wallet's id.
pub fn put_wallet(number: u64, out: &mut Vec<u8>) {
    write_uuid(wallet(number), out);
}

/// Appends the id of a ledger account.
pub fn put_account(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"bench-");
    put_padded(number, 8, out);
}

/// Appends a number with zeros in front.
pub fn put_padded(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_well_formed_and_differ() {
        let text = |number| {
            let mut out = Vec::new();
            put_wallet(number, &mut out);
            String::from_utf8(out).expect("ASCII")
        };
        let id = text(1);
        assert_eq!((id.len(), &id[14..15], &id[19..20]), (36, "7", &id[19..20]));
        assert!("89ab".contains(&id[19..20]) && id != text(2), "{id}");
        let mut out = Vec::new();
        put_account(42, &mut out);
        assert_eq!(out, b"bench-00000042");
    }
}
