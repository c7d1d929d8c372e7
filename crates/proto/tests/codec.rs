//! Every packet of every version there and back, and nothing else but a refusal for the rest.

mod harness;

use harness::entropy::Seeded;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_packet_comes_back_as_it_was(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        harness::made_packet(&bytes);
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        harness::any_bytes(&bytes);
    }
}

#[test]
fn a_long_run_of_made_and_damaged_packets_holds() {
    let mut seeded = Seeded::from_env();
    let mut bytes = Vec::new();
    for _ in 0..20_000 {
        let len = (seeded.next() % 120) as usize;
        seeded.fill(&mut bytes, len);
        harness::made_packet(&bytes);
    }
}

#[test]
fn a_long_run_of_random_bytes_holds() {
    let mut seeded = Seeded::from_env();
    let mut bytes = Vec::new();
    for _ in 0..200_000 {
        let len = (seeded.next() % 64) as usize;
        seeded.fill(&mut bytes, len);
        // A plausible first byte and length, so that most get past framing.
        if let [first, length, ..] = bytes.as_mut_slice() {
            *first = [0x10, 0x30, 0x32, 0x34, 0x40, 0x62, 0x82, 0x90, 0xA2, 0xE0, 0xF0, *first]
                [usize::from(*first) % 12];
            *length = u8::try_from(len - 2).unwrap();
        }
        harness::any_bytes(&bytes);
    }
}

#[test]
fn engines_stand_any_input() {
    let mut seeded = Seeded::from_env();
    let mut bytes = Vec::new();
    for _ in 0..5_000 {
        let len = (seeded.next() % 300) as usize;
        seeded.fill(&mut bytes, len);
        harness::session::server_input(&bytes);
        harness::session::client_input(&bytes);
    }
}
