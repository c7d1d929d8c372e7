"""One face for paho-mqtt 1.6 and 2.x, so that each behaviour is written once."""

import queue
import socket
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness import PATIENCE_SECONDS, unique

VERSIONS = ["3.1", "3.1.1", "5"]
PROTOCOLS = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}


def properties(packet, **values):
    """Properties of a packet, named as paho names them."""
    built = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            setattr(built, name, one)
    return built


def number(reason):
    """A reason code or granted QoS, whichever form this paho has for it."""
    return reason if isinstance(reason, int) else reason.value


class Client:
    """A client that connects at once and collects what happens to it."""

    def __init__(self, host, port, version, client_id=None, clean=True, expiry=None, will=None,
                 keep_alive=60, connect_properties=None):
        self.version = version
        self.client_id = unique() if client_id is None else client_id
        self.inbox = queue.Queue()
        self.session_present = None
        self.connack = None
        self.gone = threading.Event()
        self._connected = threading.Event()
        self._answers = {}
        self._answered = threading.Condition()
        self._paho = self._new_paho(clean)
        self._paho.on_connect = self._on_connect
        self._paho.on_message = lambda _client, _data, message: self.inbox.put(message)
        self._paho.on_subscribe = self._on_answer
        self._paho.on_unsubscribe = self._on_answer
        self._paho.on_disconnect = self._on_disconnect
        if will:
            self._paho.will_set(**will)
        self._connect(host, port, clean, expiry, keep_alive, connect_properties)

    def _new_paho(self, clean):
        options = {"protocol": PROTOCOLS[self.version], "reconnect_on_failure": False}
        if self.version != "5":
            options["clean_session"] = clean
        if hasattr(mqtt, "CallbackAPIVersion"):
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
        return mqtt.Client(client_id=self.client_id, **options)

    def _connect(self, host, port, clean, expiry, keep_alive, connect_properties):
        options = {}
        if self.version == "5":
            wanted = connect_properties or properties("CONNECT")
            if expiry is not None:
                wanted.SessionExpiryInterval = expiry
            options = {"clean_start": clean, "properties": wanted}
        self._paho.connect(host, port, keep_alive, **options)
        self._paho.loop_start()
        if not self._connected.wait(PATIENCE_SECONDS):
            raise AssertionError(f"no CONNACK in {PATIENCE_SECONDS} s")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _on_connect(self, _client, _data, flags, reason, *rest):
        present = flags["session present"] if isinstance(flags, dict) else flags.session_present
        self.session_present = bool(present)
        self.connack = number(reason)
        self.connack_properties = rest[0] if rest else None
        self._connected.set()

    def _on_answer(self, _client, _data, mid, *rest):
        # 1.6 puts the properties of an UNSUBACK before its codes, 2.x after them.
        codes = next((found for found in rest if isinstance(found, (list, tuple))), [])
        with self._answered:
            self._answers[mid] = [number(code) for code in codes]
            self._answered.notify_all()

    def _on_disconnect(self, *_):
        # Not the reason: paho looks for it only in packets that also have properties.
        self.gone.set()

    def _answer(self, mid, packet):
        with self._answered:
            if not self._answered.wait_for(lambda: mid in self._answers, PATIENCE_SECONDS):
                raise AssertionError(f"no {packet} in {PATIENCE_SECONDS} s")
            return self._answers.pop(mid)

    def subscribe(self, *filters, qos=0, options=None, properties=None):
        """Subscribes and returns what was granted, filter by filter."""
        if self.version == "5":
            options = options or mqtt.SubscribeOptions(qos=qos)
            wanted = [(name, options) for name in filters]
            _, mid = self._paho.subscribe(wanted, properties=properties)
        else:
            _, mid = self._paho.subscribe([(name, qos) for name in filters])
        return self._answer(mid, "SUBACK")

    def unsubscribe(self, *filters):
        _, mid = self._paho.unsubscribe(list(filters))
        return self._answer(mid, "UNSUBACK")

    def publish(self, topic, payload=b"", qos=0, retain=False, properties=None, wait=True):
        """Publishes and waits for what acknowledges it."""
        info = self._paho.publish(topic, payload, qos, retain, properties)
        if wait:
            info.wait_for_publish(PATIENCE_SECONDS)
            assert info.is_published(), f"QoS {qos} PUBLISH not acknowledged in {PATIENCE_SECONDS} s"
        return info

    def receive(self, seconds=PATIENCE_SECONDS):
        try:
            return self.inbox.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no message in {seconds} s") from None

    def receive_payloads(self, count):
        return [self.receive().payload for _ in range(count)]

    def nothing_before(self, publisher, topic, qos=0):
        """Publishes a marker and checks that nothing else comes ahead of it."""
        marker = unique("marker").encode()
        publisher.publish(topic, marker, qos)
        found = self.receive()
        assert found.payload == marker, f"unwanted {found.topic} {found.payload[:60]!r}"

    def drop(self):
        """The connection breaks: no DISCONNECT is sent."""
        connection = self._paho.socket()
        if connection:
            connection.shutdown(socket.SHUT_RDWR)
        self.gone.wait(PATIENCE_SECONDS)
        self._paho.loop_stop()

    def close(self, reason=None):
        """Disconnects in the normal way."""
        if self.gone.is_set():
            self._paho.loop_stop()
            return
        if reason is None:
            self._paho.disconnect()
        else:
            self._paho.disconnect(reasoncode=mqtt.ReasonCodes(PacketTypes.DISCONNECT, identifier=reason))
        self.gone.wait(PATIENCE_SECONDS)
        self._paho.loop_stop()
