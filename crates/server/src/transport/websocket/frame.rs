//! Frames of WebSocket (RFC 6455, section 5), read from a stream in whatever pieces it comes.

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// The header of a frame of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) is_final: bool,
    pub(super) mask: [u8; 4],
    pub(super) length: u64,
}

/// The longest payload of a control frame.
pub(super) const CONTROL_LONGEST: u64 = 125;

/// The longest header of a client: two bytes, eight of length, four of the mask.
pub(super) const HEADER_LONGEST: usize = 14;

/// Reads the header at the start of `bytes`, and says how long it is; `None` if more are needed.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, &'static str> {
    let &[first, second, ..] = bytes else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err("reserved bits are set, and no extension was agreed on");
    }
    let opcode = opcode_of(first & 0x0F).ok_or("its opcode is reserved")?;
    if second & 0x80 == 0 {
        return Err("it is not masked, as frames of clients must be");
    }
    let is_final = first & 0x80 != 0;
    let (length, at) = match second & 0x7F {
        126 => {
            let Some(&length) = bytes.get(2..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            (u64::from(u16::from_be_bytes(length)), 4)
        }
        127 => {
            let Some(&length) = bytes.get(2..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            (u64::from_be_bytes(length), 10)
        }
        short => (u64::from(short), 2),
    };
    let shortest = match at {
        2 => 0,
        4 => 126,
        _ => 0x1_0000,
    };
    if length < shortest || length >> 63 != 0 {
        return Err("its length is not written in the shortest way");
    }
    if matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong)
        && (length > CONTROL_LONGEST || !is_final)
    {
        return Err("a control frame is longer than 125 bytes, or in parts");
    }
    let Some(&mask) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
    Ok(Some((Header { opcode, is_final, mask, length }, at + mask.len())))
}

/// A frame as most are: whole, binary and short. Its payload and mask, and what follows.
#[inline]
pub(super) fn short(bytes: &[u8]) -> Option<(&[u8], [u8; 4], &[u8])> {
    let &[0x82, second @ 0x80..=0xFD, a, b, c, d, ref rest @ ..] = bytes else { return None };
    let (payload, rest) = rest.split_at_checked(usize::from(second & 0x7F))?;
    Some((payload, [a, b, c, d], rest))
}

/// The same as [`unmask`] for a short payload from its begin on: all in a few large steps.
#[inline]
pub(super) fn unmask_short(payload: &[u8], [a, b, c, d]: [u8; 4], into: &mut Vec<u8>) {
    let mut clear = [0; CONTROL_LONGEST as usize + 3];
    clear[..payload.len()].copy_from_slice(payload);
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    for word in clear.as_chunks_mut::<8>().0 {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    into.extend_from_slice(&clear[..payload.len()]);
}

const fn opcode_of(nibble: u8) -> Option<Opcode> {
    Some(match nibble {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return None,
    })
}

/// Appends the header of a frame of ours: whole, and not masked.
pub(super) fn write_header(opcode: Opcode, length: usize, out: &mut Vec<u8>) {
    let nibble = match opcode {
        Opcode::Continuation => 0,
        Opcode::Text => 1,
        Opcode::Binary => 2,
        Opcode::Close => 8,
        Opcode::Ping => 9,
        Opcode::Pong => 10,
    };
    out.push(0x80 | nibble);
    match u16::try_from(length) {
        Ok(short @ ..126) => out.push(short as u8),
        Ok(medium) => {
            out.push(126);
            out.extend(medium.to_be_bytes());
        }
        Err(_) => {
            out.push(127);
            out.extend((length as u64).to_be_bytes());
        }
    }
}

/// Appends `payload` without its mask, whose byte `phase` is the first one to use.
///
/// In one pass by blocks: to copy first and to take the mask off in place takes twice as long.
pub(super) fn unmask(payload: &[u8], mask: [u8; 4], phase: usize, into: &mut Vec<u8>) {
    let [a, b, c, d]: [u8; 4] = core::array::from_fn(|at| mask[(phase + at) % 4]);
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    into.reserve(payload.len());
    let rest = unmask_blocks::<128>(payload, wide, into);
    let rest = unmask_blocks::<32>(rest, wide, into);
    let rest = unmask_blocks::<8>(rest, wide, into);
    into.extend(rest.iter().zip(wide.to_ne_bytes()).map(|(byte, mask)| byte ^ mask));
}

/// The whole blocks of `payload`; what is left of it is returned.
fn unmask_blocks<'a, const SIZE: usize>(
    payload: &'a [u8],
    wide: u64,
    into: &mut Vec<u8>,
) -> &'a [u8] {
    let (blocks, rest) = payload.as_chunks::<SIZE>();
    for block in blocks {
        let mut clear = *block;
        for word in clear.as_chunks_mut::<8>().0 {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        into.extend_from_slice(&clear);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_length_are_read_when_they_are_whole() {
        for (length, second) in [(0u64, 0u8), (125, 125), (126, 126), (65_535, 126), (65_536, 127)]
        {
            let mut bytes = vec![0x82, 0x80 | second];
            match second {
                126 => bytes.extend((length as u16).to_be_bytes()),
                127 => bytes.extend(length.to_be_bytes()),
                _ => {}
            }
            bytes.extend([1, 2, 3, 4]);
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end]), Ok(None));
            }
            let header =
                Header { opcode: Opcode::Binary, is_final: true, mask: [1, 2, 3, 4], length };
            assert_eq!(parse(&bytes), Ok(Some((header, bytes.len()))));
        }
    }

    #[test]
    fn short_frames_are_read_at_once_if_they_are_whole() {
        let clear: Vec<u8> = (1..=126).collect();
        for length in 0..126 {
            let mut bytes = vec![0x82, 0x80 | length as u8, 9, 8, 7, 6];
            unmask(&clear[..length], [9, 8, 7, 6], 0, &mut bytes);
            for end in 0..bytes.len() {
                assert_eq!(short(&bytes[..end]), None);
            }
            bytes.extend(*b"next");
            let (payload, mask, rest) = short(&bytes).expect("it is whole");
            let mut into = b"before".to_vec();
            unmask_short(payload, mask, &mut into);
            assert_eq!((&into[6..], rest), (&clear[..length], &b"next"[..]));
        }
        for header in [[0x02, 0x81], [0x82, 0x01], [0x81, 0x81], [0x82, 0xFE], [0xC2, 0x81]] {
            assert_eq!(short(&[header.to_vec(), vec![0; 200]].concat()), None, "{header:02x?}");
        }
    }

    #[test]
    fn headers_against_the_rules_are_refused() {
        let table: [&[u8]; 8] = [
            &[0xC2, 0x80, 0, 0, 0, 0],
            &[0x83, 0x80, 0, 0, 0, 0],
            &[0x82, 0x01],
            &[0x82, 0xFE, 0, 125, 0, 0, 0, 0],
            &[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0],
            &[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x89, 0xFE, 0, 126, 0, 0, 0, 0],
            &[0x09, 0x80, 0, 0, 0, 0],
        ];
        for bytes in table {
            assert!(parse(bytes).is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_mask_is_taken_off_wherever_the_payload_was_cut() {
        let mask = [0x11, 0x22, 0x44, 0x88];
        // Longer than the longest block, and of no round length.
        let clear: Vec<u8> = (0..203).collect();
        let masked: Vec<u8> =
            clear.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
        for cut in 0..masked.len() {
            let mut into = b"before".to_vec();
            unmask(&masked[..cut], mask, 0, &mut into);
            unmask(&masked[cut..], mask, cut % 4, &mut into);
            assert_eq!(&into[6..], clear);
        }
    }
}
