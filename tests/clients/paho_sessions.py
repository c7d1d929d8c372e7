"""Behaviours of sessions, wills and takeover that every protocol version shows, with paho."""

import socket
import time

from harness import PATIENCE_SECONDS, behaviour, equal, eventually, unique
from paho_client import VERSIONS, Client

LONG = 300


def persistent(host, port, version, client_id):
    """A client whose session outlives its connection."""
    expiry = LONG if version == "5" else None
    return Client(host, port, version, client_id, clean=False, expiry=expiry)


def end_session(host, port, version, client_id):
    Client(host, port, version, client_id, clean=True).close()


@behaviour(version=VERSIONS, qos=[1, 2])
def messages_wait_for_a_persistent_session(host, port, version, qos):
    topic, client_id = unique("offline"), unique("keeper")
    with persistent(host, port, version, client_id) as first:
        equal(first.session_present, False, "session present at first")
        first.subscribe(topic, qos=qos)
    expected = [f"waiting {number}".encode() for number in range(50)]
    with Client(host, port, version) as publisher:
        for payload in expected:
            publisher.publish(topic, payload, qos)
        with persistent(host, port, version, client_id) as second:
            # MQTT 3.1 has no such flag, but paho hands on the bit that a server sets anyhow.
            if version != "3.1":
                equal(second.session_present, True, "session present")
            found = [second.receive() for _ in expected]
            equal([message.payload for message in found], expected, "payloads")
            equal({message.qos for message in found}, {qos}, "QoS")
            second.nothing_before(publisher, topic, qos)
    end_session(host, port, version, client_id)


@behaviour(version=VERSIONS)
def a_session_outlives_a_broken_connection(host, port, version):
    topic, client_id = unique("broken"), unique("keeper")
    first = persistent(host, port, version, client_id)
    first.subscribe(topic, qos=1)
    first.drop()
    with Client(host, port, version) as publisher:
        publisher.publish(topic, b"meanwhile", 1)
        with persistent(host, port, version, client_id) as second:
            equal(second.receive().payload, b"meanwhile", "payload")
    end_session(host, port, version, client_id)


@behaviour(version=VERSIONS)
def a_clean_start_forgets_the_session(host, port, version):
    topic, client_id = unique("forgotten"), unique("keeper")
    with persistent(host, port, version, client_id) as first:
        first.subscribe(topic, qos=1)
    with Client(host, port, version) as publisher:
        publisher.publish(topic, b"lost", 1)
        with Client(host, port, version, client_id, clean=True) as second:
            equal(second.session_present, False, "session present")
            publisher.publish(topic, b"unseen", 1)
            second.subscribe(f"{topic}/other", qos=1)
            second.nothing_before(publisher, f"{topic}/other")


@behaviour(version=VERSIONS)
def a_will_is_published_when_the_connection_breaks(host, port, version):
    topic = unique("will")
    will = {"topic": topic, "payload": b"gone", "qos": 1, "retain": False}
    with Client(host, port, version) as watcher:
        watcher.subscribe(topic, qos=1)
        Client(host, port, version, will=will).drop()
        message = watcher.receive()
        equal((message.payload, message.qos, bool(message.retain)), (b"gone", 1, False), "will")


@behaviour(version=VERSIONS)
def a_retained_will_waits_for_subscribers(host, port, version):
    topic = unique("will/retained")
    will = {"topic": topic, "payload": b"offline", "qos": 1, "retain": True}
    with Client(host, port, version) as watcher:
        watcher.subscribe(topic, qos=1)
        Client(host, port, version, will=will).drop()
        watcher.receive()
        with Client(host, port, version) as late:
            late.subscribe(topic, qos=1)
            message = late.receive()
            equal((message.payload, bool(message.retain)), (b"offline", True), "will")
        watcher.publish(topic, b"", 1, retain=True)


@behaviour(version=VERSIONS)
def a_normal_disconnect_discards_the_will(host, port, version):
    topic = unique("will/discarded")
    will = {"topic": topic, "payload": b"gone", "qos": 0, "retain": False}
    with Client(host, port, version) as watcher, Client(host, port, version) as publisher:
        watcher.subscribe(topic, qos=1)
        Client(host, port, version, will=will).close()
        watcher.nothing_before(publisher, topic)


@behaviour(version=VERSIONS)
def a_silent_client_is_closed_and_its_will_published(host, port, version):
    topic = unique("will/silent")
    level = {"3.1": b"\x00\x06MQIsdp\x03", "3.1.1": b"\x00\x04MQTT\x04", "5": b"\x00\x04MQTT\x05"}
    name, will_topic = unique("silent").encode(), topic.encode()
    empty = b"\x00" if version == "5" else b""
    body = level[version] + b"\x06\x00\x01" + empty + len(name).to_bytes(2, "big") + name + empty
    body += len(will_topic).to_bytes(2, "big") + will_topic + b"\x00\x04late"
    with Client(host, port, version) as watcher:
        watcher.subscribe(topic, qos=1)
        with socket.create_connection((host, port), PATIENCE_SECONDS) as silent:
            began = time.monotonic()
            silent.sendall(bytes([0x10, len(body)]) + body)
            equal(silent.recv(1), b"\x20", "first byte of the CONNACK")
            equal(watcher.receive().payload, b"late", "will")
            waited = time.monotonic() - began
            assert waited > 1.0, f"closed after {waited:.2f} s of 1.5 s"


@behaviour(version=VERSIONS)
def a_second_connection_takes_the_session_over(host, port, version):
    topic, client_id = unique("takeover"), unique("twin")
    first = persistent(host, port, version, client_id)
    first.subscribe(topic, qos=1)
    with persistent(host, port, version, client_id) as second:
        eventually(first.gone.is_set, "the first connection to be closed")
        first.close()
        if version != "3.1":
            equal(second.session_present, True, "session present")
        with Client(host, port, version) as publisher:
            publisher.publish(topic, b"for the second", 1)
        equal(second.receive().payload, b"for the second", "payload")
    end_session(host, port, version, client_id)


@behaviour(version=["3.1.1", "5"])
def a_client_without_an_identifier_is_given_one(host, port, version):
    with Client(host, port, version, client_id="") as client:
        equal(client.connack, 0, "CONNACK")
        if version == "5":
            assert client.connack_properties.AssignedClientIdentifier


@behaviour(version=VERSIONS)
def a_quiet_client_stays_connected_by_pings(host, port, version):
    topic = unique("ping")
    with Client(host, port, version, keep_alive=3) as client:
        client.subscribe(topic, qos=1)
        # Longer than one and a half times that.
        time.sleep(6)
        client.publish(topic, b"still here", 1)
        equal(client.receive().payload, b"still here", "payload")
