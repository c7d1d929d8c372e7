use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::{Publish, RawClient, Version};

use crate::support::{client, nothing_before_marker, unique};

fn retain(version: Version, topic: &str, payload: &str, qos: u8) {
    client(version).deliver(Publish::new(topic, payload).qos(qos, 0).retained());
    // A QoS 0 message is not answered, so its effect is waited for by what the next client sees.
    if qos == 0 {
        wait_for(version, topic, payload);
    }
}

fn wait_for(version: Version, topic: &str, payload: &str) {
    for _ in 0..100 {
        if retained(version, topic).is_some_and(|kept| kept.text() == payload) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{payload:?} was not retained on {topic}");
}

/// What a new subscriber to the topic gets.
fn retained(version: Version, topic: &str) -> Option<Publish> {
    let mut late = client(version);
    late.subscribe(topic, 2);
    let mut publisher = client(version);
    let marker = unique("marker");
    publisher.publish(topic, &marker, 0);
    let next = late.receive();
    (next.text() != marker).then_some(next)
}

// shows 3.1.1: MQTT-3.3.1-5, MQTT-3.3.1-6, MQTT-3.3.1-7, MQTT-3.3.1-8
// shows 5.0: MQTT-3.3.1-5, MQTT-3.3.1-9
#[test]
fn the_last_retained_message_greets_new_subscribers() {
    for version in Version::ALL {
        let topic = unique("t");
        for (payload, qos) in [("one", 1), ("two", 0), ("three", 2)] {
            retain(version, &topic, payload, qos);
            let kept = retained(version, &topic).expect("a message is retained");
            assert_eq!((kept.text().as_str(), kept.qos, kept.retain), (payload, qos, true));
        }
    }
}

// shows 3.1.1: MQTT-3.3.1-9
// shows 5.0: MQTT-3.3.1-12
#[test]
fn a_standing_subscription_gets_messages_without_retain() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 1);
        retain(version, &topic, "kept", 1);
        assert!(!subscriber.receive().retain);
    }
}

// shows 3.1.1: MQTT-3.3.1-10, MQTT-3.3.1-11
// shows 5.0: MQTT-3.3.1-6, MQTT-3.3.1-7
#[test]
fn an_empty_retained_message_is_delivered_and_removes() {
    for version in Version::ALL {
        let topic = unique("t");
        retain(version, &topic, "kept", 1);
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 1);
        assert_eq!(subscriber.receive().text(), "kept");
        retain(version, &topic, "", 1);
        let empty = subscriber.receive();
        assert_eq!((empty.text().as_str(), empty.retain), ("", false));
        assert_eq!(retained(version, &topic), None);
    }
}

// shows 3.1.1: MQTT-3.3.1-12
// shows 5.0: MQTT-3.3.1-8
#[test]
fn messages_without_retain_leave_the_retained_one_alone() {
    for version in Version::ALL {
        let topic = unique("t");
        client(version).publish(&topic, "passing", 1);
        assert_eq!(retained(version, &topic), None);
        retain(version, &topic, "kept", 1);
        client(version).publish(&topic, "passing", 1);
        client(version).publish(&topic, "", 1);
        let kept = retained(version, &topic).expect("a message is retained");
        assert_eq!(kept.text(), "kept");
    }
}

// shows 3.1.1: MQTT-3.1.2-7
#[test]
fn retained_messages_outlive_the_session_of_their_publisher() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut publisher = client(version);
        publisher.deliver(Publish::new(&topic, "kept").qos(1, 0).retained());
        publisher.disconnect();
        assert!(retained(version, &topic).is_some());
    }
}

#[test]
fn wildcards_match_retained_messages_of_several_topics() {
    for version in Version::ALL {
        let base = unique("t");
        for name in ["a", "b", "a/deep", ""] {
            let slash = if name.is_empty() { "" } else { "/" };
            retain(version, &format!("{base}{slash}{name}"), name, 1);
        }
        // An empty payload retains nothing, so the topic without a level has none.
        for (filter, mut expected) in
            [("#", vec!["a", "b", "a/deep"]), ("+", vec!["a", "b"]), ("+/deep", vec!["a/deep"])]
        {
            let mut late = client(version);
            late.subscribe(&format!("{base}/{filter}"), 1);
            let mut came: Vec<_> = expected.iter().map(|_| late.receive().text()).collect();
            came.sort_unstable();
            expected.sort_unstable();
            assert_eq!(came, expected);
            late.ping();
        }
    }
}

// shows 5.0: MQTT-3.3.1-10, MQTT-3.3.1-11
#[test]
fn retain_handling_decides_what_a_subscription_is_sent() {
    let topic = unique("t");
    retain(Version::V5, &topic, "kept", 1);
    let got = |subscriber: &mut RawClient, options: u8| {
        subscriber.subscribe(&topic, options);
        let marker = unique("marker");
        client(Version::V5).publish(&topic, &marker, 0);
        let first = subscriber.receive().text() != marker;
        if first {
            assert_eq!(subscriber.receive().text(), marker);
        }
        first
    };
    let mut subscriber = client(Version::V5);
    assert!(!got(&mut subscriber, 0x20), "2 sends none");
    assert!(!got(&mut subscriber, 0x10), "1 sends none again");
    assert!(got(&mut subscriber, 0x00), "0 sends always");
    assert!(got(&mut subscriber, 0x00), "0 sends always");
    assert!(got(&mut client(Version::V5), 0x10), "1 sends to a new subscription");
}

// shows 5.0: MQTT-3.3.1-13
#[test]
fn retain_as_published_keeps_the_flag() {
    let topic = unique("t");
    let mut subscriber = client(Version::V5);
    subscriber.subscribe(&topic, 0x08);
    let mut publisher = client(Version::V5);
    publisher.deliver(Publish::new(&topic, "p").retained());
    assert!(subscriber.receive().retain);
    publisher.deliver(Publish::new(&topic, "p"));
    assert!(!subscriber.receive().retain);
}

#[test]
fn a_retained_message_keeps_its_properties_and_expires() {
    let topic = unique("t");
    let properties = Properties::new()
        .four(property::MESSAGE_EXPIRY_INTERVAL, 4)
        .text(property::CONTENT_TYPE, "x")
        .user("a", "b");
    let mut publisher = client(Version::V5);
    publisher.deliver(Publish::new(&topic, "kept").qos(1, 0).retained().properties(properties));
    let mut early = client(Version::V5);
    early.subscribe(&topic, 0);
    let kept = early.receive();
    assert_eq!(kept.properties.string(property::CONTENT_TYPE), Some("x"));
    assert_eq!(kept.properties.user_properties(), [("a", "b")]);
    std::thread::sleep(std::time::Duration::from_millis(5200));
    let mut late = client(Version::V5);
    late.subscribe(&topic, 0);
    nothing_before_marker(&mut late, &mut publisher, &topic);
}
