//! Bodies shared by the tests here and by the fuzz targets in `fuzz/`: each takes bytes from
//! anywhere and panics if a promise is broken.

#![allow(dead_code, reason = "each user takes a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic is how a broken promise is reported")]

pub(crate) mod entropy;
pub(crate) mod generate;
pub(crate) mod session;

use dunlin_proto::codec::{self, Framing};
use dunlin_proto::packet::Packet;
use dunlin_proto::{PacketType, Version};
use entropy::Entropy;

/// Whatever the bytes are, they are taken or refused; and what is taken, and can be said in the
/// version, comes back the same.
pub(crate) fn any_bytes(bytes: &[u8]) {
    for version in Version::ALL {
        for maximum in [16, codec::MAX_PACKET_SIZE] {
            let Ok(Framing::Complete { len }) = codec::frame(bytes, maximum) else {
                continue;
            };
            assert!(len <= bytes.len() && len as u64 <= u64::from(maximum));
            if let Ok(packet) = codec::decode(&bytes[..len], version) {
                comes_back(&packet, version);
            }
        }
        // As a frame that was cut in the wrong place.
        codec::decode(bytes, version).ok();
    }
}

/// A packet that was made to be valid is encoded, framed and read back.
pub(crate) fn made_packet(bytes: &[u8]) {
    let mut entropy = Entropy::new(bytes);
    let version = entropy.pick(&Version::ALL);
    let packet_type = entropy.pick(&PacketType::ALL);
    if packet_type == PacketType::Auth && !version.is_v5() {
        return;
    }
    let parts = generate::parts(&mut entropy, packet_type, version);
    let packet = generate::packet(&mut entropy, packet_type, version, &parts);
    let encoded = comes_back(&packet, version);

    // Cut short anywhere, it is incomplete or (as a frame of its own) refused, and never read.
    let cut = entropy.below(encoded.len());
    match codec::frame(&encoded[..cut], codec::MAX_PACKET_SIZE) {
        Ok(Framing::Incomplete { need }) => assert!(need > cut && need <= encoded.len()),
        other => panic!("{packet:?} cut at {cut}: {other:?}"),
    }
    assert!(codec::decode(&encoded[..cut], version).is_err());

    // Damaged anywhere, it is still only taken or refused.
    let mut damaged = encoded;
    for _ in 0..=entropy.below(3) {
        entropy.damage(&mut damaged);
    }
    any_bytes(&damaged);
}

/// Encodes, checks the length that was promised, frames and decodes.
fn comes_back(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut encoded = vec![0xEE];
    codec::encode(packet, version, &mut encoded).unwrap();
    let encoded = encoded.split_off(1);
    assert_eq!(codec::encoded_len(packet, version), Ok(encoded.len()), "{packet:?}");
    assert_eq!(
        codec::frame(&encoded, codec::MAX_PACKET_SIZE),
        Ok(Framing::Complete { len: encoded.len() }),
        "{packet:?}"
    );
    assert_eq!(codec::decode(&encoded, version).as_ref(), Ok(packet), "{version}");
    if let Packet::Publish(publish) = packet {
        let mut head = vec![0xEE];
        let at =
            codec::encode_publish_head(publish, publish.payload.len(), version, &mut head).unwrap();
        assert_eq!(head[1..], encoded[..encoded.len() - publish.payload.len()]);
        let id = at.map(|at| u16::from_be_bytes([head[at], head[at + 1]]));
        assert_eq!(id, publish.delivery.packet_id().map(|id| id.get()));
    }
    encoded
}
