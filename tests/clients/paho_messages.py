"""Behaviours of messages and subscriptions that every protocol version shows, with paho."""

from harness import behaviour, equal, unique
from paho_client import VERSIONS, Client

LEVELS = [0, 1, 2]


@behaviour(version=VERSIONS)
def a_new_client_is_accepted_without_a_session(host, port, version):
    with Client(host, port, version) as client:
        equal(client.connack, 0, "CONNACK")
        equal(client.session_present, False, "session present")


@behaviour(version=VERSIONS, published=LEVELS, subscribed=LEVELS)
def a_message_arrives_at_the_lower_qos(host, port, version, published, subscribed):
    topic = unique("qos/level")
    with Client(host, port, version) as publisher, Client(host, port, version) as subscriber:
        equal(subscriber.subscribe(topic, qos=subscribed), [subscribed], "SUBACK")
        publisher.publish(topic, b"payload", published)
        message = subscriber.receive()
        equal(message.topic, topic, "topic")
        equal(message.payload, b"payload", "payload")
        equal(message.qos, min(published, subscribed), "QoS")
        equal(bool(message.retain), False, "retain")


@behaviour(version=VERSIONS, qos=LEVELS)
def messages_keep_their_order_and_come_once(host, port, version, qos):
    topic = unique("order")
    expected = [str(number).encode() for number in range(200)]
    with Client(host, port, version) as publisher, Client(host, port, version) as subscriber:
        subscriber.subscribe(topic, qos=qos)
        sent = [publisher.publish(topic, payload, qos, wait=False) for payload in expected]
        equal(subscriber.receive_payloads(len(expected)), expected, "payloads")
        for info in sent:
            info.wait_for_publish(60)
        subscriber.nothing_before(publisher, topic, qos)


@behaviour(version=VERSIONS, qos=LEVELS)
def a_payload_of_one_mebibyte_arrives_unchanged(host, port, version, qos):
    topic = unique("large")
    payload = bytes(range(256)) * 4096
    with Client(host, port, version) as publisher, Client(host, port, version) as subscriber:
        subscriber.subscribe(topic, qos=qos)
        publisher.publish(topic, payload, qos)
        found = subscriber.receive().payload
        assert found == payload, f"{len(found)} bytes came, or others than were sent"


@behaviour(version=VERSIONS)
def an_empty_payload_arrives(host, port, version):
    topic = unique("empty")
    with Client(host, port, version) as publisher, Client(host, port, version) as subscriber:
        subscriber.subscribe(topic, qos=1)
        publisher.publish(topic, b"", 1)
        equal(subscriber.receive().payload, b"", "payload")


@behaviour(version=VERSIONS)
def a_client_receives_what_it_publishes_itself(host, port, version):
    topic = unique("itself")
    with Client(host, port, version) as client:
        client.subscribe(topic, qos=2)
        client.publish(topic, b"own", 2)
        equal(client.receive().payload, b"own", "payload")


@behaviour(version=VERSIONS)
def a_retained_message_waits_for_subscribers_until_it_is_cleared(host, port, version):
    topic = unique("retained")
    with Client(host, port, version) as publisher, Client(host, port, version) as present:
        present.subscribe(topic, qos=1)
        publisher.publish(topic, b"first", 1, retain=True)
        publisher.publish(topic, b"last", 1, retain=True)
        live = [present.receive(), present.receive()]
        equal([bool(message.retain) for message in live], [False, False], "retain of live messages")

        with Client(host, port, version) as late:
            late.subscribe(topic, qos=1)
            message = late.receive()
            equal((message.payload, bool(message.retain)), (b"last", True), "retained message")

        publisher.publish(topic, b"", 1, retain=True)
        with Client(host, port, version) as later:
            later.subscribe(topic, qos=1)
            later.nothing_before(publisher, topic)


@behaviour(version=VERSIONS)
def retained_messages_are_found_by_wildcards(host, port, version):
    base = unique("retained-tree")
    topics = [f"{base}/{name}" for name in ("a", "b/c", "b/d/e")]
    with Client(host, port, version) as publisher, Client(host, port, version) as subscriber:
        for topic in topics:
            publisher.publish(topic, topic.encode(), 1, retain=True)
        subscriber.subscribe(f"{base}/#", qos=1)
        found = sorted(subscriber.receive().topic for _ in topics)
        equal(found, topics, "topics")
        for topic in topics:
            publisher.publish(topic, b"", 1, retain=True)


@behaviour(version=VERSIONS)
def wildcards_match_their_levels_and_no_others(host, port, version):
    base = unique("wild")
    cases = {
        f"{base}/+": [f"{base}/one", f"{base}/"],
        f"{base}/+/leaf": [f"{base}/one/leaf"],
        f"{base}/one/#": [f"{base}/one", f"{base}/one/leaf", f"{base}/one/leaf/deep"],
    }
    published = sorted({topic for topics in cases.values() for topic in topics})
    with Client(host, port, version) as publisher:
        for topic_filter, expected in cases.items():
            with Client(host, port, version) as subscriber:
                subscriber.subscribe(topic_filter, qos=1)
                subscriber.subscribe(f"{base}-end", qos=1)
                for topic in published:
                    publisher.publish(topic, b"x", 1)
                publisher.publish(f"{base}-end", b"end", 1)
                found = []
                while not found or found[-1] != f"{base}-end":
                    found.append(subscriber.receive().topic)
                equal(sorted(found[:-1]), sorted(expected), topic_filter)


@behaviour(version=VERSIONS)
def a_leading_wildcard_does_not_see_topics_that_start_with_a_dollar(host, port, version):
    topic = unique("plain")
    with Client(host, port, version) as publisher, Client(host, port, version) as subscriber:
        subscriber.subscribe("#", "+/monitor", qos=0)
        publisher.publish("$dunlin-test/monitor", b"hidden", 1)
        marker = unique("marker").encode()
        publisher.publish(topic, marker, 1)
        while True:
            message = subscriber.receive()
            assert not message.topic.startswith("$"), message.topic
            if message.payload == marker:
                break


@behaviour(version=VERSIONS)
def one_subscribe_packet_carries_many_filters(host, port, version):
    topics = [unique("many") for _ in range(20)]
    with Client(host, port, version) as publisher, Client(host, port, version) as subscriber:
        equal(subscriber.subscribe(*topics, qos=1), [1] * len(topics), "SUBACK")
        for topic in topics:
            publisher.publish(topic, b"x", 1)
        found = [subscriber.receive().topic for _ in topics]
        equal(found, topics, "topics")


@behaviour(version=VERSIONS)
def nothing_comes_after_unsubscribe(host, port, version):
    topic, other = unique("unsubscribe"), unique("other")
    with Client(host, port, version) as publisher, Client(host, port, version) as subscriber:
        subscriber.subscribe(topic, other, qos=1)
        publisher.publish(topic, b"before", 1)
        equal(subscriber.receive().payload, b"before", "payload")
        subscriber.unsubscribe(topic)
        publisher.publish(topic, b"after", 1)
        subscriber.nothing_before(publisher, other)


@behaviour(version=VERSIONS)
def a_second_subscription_to_a_filter_replaces_the_first(host, port, version):
    topic = unique("again")
    with Client(host, port, version) as publisher, Client(host, port, version) as subscriber:
        subscriber.subscribe(topic, qos=0)
        subscriber.subscribe(topic, qos=2)
        publisher.publish(topic, b"once", 2)
        equal(subscriber.receive().qos, 2, "QoS")
        subscriber.nothing_before(publisher, topic)


@behaviour(publisher_version=VERSIONS, subscriber_version=VERSIONS)
def versions_talk_to_each_other(host, port, publisher_version, subscriber_version):
    topic = unique("mixed")
    with Client(host, port, publisher_version) as publisher:
        with Client(host, port, subscriber_version) as subscriber:
            subscriber.subscribe(topic, qos=2)
            publisher.publish(topic, "grüße".encode(), 2)
            message = subscriber.receive()
            equal((message.payload.decode(), message.qos), ("grüße", 2), "message")
