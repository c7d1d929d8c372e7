"""Behaviours that only MQTT 5.0 has, with paho."""

import time

import paho.mqtt.client as mqtt

from harness import behaviour, equal, unique
from paho_client import Client, properties

V5 = "5"


def pair(host, port, **options):
    return Client(host, port, V5), Client(host, port, V5, **options)


@behaviour
def properties_of_a_message_reach_the_subscriber(host, port):
    topic = unique("properties")
    sent = properties(
        "PUBLISH", PayloadFormatIndicator=1, ContentType="text/plain", ResponseTopic="reply/here",
        CorrelationData=b"\x00\x01request",
    )
    publisher, subscriber = pair(host, port)
    with publisher, subscriber:
        subscriber.subscribe(topic, qos=1)
        publisher.publish(topic, b"text", 1, properties=sent)
        found = subscriber.receive().properties
        equal(found.PayloadFormatIndicator, 1, "payload format indicator")
        equal(found.ContentType, "text/plain", "content type")
        equal(found.ResponseTopic, "reply/here", "response topic")
        equal(found.CorrelationData, b"\x00\x01request", "correlation data")


@behaviour
def user_properties_keep_their_order_and_repetitions(host, port):
    topic = unique("user-properties")
    pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", "empty name"), ("größe", "ü")]
    publisher, subscriber = pair(host, port)
    with publisher, subscriber:
        subscriber.subscribe(topic, qos=1)
        publisher.publish(topic, b"x", 1, properties=properties("PUBLISH", UserProperty=pairs))
        equal(subscriber.receive().properties.UserProperty, pairs, "user properties")


@behaviour
def a_retained_message_keeps_its_properties(host, port):
    topic = unique("retained-properties")
    sent = properties("PUBLISH", ContentType="json", UserProperty=[("k", "v")])
    publisher, subscriber = pair(host, port)
    with publisher, subscriber:
        publisher.publish(topic, b"{}", 1, retain=True, properties=sent)
        subscriber.subscribe(topic, qos=1)
        found = subscriber.receive().properties
        equal((found.ContentType, found.UserProperty), ("json", [("k", "v")]), "properties")
        publisher.publish(topic, b"", 1, retain=True)


@behaviour
def messages_carry_the_subscription_identifier(host, port):
    base = unique("identifier")
    publisher, subscriber = pair(host, port)
    with publisher, subscriber:
        subscriber.subscribe(f"{base}/a", qos=1, properties=properties("SUBSCRIBE", SubscriptionIdentifier=7))
        subscriber.subscribe(
            f"{base}/b/#", qos=1, properties=properties("SUBSCRIBE", SubscriptionIdentifier=268_435_455)
        )
        publisher.publish(f"{base}/a", b"a", 1)
        publisher.publish(f"{base}/b/c", b"b", 1)
        found = [subscriber.receive().properties.SubscriptionIdentifier for _ in range(2)]
        equal(found, [[7], [268_435_455]], "subscription identifiers")


@behaviour
def a_topic_alias_stands_for_its_topic(host, port):
    topic, other = unique("alias"), unique("alias-other")
    publisher, subscriber = pair(host, port)
    with publisher, subscriber:
        assert publisher.connack_properties.TopicAliasMaximum >= 1, "no topic aliases"
        subscriber.subscribe(topic, other, qos=1)
        alias = properties("PUBLISH", TopicAlias=1)
        publisher.publish(topic, b"1", 1, properties=alias)
        publisher.publish("", b"2", 1, properties=alias)
        publisher.publish("", b"3", 0, properties=alias)
        publisher.publish(other, b"4", 1, properties=alias)
        publisher.publish("", b"5", 1, properties=alias)
        found = [(message.topic, message.payload) for message in (subscriber.receive() for _ in range(5))]
        expected = [(topic, b"1"), (topic, b"2"), (topic, b"3"), (other, b"4"), (other, b"5")]
        equal(found, expected, "messages")


@behaviour
def an_expired_message_is_not_delivered(host, port):
    topic, client_id = unique("expiry"), unique("keeper")
    Client(host, port, V5, client_id, clean=False, expiry=60).close()
    with Client(host, port, V5, client_id, clean=False, expiry=60) as first:
        first.subscribe(topic, qos=1)
    with Client(host, port, V5) as publisher:
        began = time.monotonic()
        publisher.publish(topic, b"short", 1, properties=properties("PUBLISH", MessageExpiryInterval=1))
        publisher.publish(topic, b"long", 1, properties=properties("PUBLISH", MessageExpiryInterval=100))
        publisher.publish(topic, b"unlimited", 1)
        time.sleep(2.2)
        with Client(host, port, V5, client_id, clean=False, expiry=0) as second:
            message = second.receive()
            equal(message.payload, b"long", "payload")
            left = message.properties.MessageExpiryInterval
            waited = time.monotonic() - began
            assert 99 - waited <= left <= 98, f"{left} s of 100 s left after {waited:.2f} s"
            equal(second.receive().payload, b"unlimited", "payload")


@behaviour
def an_expired_retained_message_is_not_delivered(host, port):
    topic = unique("expiry-retained")
    publisher, subscriber = pair(host, port)
    with publisher, subscriber:
        expiry = properties("PUBLISH", MessageExpiryInterval=1)
        publisher.publish(topic, b"short", 1, retain=True, properties=expiry)
        time.sleep(2.2)
        subscriber.subscribe(topic, qos=1)
        subscriber.nothing_before(publisher, topic)


@behaviour
def a_session_ends_with_its_expiry_interval(host, port):
    topic, client_id = unique("session-expiry"), unique("keeper")
    with Client(host, port, V5, client_id, clean=False, expiry=1) as first:
        first.subscribe(topic, qos=1)
    time.sleep(2.2)
    with Client(host, port, V5, client_id, clean=False, expiry=0) as second:
        equal(second.session_present, False, "session present after its expiry")


@behaviour
def a_session_without_expiry_interval_ends_with_the_connection(host, port):
    client_id = unique("keeper")
    Client(host, port, V5, client_id, clean=False).close()
    with Client(host, port, V5, client_id, clean=False) as second:
        equal(second.session_present, False, "session present")


@behaviour
def a_shared_subscription_gives_each_message_to_one_member(host, port):
    topic, group = unique("shared"), unique("group")
    expected = sorted(f"{number:03}".encode() for number in range(100))
    members = [Client(host, port, V5) for _ in range(3)]
    with Client(host, port, V5) as publisher, Client(host, port, V5) as everything:
        everything.subscribe(topic, qos=1)
        for member in members:
            member.subscribe(f"$share/{group}/{topic}", qos=1)
        for payload in expected:
            publisher.publish(topic, payload, 1)
        equal(sorted(everything.receive_payloads(len(expected))), expected, "unshared messages")
        publisher.publish(topic, b"end", 1)
        everything.receive()
        deadline = time.monotonic() + 10
        while sum(member.inbox.qsize() for member in members) <= len(expected) and time.monotonic() < deadline:
            time.sleep(0.02)
        shares = [[member.receive().payload for _ in range(member.inbox.qsize())] for member in members]
        equal(sorted(sum(shares, [])), sorted(expected + [b"end"]), "messages of all members")
        assert all(shares), f"a member was left out: {[len(share) for share in shares]}"
    for member in members:
        member.close()


@behaviour
def a_shared_subscription_gets_no_retained_messages(host, port):
    topic = unique("shared-retained")
    publisher, member = pair(host, port)
    with publisher, member:
        publisher.publish(topic, b"retained", 1, retain=True)
        member.subscribe(f"$share/group/{topic}", qos=1)
        member.nothing_before(publisher, topic)
        publisher.publish(topic, b"", 1, retain=True)


@behaviour
def no_local_keeps_own_messages_away(host, port):
    topic = unique("no-local")
    with Client(host, port, V5) as client, Client(host, port, V5) as other:
        client.subscribe(topic, options=mqtt.SubscribeOptions(qos=1, noLocal=True))
        client.publish(topic, b"own", 1)
        client.nothing_before(other, topic)


@behaviour
def retain_as_published_keeps_the_flag(host, port):
    topic = unique("as-published")
    publisher, subscriber = pair(host, port)
    with publisher, subscriber:
        subscriber.subscribe(topic, options=mqtt.SubscribeOptions(qos=1, retainAsPublished=True))
        publisher.publish(topic, b"yes", 1, retain=True)
        publisher.publish(topic, b"no", 1)
        flags = [bool(subscriber.receive().retain) for _ in range(2)]
        equal(flags, [True, False], "retain flags")
        publisher.publish(topic, b"", 1, retain=True)


@behaviour
def retain_handling_chooses_when_retained_messages_come(host, port):
    topic = unique("handling")
    always, if_new, never = (mqtt.SubscribeOptions(qos=1, retainHandling=value) for value in (0, 1, 2))
    publisher, subscriber = pair(host, port)
    with publisher, subscriber:
        publisher.publish(topic, b"retained", 1, retain=True)
        subscriber.subscribe(topic, options=never)
        subscriber.nothing_before(publisher, topic)
        subscriber.subscribe(topic, options=if_new)
        subscriber.nothing_before(publisher, topic)
        subscriber.subscribe(topic, options=always)
        equal(subscriber.receive().payload, b"retained", "payload")
        subscriber.unsubscribe(topic)
        subscriber.subscribe(topic, options=if_new)
        equal(subscriber.receive().payload, b"retained", "payload")
        publisher.publish(topic, b"", 1, retain=True)


@behaviour
def a_will_waits_for_its_delay(host, port):
    topic, client_id = unique("will-delay"), unique("keeper")
    will = {"topic": topic, "payload": b"delayed", "qos": 1,
            "properties": properties("WILLMESSAGE", WillDelayInterval=1)}
    with Client(host, port, V5) as watcher:
        watcher.subscribe(topic, qos=1)
        began = time.monotonic()
        Client(host, port, V5, client_id, clean=False, expiry=60, will=will).drop()
        equal(watcher.receive().payload, b"delayed", "will")
        waited = time.monotonic() - began
        assert waited >= 0.9, f"came after {waited:.2f} s of 1 s"
    Client(host, port, V5, client_id).close()


@behaviour
def a_client_that_returns_in_time_takes_its_delayed_will_back(host, port):
    topic, client_id = unique("will-back"), unique("keeper")
    will = {"topic": topic, "payload": b"delayed", "qos": 1,
            "properties": properties("WILLMESSAGE", WillDelayInterval=5)}
    with Client(host, port, V5) as watcher, Client(host, port, V5) as publisher:
        watcher.subscribe(topic, qos=1)
        Client(host, port, V5, client_id, clean=False, expiry=60, will=will).drop()
        with Client(host, port, V5, client_id, clean=False, expiry=0):
            time.sleep(6.5)
            watcher.nothing_before(publisher, topic)


@behaviour
def disconnect_with_will_message_publishes_the_will(host, port):
    topic = unique("will-asked-for")
    will = {"topic": topic, "payload": b"asked for", "qos": 1}
    with Client(host, port, V5) as watcher:
        watcher.subscribe(topic, qos=1)
        Client(host, port, V5, will=will).close(reason=0x04)
        equal(watcher.receive().payload, b"asked for", "will")


@behaviour
def a_will_carries_its_properties(host, port):
    topic = unique("will-properties")
    will = {"topic": topic, "payload": b"gone", "qos": 1,
            "properties": properties("WILLMESSAGE", ContentType="text", UserProperty=[("a", "1"), ("a", "2")])}
    with Client(host, port, V5) as watcher:
        watcher.subscribe(topic, qos=1)
        Client(host, port, V5, will=will).drop()
        found = watcher.receive().properties
        equal((found.ContentType, found.UserProperty), ("text", [("a", "1"), ("a", "2")]), "properties")


@behaviour(qos=[1, 2])
def the_receive_maximum_of_a_client_is_kept_and_nothing_is_lost(host, port, qos):
    topic = unique("receive-maximum")
    expected = [str(number).encode() for number in range(60)]
    limits = properties("CONNECT", ReceiveMaximum=3)
    with Client(host, port, V5) as publisher, Client(host, port, V5, connect_properties=limits) as subscriber:
        subscriber.subscribe(topic, qos=qos)
        for payload in expected:
            publisher.publish(topic, payload, qos, wait=False)
        equal(subscriber.receive_payloads(len(expected)), expected, "payloads")


@behaviour
def a_message_above_the_maximum_packet_size_is_left_out(host, port):
    topic = unique("packet-size")
    limits = properties("CONNECT", MaximumPacketSize=200)
    with Client(host, port, V5) as publisher, Client(host, port, V5, connect_properties=limits) as subscriber:
        subscriber.subscribe(topic, qos=1)
        publisher.publish(topic, bytes(500), 1)
        subscriber.nothing_before(publisher, topic, 1)


@behaviour
def unsubscribe_says_whether_there_was_a_subscription(host, port):
    topic = unique("unsuback")
    with Client(host, port, V5) as client:
        client.subscribe(topic, qos=1)
        equal(client.unsubscribe(topic, f"{topic}/never"), [0x00, 0x11], "UNSUBACK")
