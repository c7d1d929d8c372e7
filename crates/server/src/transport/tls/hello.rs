//! What a ClientHello says about the order of suites, told from its first bytes.

/// TLS_CHACHA20_POLY1305_SHA256 of 1.3, and those of 1.2 with ECDHE and RSA or ECDSA.
const CHACHA20: [u16; 3] = [0x1303, 0xCCA8, 0xCCA9];

/// The header of the record, that of the message, the version and what is random.
const BEFORE_SESSION: usize = 5 + 4 + 2 + 32;

/// Whether the client puts ChaCha20 first: it has no instructions for AES then, and is several times as fast
/// without. False if that cannot be told from these bytes.
pub(super) fn prefers_chacha20(bytes: &[u8]) -> bool {
    first_suite(bytes).is_some_and(|suite| CHACHA20.contains(&suite))
}

fn first_suite(bytes: &[u8]) -> Option<u16> {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    if bytes.first() != Some(&HANDSHAKE) || bytes.get(5) != Some(&CLIENT_HELLO) {
        return None;
    }
    let (session, rest) = bytes.get(BEFORE_SESSION..)?.split_first()?;
    let (length, rest) = rest.get(usize::from(*session)..)?.split_first_chunk()?;
    let suites = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    let mut suites = suites.chunks_exact(2).map(|suite| u16::from_be_bytes([suite[0], suite[1]]));
    suites.find(|suite| !is_grease(*suite))
}

/// Values without meaning that browsers put in front, so that servers do not forget to ignore what they do not
/// know (RFC 8701).
const fn is_grease(suite: u16) -> bool {
    suite & 0x0F0F == 0x0A0A && suite >> 8 == suite & 0xFF
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(session: &[u8], suites: &[u16]) -> Vec<u8> {
        let mut bytes = vec![22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
        bytes.extend([7; 32]);
        bytes.push(u8::try_from(session.len()).unwrap());
        bytes.extend(session);
        bytes.extend(u16::try_from(suites.len() * 2).unwrap().to_be_bytes());
        bytes.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
        bytes.extend([1, 0, 0, 0]);
        bytes
    }

    #[test]
    fn the_first_suite_that_means_something_counts() {
        let table: [(&[u16], bool); 7] = [
            (&[0x1303, 0x1301], true),
            (&[0xCCA9, 0xC02B], true),
            (&[0xCCA8], true),
            (&[0x0A0A, 0x1303, 0x1301], true),
            (&[0xFAFA, 0x1301, 0x1303], false),
            (&[0x1302, 0x1303, 0x1301], false),
            (&[], false),
        ];
        for session in [&[][..], &[9; 32]] {
            for (suites, expected) in table {
                assert_eq!(prefers_chacha20(&hello(session, suites)), expected, "{suites:04x?}");
            }
        }
    }

    #[test]
    fn beginnings_and_other_bytes_prefer_nothing() {
        let whole = hello(&[9; 32], &[0x1303, 0x1301]);
        let end = BEFORE_SESSION + 1 + 32 + 2 + 4;
        for length in 0..end {
            assert!(!prefers_chacha20(&whole[..length]), "{length}");
        }
        assert!(prefers_chacha20(&whole[..end]));
        for at in [0, 5] {
            let mut other = whole.clone();
            other[at] ^= 1;
            assert!(!prefers_chacha20(&other));
        }
        assert!(!prefers_chacha20(&[0xFF; 600]));
    }
}
