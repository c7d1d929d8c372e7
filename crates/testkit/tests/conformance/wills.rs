use std::thread::sleep;
use std::time::{Duration, Instant};

use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::{Connect, Publish, Version, Will, frame, request};

use crate::support::{client, connect, nothing_before_marker, unique};

fn with_will(version: Version, will: Will) -> Connect {
    Connect::new(version, &unique("c")).will(will)
}

// shows 3.1.1: MQTT-3.1.2-8, MQTT-3.1.2-16
// shows 5.0: MQTT-3.1.2-7, MQTT-3.1.2-8, MQTT-3.1.2-14
#[test]
fn a_will_is_published_when_the_connection_is_lost() {
    for version in Version::ALL {
        for qos in 0..=2 {
            let topic = unique("t");
            let mut watcher = client(version);
            watcher.subscribe(&topic, 2);
            let (doomed, _) = connect(&with_will(version, Will::new(&topic, "gone").qos(qos)));
            doomed.drop_connection();
            let will = watcher.receive();
            assert_eq!((will.text().as_str(), will.qos, will.retain), ("gone", qos, false));
            // It was an ordinary message: nobody who comes later gets it.
            let mut late = client(version);
            late.subscribe(&topic, 2);
            nothing_before_marker(&mut late, &mut client(version), &topic);
        }
    }
}

// shows 3.1.1: MQTT-3.1.2-17
// shows 5.0: MQTT-3.1.2-15
#[test]
fn a_retained_will_is_retained() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut watcher = client(version);
        watcher.subscribe(&topic, 1);
        let will = Will::new(&topic, "gone").qos(1).retained();
        connect(&with_will(version, will)).0.drop_connection();
        assert!(!watcher.receive().retain);
        let mut late = client(version);
        late.subscribe(&topic, 1);
        let kept = late.receive();
        assert_eq!((kept.text().as_str(), kept.retain, kept.qos), ("gone", true, 1));
    }
}

// shows 3.1.1: MQTT-3.1.2-10, MQTT-3.14.4-3
// shows 5.0: MQTT-3.1.2-10, MQTT-3.14.4-3
#[test]
fn disconnect_deletes_the_will() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut watcher = client(version);
        watcher.subscribe(&topic, 0);
        connect(&with_will(version, Will::new(&topic, "gone"))).0.disconnect();
        nothing_before_marker(&mut watcher, &mut client(version), &topic);
    }
}

// shows 3.1.1: MQTT-3.1.2-12
#[test]
fn a_will_does_not_stay_for_the_next_connection() {
    for version in Version::ALL {
        let (topic, id) = (unique("t"), unique("c"));
        let mut watcher = client(version);
        watcher.subscribe(&topic, 0);
        let doomed = Connect::persistent(version, &id).will(Will::new(&topic, "first"));
        connect(&doomed).0.drop_connection();
        assert_eq!(watcher.receive().text(), "first");
        connect(&Connect::persistent(version, &id)).0.drop_connection();
        nothing_before_marker(&mut watcher, &mut client(version), &topic);
    }
}

#[test]
fn a_protocol_error_and_a_keep_alive_that_ran_out_publish_the_will() {
    let topic = unique("t");
    let mut watcher = client(Version::V5);
    watcher.subscribe(&topic, 0);
    let broken = with_will(Version::V5, Will::new(&topic, "broken"));
    connect(&broken).0.send(&frame(0x30, &[0, 0, 0]));
    assert_eq!(watcher.receive().text(), "broken");
    let silent = with_will(Version::V5, Will::new(&topic, "silent")).keep_alive(1);
    let (_silent, _) = connect(&silent);
    assert_eq!(watcher.receive().text(), "silent");
}

#[test]
fn disconnect_with_will_message_publishes_it() {
    let topic = unique("t");
    let mut watcher = client(Version::V5);
    watcher.subscribe(&topic, 0);
    let (mut leaving, _) = connect(&with_will(Version::V5, Will::new(&topic, "as asked")));
    leaving.send(&request::disconnect_with(0x04, &Properties::new()));
    leaving.expect_close();
    assert_eq!(watcher.receive().text(), "as asked");
}

#[test]
fn a_takeover_publishes_the_will_of_the_old_connection() {
    for version in Version::ALL {
        let (topic, id) = (unique("t"), unique("c"));
        let mut watcher = client(version);
        watcher.subscribe(&topic, 0);
        let doomed = Connect::new(version, &id).will(Will::new(&topic, "taken over"));
        let (_old, _) = connect(&doomed);
        let (_new, _) = connect(&Connect::new(version, &id));
        assert_eq!(watcher.receive().text(), "taken over");
    }
}

fn delayed(topic: &str, seconds: u32) -> Will {
    let delay = Properties::new().four(property::WILL_DELAY_INTERVAL, seconds);
    Will::new(topic, "delayed").properties(delay)
}

#[test]
fn a_delayed_will_waits_for_its_delay_or_the_end_of_the_session() {
    let topic = unique("t");
    let mut watcher = client(Version::V5);
    watcher.subscribe(&topic, 0);
    let kept = Connect::persistent(Version::V5, &unique("c")).will(delayed(&topic, 1));
    let start = Instant::now();
    connect(&kept).0.drop_connection();
    watcher.receive();
    assert!(Instant::now() - start > Duration::from_millis(900));
    // Without a session to outlive it, the delay is cut short.
    let start = Instant::now();
    connect(&with_will(Version::V5, delayed(&topic, 60))).0.drop_connection();
    watcher.receive();
    assert!(Instant::now() - start < Duration::from_secs(50));
}

// shows 5.0: MQTT-3.1.3-9
#[test]
fn a_delayed_will_is_dropped_when_the_client_comes_back() {
    let (topic, id) = (unique("t"), unique("c"));
    let mut watcher = client(Version::V5);
    watcher.subscribe(&topic, 0);
    // Time enough to come back, on a machine that has other things to do.
    let doomed = Connect::persistent(Version::V5, &id).will(delayed(&topic, 5));
    connect(&doomed).0.drop_connection();
    let (mut back, _) = connect(&Connect::persistent(Version::V5, &id));
    sleep(Duration::from_millis(6200));
    nothing_before_marker(&mut watcher, &mut client(Version::V5), &topic);
    back.ping();
}

// shows 5.0: MQTT-3.1.3-10
#[test]
fn the_properties_of_a_will_are_published_with_it() {
    let topic = unique("t");
    let mut watcher = client(Version::V5);
    watcher.subscribe(&topic, 0);
    let properties = Properties::new()
        .byte(property::PAYLOAD_FORMAT_INDICATOR, 1)
        .text(property::CONTENT_TYPE, "text/plain")
        .text(property::RESPONSE_TOPIC, "r")
        .binary(property::CORRELATION_DATA, &[1, 0])
        .user("z", "1")
        .user("a", "2")
        .user("z", "0");
    let doomed = with_will(Version::V5, Will::new(&topic, "gone").properties(properties.clone()));
    connect(&doomed).0.drop_connection();
    let came = watcher.receive().properties;
    assert_eq!(came.user_properties(), properties.user_properties());
    for identifier in [
        property::PAYLOAD_FORMAT_INDICATOR,
        property::CONTENT_TYPE,
        property::RESPONSE_TOPIC,
        property::CORRELATION_DATA,
    ] {
        assert_eq!(came.get(identifier), properties.get(identifier));
    }
}

#[test]
fn an_empty_retained_will_removes_what_the_topic_had() {
    let topic = unique("t");
    client(Version::V311).deliver(Publish::new(&topic, "kept").qos(1, 0).retained());
    let mut watcher = client(Version::V311);
    watcher.subscribe(&topic, 0);
    assert_eq!(watcher.receive().text(), "kept");
    let doomed = with_will(Version::V311, Will::new(&topic, "").retained());
    connect(&doomed).0.drop_connection();
    assert_eq!(watcher.receive().text(), "");
    let mut late = client(Version::V311);
    late.subscribe(&topic, 0);
    nothing_before_marker(&mut late, &mut client(Version::V311), &topic);
}
