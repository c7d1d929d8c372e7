use dunlin_testkit::request::subscribe;
use dunlin_testkit::{Event, Packet, Publish, Version};

use crate::support::{client, nothing_before_marker, unique};

/// Filter, topics it matches, topics it does not; `@` stands for a level nobody else uses.
const MATCHES: &[(&str, &[&str], &[&str])] = &[
    ("@/a", &["@/a"], &["@", "@/A", "@/a/", "/@/a", "@/a/b", "@//a", "@/aa"]),
    ("@/#", &["@", "@/", "@/a", "@/a/b", "@//", "@/$x"], &["@a", "/@", "/@/a"]),
    ("@/+", &["@/", "@/a", "@/ ", "@/$x"], &["@", "@/a/b", "@/a/", "@//"]),
    ("@/+/+", &["@//", "@/a/", "@/a/b"], &["@/", "@/a", "@/a/b/c"]),
    ("@/+/b/#", &["@/a/b", "@/a/b/c/d", "@//b"], &["@/b", "@/a/c"]),
    ("/@", &["/@"], &["@", "@/", "//@"]),
    ("+/@", &["/@", "a/@"], &["@", "a/b/@", "$a/@", "$SYS/@"]),
    ("/+/@", &["/a/@", "//@"], &["a/@", "/@", "a/b/@"]),
    ("$a/@/+", &["$a/@/x"], &["a/@/x", "$a/@"]),
    ("@/é/☃", &["@/é/☃"], &["@/e\u{301}/☃", "@/É/☃", "@/é"]),
    ("@/a b", &["@/a b"], &["@/a  b", "@/a b ", "@/ab", "@/a%20b"]),
    ("@/.", &["@/."], &["@", "@/./", "@/.."]),
    ("@/x/../y", &["@/x/../y"], &["@/y", "@/x/y"]),
];

// shows 3.1.1: MQTT-4.7.2-1, MQTT-4.7.3-4
// shows 5.0: MQTT-4.7.2-1, MQTT-4.7.3-4, MQTT-3.3.2-3
#[test]
fn filters_match_the_topics_they_should_and_no_others() {
    for version in Version::ALL {
        let mut publisher = client(version);
        for (filter, matching, others) in MATCHES {
            let name = unique("t");
            let mut subscriber = client(version);
            subscriber.subscribe(&filter.replace('@', &name), 0);
            for topic in *others {
                publisher.publish(&topic.replace('@', &name), topic, 0);
            }
            for topic in *matching {
                publisher.publish(&topic.replace('@', &name), topic, 0);
                let came = subscriber.receive();
                assert_eq!(came.text(), *topic, "{filter} let {} through", came.text());
                assert_eq!(came.topic, topic.replace('@', &name));
            }
        }
    }
}

#[test]
fn a_lone_wildcard_does_not_see_dollar_topics() {
    let (dollar, plain) = (format!("${}", unique("t")), unique("t"));
    let mut publisher = client(Version::V311);
    for filter in ["#", "+"] {
        let mut subscriber = client(Version::V311);
        subscriber.subscribe(filter, 0);
        publisher.publish(&dollar, "hidden", 1);
        let marker = unique("marker");
        publisher.publish(&plain, &marker, 1);
        // Messages of other tests come by as well.
        loop {
            let came = subscriber.receive();
            assert!(!came.topic.starts_with('$'), "{came:?}");
            if came.text() == marker {
                break;
            }
        }
    }
}

#[test]
fn up_to_200_levels_are_served_and_more_are_refused() {
    for version in Version::OASIS {
        let deep = unique("t") + &"/x".repeat(199);
        let mut subscriber = client(version);
        subscriber.subscribe(&deep, 0);
        client(version).publish(&deep, "deep", 0);
        assert_eq!(subscriber.receive().text(), "deep");

        let too_deep = unique("t") + &"/x".repeat(250);
        subscriber.send(&subscribe(version, 99, &[(&too_deep, 0)]));
        refused(&mut subscriber);
        let mut publisher = client(version);
        publisher.send(&Publish::new(&too_deep, "p").qos(1, 1).bytes(version));
        refused(&mut publisher);
    }
}

fn refused(client: &mut dunlin_testkit::RawClient) {
    match client.next(std::time::Duration::from_secs(10)) {
        Event::Closed => assert!(!client.version().is_5()),
        Event::Packet(Packet::SubAck(answer)) => assert!(answer.codes[0] >= 0x80),
        Event::Packet(Packet::PubAck(answer)) => assert!(answer.reason >= 0x80),
        Event::Packet(Packet::Disconnect(packet)) => {
            assert!(packet.reason >= 0x80);
            client.expect_close();
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn topics_as_long_as_a_string_can_be_are_served() {
    let name = unique("t");
    let long = format!("{name}{}", "x".repeat(65_535 - name.len()));
    let mut subscriber = client(Version::V311);
    subscriber.subscribe(&long, 0);
    let mut publisher = client(Version::V311);
    publisher.publish(&long, "p", 0);
    assert_eq!(subscriber.receive().topic, long);
    nothing_before_marker(&mut subscriber, &mut publisher, &long);
}
