use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::{Connect, Publish, RawClient, Version};

use crate::support::{BROKEN, client, connect, unique};

fn aliased(topic: &str, payload: &str, alias: u16) -> Vec<u8> {
    let properties = Properties::new().two(property::TOPIC_ALIAS, alias);
    Publish::new(topic, payload).properties(properties).bytes(Version::V5)
}

// shows 5.0: MQTT-3.3.2-12
#[test]
fn every_alias_up_to_the_maximum_of_the_broker_is_accepted() {
    let topics: Vec<_> = (0..10).map(|_| unique("t")).collect();
    let mut subscriber = client(Version::V5);
    for topic in &topics {
        subscriber.subscribe(topic, 0);
    }
    let mut publisher = client(Version::V5);
    for (topic, alias) in topics.iter().zip(1..) {
        publisher.send(&aliased(topic, "named", alias));
    }
    for alias in 1..=10 {
        publisher.send(&aliased("", "by alias", alias));
    }
    for payload in ["named", "by alias"] {
        for topic in &topics {
            let came = subscriber.receive();
            assert_eq!((came.topic.as_str(), came.text().as_str()), (topic.as_str(), payload));
            assert_eq!(came.properties, Properties::new());
        }
    }
}

#[test]
fn an_alias_can_be_given_to_another_topic() {
    let (first, second) = (unique("t"), unique("t"));
    let mut subscriber = client(Version::V5);
    subscriber.subscribe(&first, 0);
    subscriber.subscribe(&second, 0);
    let mut publisher = client(Version::V5);
    for (topic, expected) in [(&first, &first), (&second, &second), (&String::new(), &second)] {
        publisher.send(&aliased(topic, "p", 3));
        assert_eq!(subscriber.receive().topic, *expected);
    }
}

// shows 5.0: MQTT-3.3.2-8, MQTT-3.3.2-9, MQTT-3.2.2-17
#[test]
fn an_alias_out_of_range_ends_the_connection() {
    for alias in [0, 11, u16::MAX] {
        let mut publisher = client(Version::V5);
        publisher.send(&aliased(&unique("t"), "p", alias));
        publisher.expect_disconnect(&[0x94]);
    }
}

// shows 5.0: MQTT-3.3.2-7
#[test]
fn aliases_end_with_their_connection() {
    let packet = Connect::persistent(Version::V5, &unique("c"));
    let (mut publisher, _) = connect(&packet);
    publisher.send(&aliased(&unique("t"), "p", 1));
    publisher.ping();
    publisher.disconnect();
    let (mut publisher, answer) = connect(&packet);
    assert!(answer.session_present);
    publisher.send(&aliased("", "p", 1));
    publisher.expect_disconnect(&[0x81, 0x82, 0x94]);
}

#[test]
fn no_topic_and_no_alias_ends_the_connection() {
    let mut publisher = client(Version::V5);
    publisher.send(&Publish::new("", "p").bytes(Version::V5));
    publisher.expect_disconnect(BROKEN);
}

/// Publishes to each topic several times; hands over the aliases that came with the messages.
fn aliases_used(subscriber: &mut RawClient, topics: &[String]) -> Vec<u32> {
    let mut publisher = client(Version::V5);
    for topic in topics {
        subscriber.subscribe(topic, 0);
    }
    let mut names = std::collections::BTreeMap::new();
    let mut used = Vec::new();
    for _ in 0..3 {
        for topic in topics {
            publisher.publish(topic, topic, 0);
            let came = subscriber.receive();
            let alias = came.properties.number(property::TOPIC_ALIAS);
            let name = if came.topic.is_empty() {
                names.get(&alias).cloned().expect("an alias is introduced before it stands alone")
            } else {
                names.insert(alias, came.topic.clone());
                came.topic.clone()
            };
            assert_eq!(came.text(), name);
            used.extend(alias);
        }
    }
    used
}

// shows 5.0: MQTT-3.1.2-26, MQTT-3.3.2-11
#[test]
fn the_broker_uses_no_alias_above_the_maximum_of_the_client() {
    let topics: Vec<_> = (0..5).map(|_| unique("t")).collect();
    let maximum = Properties::new().two(property::TOPIC_ALIAS_MAXIMUM, 2);
    let packet = Connect::new(Version::V5, &unique("c")).properties(maximum);
    let used = aliases_used(&mut connect(&packet).0, &topics);
    assert!(used.iter().all(|alias| (1..=2).contains(alias)), "{used:?}");
}

// shows 5.0: MQTT-3.1.2-27
#[test]
fn the_broker_uses_no_alias_where_the_client_allows_none() {
    let zero = Properties::new().two(property::TOPIC_ALIAS_MAXIMUM, 0);
    for properties in [Properties::new(), zero] {
        let packet = Connect::new(Version::V5, &unique("c")).properties(properties);
        assert_eq!(aliases_used(&mut connect(&packet).0, &[unique("t")]), Vec::<u32>::new());
    }
}
