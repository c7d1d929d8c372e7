//! The windows of QoS 1 and 2.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use dunlin_proto::window::{Accepted, Inbound, Outbound, Received, Resend};
use dunlin_proto::{PacketId, QoS};

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn resends(window: &Outbound<u32>) -> Vec<(u16, Option<u32>)> {
    let entry = |(id, resend): (PacketId, Resend<&u32>)| match resend {
        Resend::Publish { message, .. } => (id.get(), Some(*message)),
        Resend::Release => (id.get(), None),
    };
    window.iter_resend().map(entry).collect()
}

#[test]
fn an_empty_window_is_small() {
    assert!(size_of::<Outbound<u64>>() <= 48);
    assert!(size_of::<Inbound<u64>>() <= 24);
}

#[test]
fn identifiers_go_round_and_leave_out_zero() {
    let mut window = Outbound::new();
    for expected in (1..=u16::MAX).chain(1..=10) {
        let packet_id = window.send(QoS::AtLeastOnce, ());
        assert_eq!(packet_id, id(expected));
        assert_eq!(window.acknowledge(packet_id), Some(()));
    }
    assert!(window.is_empty());
}

#[test]
fn acknowledgements_come_in_any_order() {
    let mut window = Outbound::starting_at(id(65_534));
    let ids: Vec<_> = (0..5).map(|message| window.send(QoS::AtLeastOnce, message)).collect();
    assert_eq!(ids.iter().map(|id| id.get()).collect::<Vec<_>>(), [65_534, 65_535, 1, 2, 3]);
    assert_eq!(window.acknowledge(ids[3]), Some(3));
    assert_eq!(window.acknowledge(ids[3]), None);
    assert_eq!(window.acknowledge(ids[0]), Some(0));
    assert_eq!(window.in_flight(), 3);
    assert_eq!(resends(&window), [(65_535, Some(1)), (1, Some(2)), (3, Some(4))]);
    assert_eq!(window.acknowledge(ids[1]), Some(1));
    assert_eq!(window.acknowledge(ids[2]), Some(2));
    assert_eq!(window.acknowledge(ids[4]), Some(4));
    assert!(window.is_empty());
    assert_eq!(window.next_packet_id(), id(4));
}

#[test]
fn an_identifier_can_be_left_out_and_that_never_stops_what_can_be_sent() {
    let mut window = Outbound::starting_at(id(65_535));
    window.skip();
    let first = window.send(QoS::AtLeastOnce, 0);
    window.skip();
    let second = window.send(QoS::ExactlyOnce, 1);
    assert_eq!([first, second], [id(1), id(3)]);
    assert_eq!((window.in_flight(), window.acknowledge(id(2))), (2, None));
    assert_eq!(resends(&window), [(1, Some(0)), (3, Some(1))]);
    for _ in 0..100_000 {
        window.skip();
        assert!(window.can_send(3));
    }
    assert_eq!(window.acknowledge(first), Some(0));
    assert_eq!(window.refused(second), Some(1));
    assert!(window.is_empty());
    // While it is sent again, nothing new has a place.
    window.send(QoS::AtLeastOnce, 2);
    window.restart();
    let next = window.next_packet_id();
    window.skip();
    assert_eq!(window.next_packet_id(), next);
}

#[test]
fn each_quality_ends_by_its_own_acknowledgements() {
    let mut window = Outbound::new();
    let once = window.send(QoS::ExactlyOnce, 7);
    let least = window.send(QoS::AtLeastOnce, 8);
    assert_eq!(window.acknowledge(once), None);
    assert!(!window.completed(once));
    assert_eq!(window.received(least), Received::Unknown);
    assert_eq!(window.received(once), Received::First(7));
    assert_eq!(window.received(once), Received::Again);
    assert_eq!(window.refused(once), None);
    assert_eq!(window.get(once), Some(Resend::Release));
    assert_eq!(resends(&window), [(1, None), (2, Some(8))]);
    assert!(window.completed(once));
    assert!(!window.completed(once));
    assert_eq!(window.received(once), Received::Unknown);
    let refused = window.send(QoS::ExactlyOnce, 9);
    assert_eq!(window.refused(refused), Some(9));
    assert_eq!(window.in_flight(), 1);
}

#[test]
fn the_receive_maximum_and_the_span_bound_what_is_sent() {
    let mut window = Outbound::new();
    assert!(!window.can_send(0));
    let first = window.send(QoS::AtLeastOnce, ());
    assert!(!window.can_send(1));
    assert!(window.can_send(2));
    // One that is never acknowledged holds back all but a bounded number behind it.
    let mut sent = 1;
    while window.can_send(2) {
        let packet_id = window.send(QoS::AtLeastOnce, ());
        window.acknowledge(packet_id);
        sent += 1;
    }
    assert_eq!(sent, 256);
    assert_eq!(window.acknowledge(first), Some(()));
    assert!(window.is_empty() && window.can_send(2));
}

#[test]
fn a_new_connection_sends_again_no_more_than_its_receive_maximum() {
    let mut window = Outbound::new();
    for message in 0..4_u32 {
        window.send(QoS::ExactlyOnce, message);
    }
    assert_eq!(window.received(id(1)), Received::First(0));
    window.restart();
    assert!(!window.can_send(100), "what is old goes first");
    let next = |window: &mut Outbound<u32>| window.next_resend(2).map(|(id, _)| id.get());
    assert_eq!(next(&mut window), Some(1));
    assert_eq!(next(&mut window), Some(2));
    assert_eq!(next(&mut window), None);
    assert!(window.completed(id(1)));
    assert_eq!(next(&mut window), Some(3));
    assert_eq!(next(&mut window), None);
    assert_eq!(window.refused(id(2)), Some(1));
    assert_eq!(next(&mut window), Some(4));
    assert_eq!(next(&mut window), None);
    assert!(!window.can_send(2));
    assert!(window.can_send(3));
}

#[test]
fn a_late_answer_to_what_was_not_sent_again_frees_nothing() {
    let mut window = Outbound::new();
    for message in 0..4_u32 {
        window.send(QoS::AtLeastOnce, message);
    }
    window.restart();
    assert!(window.next_resend(2).is_some() && window.next_resend(2).is_some());
    assert_eq!(window.acknowledge(id(4)), Some(3));
    assert_eq!(window.next_resend(2), None);
    assert_eq!(window.acknowledge(id(1)), Some(0));
    assert_eq!(window.next_resend(2).map(|(id, _)| id), Some(id(3)));
}

#[test]
fn requests_share_identifiers_but_not_the_receive_maximum() {
    let mut window = Outbound::new();
    let request = window.request("subscribe");
    let publish = window.send(QoS::AtLeastOnce, "publish");
    assert_eq!((request.get(), publish.get(), window.in_flight()), (1, 2, 1));
    assert_eq!(window.acknowledge(request), None);
    assert_eq!(window.answered(publish), None);
    assert_eq!(window.iter_resend().count(), 1);
    window.restart();
    let mut unanswered = Vec::new();
    window.take_requests(|id, request| unanswered.push((id.get(), request)));
    assert_eq!(unanswered, [(1, "subscribe")]);
    assert_eq!(window.answered(request), None);
    assert_eq!(window.next_resend(1).map(|(id, _)| id), Some(publish));
}

#[test]
fn a_stored_window_comes_back_with_its_gaps() {
    let mut window = Outbound::starting_at(id(65_530));
    for message in 0..20 {
        window.send(QoS::ExactlyOnce, message);
    }
    for number in [65_530, 65_533, 1, 2, 7] {
        window.refused(id(number));
    }
    window.received(id(65_535));
    let mut restored = Outbound::new();
    for (packet_id, resend) in window.iter_resend() {
        let resend = match resend {
            Resend::Publish { qos, message } => Resend::Publish { qos, message: *message },
            Resend::Release => Resend::Release,
        };
        assert!(restored.restore(packet_id, resend));
    }
    assert_eq!(resends(&restored), resends(&window));
    assert_eq!(restored.next_packet_id(), window.next_packet_id());
    assert_eq!(restored.in_flight(), window.in_flight());
    assert!(!restored.restore(id(65_531), Resend::Release), "not behind the others");
}

#[test]
fn a_repeated_qos_2_publish_is_known_until_it_is_released() {
    let mut inbound = Inbound::new();
    assert_eq!(inbound.accept(id(5), "first"), Accepted::New);
    assert_eq!(inbound.accept(id(5), "again"), Accepted::Duplicate);
    assert_eq!(inbound.len(), 1);
    assert_eq!(inbound.release(id(5)), Some("first"));
    assert_eq!(inbound.release(id(5)), None);
    assert_eq!(inbound.accept(id(5), "another"), Accepted::New);
    assert_eq!(inbound.packet_ids().collect::<Vec<_>>(), [id(5)]);
}
