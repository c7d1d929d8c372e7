"""paho over TLS, WebSocket and secure WebSocket; runs with 1.6 and 2.x.

    paho_secure_suite.py - [PART OF A NAME]
"""

import contextlib
import socket
import ssl

from place import Place  # makes the modules of tests/clients known, too
import certificates
import harness
import paho.mqtt.client as mqtt
from harness import behaviour, equal, unique
from paho_client import VERSIONS, Client
from ways import CONFIGURATION

#: Transport: port of the place, whether WebSocket, whether TLS.
WAYS = {"tls": ("port", False, True), "websocket": ("port2", True, False), "secure websocket": ("port3", True, True)}


class Secure(Client):
    """The client of the other suites, with another transport."""

    def __init__(self, place, way, version, certificate=None, ca=None, **options):
        self._port, self._web, self._tls = WAYS[way]
        self._certificate, self._ca = certificate, ca
        super().__init__("localhost", getattr(place, self._port), version, **options)

    def _new_paho(self, clean):
        options = {"protocol": {"3.1": 3, "3.1.1": 4, "5": 5}[self.version], "reconnect_on_failure": False,
                   "transport": "websockets" if self._web else "tcp"}
        if self.version != "5":
            options["clean_session"] = clean
        if hasattr(mqtt, "CallbackAPIVersion"):
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
        client = mqtt.Client(client_id=self.client_id, **options)
        if self._web:
            client.ws_set_options(path="/mqtt")
        if self._tls:
            trusted = ssl.create_default_context(cafile=self._ca or certificates.authority().path("ca.pem"))
            if self._certificate:
                trusted.load_cert_chain(*self._certificate)
            client.tls_set_context(trusted)
        return client

    def drop(self):
        """The connection breaks; what paho puts round a socket for WebSocket cannot be shut down."""
        connection = self._paho.socket()
        getattr(connection, "_socket", connection).shutdown(socket.SHUT_RDWR)
        self.gone.wait(harness.PATIENCE_SECONDS)
        self._paho.loop_stop()


@contextlib.contextmanager
def broker():
    text = CONFIGURATION.replace("{own}", str(certificates.authority().directory))
    with Place(**{"m.conf": text}) as place, place.start(ports=[place.port, place.port2, place.port3]) as running:
        yield place, running


@behaviour(way=list(WAYS))
def messages_arrive_in_order(way):
    with broker() as (place, _):
        for version in VERSIONS:
            for qos in (0, 1, 2):
                topic = unique("order")
                with Secure(place, way, version) as reader, Secure(place, way, version) as writer:
                    reader.subscribe(topic, qos=qos)
                    sent = [str(number).encode() for number in range(100)]
                    for payload in sent:
                        writer.publish(topic, payload, qos)
                    equal(reader.receive_payloads(len(sent)), sent, f"version {version} QoS {qos}")


@behaviour(way=list(WAYS))
def large_payloads_arrive_whole(way):
    with broker() as (place, _), Secure(place, way, "5") as reader, Secure(place, way, "3.1.1") as writer:
        topic, sent = unique("large"), bytes(range(256)) * 4096
        reader.subscribe(topic, qos=1)
        writer.publish(topic, sent, 1)
        assert reader.receive().payload == sent, "another payload"


@behaviour(way=list(WAYS))
def sessions_and_wills_are_the_same_over_every_transport(way):
    with broker() as (place, _), Secure(place, way, "3.1.1") as watcher:
        base = unique("session")
        watcher.subscribe(f"{base}/will", qos=1)
        will = {"topic": f"{base}/will", "payload": b"gone", "qos": 1}
        first = Secure(place, way, "3.1.1", client_id=base, clean=False, will=will)
        first.subscribe(f"{base}/queue", qos=1)
        first.drop()
        equal(watcher.receive().payload, b"gone", "will")
        watcher.publish(f"{base}/queue", b"kept", 1)
        with Secure(place, way, "3.1.1", client_id=base, clean=False) as again:
            assert again.session_present
            equal(again.receive().payload, b"kept", "queued")


@behaviour(way=["tls", "secure websocket"])
def strangers_are_not_trusted(way):
    with broker() as (place, running):
        try:
            Secure(place, way, "5", ca=certificates.stranger().path("ca.pem")).close()
        except ssl.SSLCertVerificationError:
            running.says("does not know the authority")
        else:
            raise AssertionError("connected")


if __name__ == "__main__":
    harness.main("paho-secure")
