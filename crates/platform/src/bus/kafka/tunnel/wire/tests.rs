//! Messages made by hand, byte by byte, as the protocol describes them.

use super::*;

fn moved(host: &str, port: i32) -> io::Result<(String, i32)> {
    assert_ne!(host, "");
    Ok((format!("own-{host}"), port + 1))
}

fn call(key: i16, version: i16) -> Call {
    Call {
        key,
        version,
        correlation: 7,
    }
}

fn broker_bytes(out: &mut Vec<u8>, id: i32, host: &str, port: i32) {
    out.extend(id.to_be_bytes());
    put_text(out, host);
    out.extend(port.to_be_bytes());
}

#[test]
fn calls_are_read_and_written() {
    let written = call(SASL_HANDSHAKE, 1).write(b"body");
    assert_eq!(written, b"\0\x11\0\x01\0\0\0\x07\0\x06florinbody");
    assert_eq!(
        Call::read(&written).expect("a call"),
        call(SASL_HANDSHAKE, 1)
    );
    assert!(Call::read(&written[..7]).is_err());
}

#[test]
fn brokers_of_metadata_get_their_own_addresses_in_every_version() {
    for version in 0..=8 {
        let answer = |host: &str, port: i32| {
            let mut bytes = Vec::new();
            if version >= 3 {
                bytes.extend(5_i32.to_be_bytes());
            }
            bytes.extend(2_i32.to_be_bytes());
            for id in [1, 2] {
                broker_bytes(&mut bytes, id, &format!("{host}{id}"), port);
                match (version, id) {
                    (0, _) => {}
                    (_, 1) => put_text(&mut bytes, "rack"),
                    _ => bytes.extend((-1_i16).to_be_bytes()),
                }
            }
            bytes.extend(b"topics and the rest");
            bytes
        };
        let changed = call(METADATA, version).change(&answer("b-", 9096), &mut moved);
        assert_eq!(changed.expect("known"), answer("own-b-", 9097), "{version}");
    }
    let refused = call(METADATA, 9).change(&[0; 64], &mut moved);
    assert!(refused.is_err(), "a form that is not understood");
}

#[test]
fn coordinators_get_their_own_addresses_and_absent_ones_none() {
    for version in 0..=2 {
        let answer = |host: &str, port: i32| {
            let mut bytes = Vec::new();
            if version >= 1 {
                bytes.extend(5_i32.to_be_bytes());
            }
            bytes.extend(0_i16.to_be_bytes());
            if version >= 1 {
                put_text(&mut bytes, "words");
            }
            broker_bytes(&mut bytes, 3, host, port);
            bytes
        };
        let changed = call(FIND_COORDINATOR, version).change(&answer("b", 9096), &mut moved);
        assert_eq!(changed.expect("known"), answer("own-b", 9097), "{version}");
        let absent = call(FIND_COORDINATOR, version).change(&answer("", -1), &mut moved);
        assert_eq!(absent.expect("known"), answer("", -1), "{version}");
    }
    assert!(
        call(FIND_COORDINATOR, 3)
            .change(&[0; 64], &mut moved)
            .is_err()
    );
}

/// Key, lowest and highest version.
fn offers(version: i16, offers: &[(i16, i16, i16)]) -> Vec<u8> {
    let mut bytes = 0_i16.to_be_bytes().to_vec();
    let count = offers.len();
    match version >= 3 {
        true => put_varint(&mut bytes, u32::try_from(count).expect("few") + 1),
        false => bytes.extend(i32::try_from(count).expect("few").to_be_bytes()),
    }
    for (key, min, max) in offers {
        for number in [key, min, max] {
            bytes.extend(number.to_be_bytes());
        }
        if version >= 3 {
            // No tags.
            bytes.push(0);
        }
    }
    bytes.extend(b"what follows");
    bytes
}

#[test]
fn versions_are_held_at_those_that_are_understood() {
    let all = [
        (0, 3, 12),
        (1, 4, 17),
        (2, 1, 10),
        (METADATA, 0, 13),
        (FIND_COORDINATOR, 0, 6),
        (SASL_HANDSHAKE, 1, 1),
        (API_VERSIONS, 0, 4),
        (SASL_AUTHENTICATE, 0, 2),
        (DESCRIBE_CLUSTER, 0, 2),
    ];
    let shown = [
        (0, 3, 9),
        (1, 4, 12),
        (2, 1, 10),
        (METADATA, 0, 8),
        (FIND_COORDINATOR, 0, 2),
        (API_VERSIONS, 0, 4),
        (SASL_HANDSHAKE, 0, 1),
        (SASL_AUTHENTICATE, 0, 1),
    ];
    for version in [0, 2, 3, 4] {
        let changed = call(API_VERSIONS, version).change(&offers(version, &all), &mut moved);
        assert_eq!(
            changed.expect("known"),
            offers(version, &shown),
            "{version}"
        );
    }
    // A broker that speaks no form of Metadata that is understood offers none.
    let strange = offers(0, &[(METADATA, 9, 13)]);
    let changed = call(API_VERSIONS, 0).change(&strange, &mut moved);
    let own = [(SASL_HANDSHAKE, 0, 1), (SASL_AUTHENTICATE, 0, 1)];
    assert_eq!(changed.expect("known"), offers(0, &own));
}

#[test]
fn a_version_that_the_broker_does_not_know_is_told_on() {
    let refusal = b"\0\x23whatever stands there";
    let told = call(API_VERSIONS, 4).change(refusal, &mut moved);
    assert_eq!(told.expect("told"), refusal);
}

#[test]
fn damaged_answers_are_refused() {
    let whole = offers(3, &[(METADATA, 0, 13), (0, 3, 9)]);
    // Two bytes more than the error's: the count and a beginning.
    for length in 2..9 {
        let cut = call(API_VERSIONS, 3).change(&whole[..length], &mut moved);
        assert!(cut.is_err(), "{length}");
    }
    let mut many = Vec::new();
    many.extend(i32::MAX.to_be_bytes());
    assert!(call(METADATA, 0).change(&many, &mut moved).is_err());
}
