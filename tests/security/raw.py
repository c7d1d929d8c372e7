"""Raw packets of MQTT 3.1.1 and 5.0, over whatever socket is given: what a broker answers, byte by byte.

Nothing here knows what is allowed: tests send what no client library would.
"""

import select
import socket
import ssl
import struct
import time

from brokers import HOST

#: No answer of a broker on this machine takes longer.
ANSWER_SECONDS = 60
#: So long nothing must come, where nothing is expected; a ping bounds it as well.
PINGREQ = b"\xc0\x00"

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 2, 3, 4, 5, 6, 7
SUBACK, UNSUBACK, PINGRESP, DISCONNECT, AUTH = 9, 11, 13, 14, 15


class Closed(Exception):
    """The broker closed the connection."""


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def variable(number):
    out = b""
    while True:
        number, digit = number >> 7, number & 0x7F
        out += bytes([digit | (0x80 if number else 0)])
        if not number:
            return out


def packet(first, body=b""):
    return bytes([first]) + variable(len(body)) + body


def connect(client_id, version=4, username=None, password=None, clean=True, will=None, keep_alive=60,
            properties=b""):
    """A CONNECT; `will` is (topic, payload, qos, retain)."""
    flags = 0x02 if clean else 0
    v5 = version == 5
    tail = text(client_id)
    if will:
        topic, payload, qos, retain = will
        flags |= 0x04 | qos << 3 | retain << 5
        tail += (variable(0) if v5 else b"") + text(topic) + text(payload)
    if username is not None:
        flags |= 0x80
        tail += text(username)
    if password is not None:
        flags |= 0x40
        tail += text(password)
    name = "MQIsdp" if version == 3 else "MQTT"
    head = text(name) + bytes([version, flags]) + struct.pack(">H", keep_alive)
    return packet(0x10, head + ((variable(len(properties)) + properties) if v5 else b"") + tail)


class Client:
    """One connection. Packets come as (type, flags, body)."""

    def __init__(self, port, version=4, tls=None, path=None, server_name="localhost"):
        self.version = version
        self._waiting = b""
        self._number = 0
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection((HOST, port), ANSWER_SECONDS)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        self.socket.settimeout(ANSWER_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes without DISCONNECT."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError) as error:
            raise Closed from error

    def _fill(self, count, deadline):
        while len(self._waiting) < count:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                found = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLError) as error:
                if isinstance(error, ssl.SSLWantReadError) or "timed out" in str(error):
                    raise TimeoutError from error
                raise Closed(str(error)) from error
            if not found:
                raise Closed
            self._waiting += found

    def packet(self, seconds=ANSWER_SECONDS):
        """The next packet, whatever it is."""
        deadline = time.monotonic() + seconds
        length = shift = 0
        at = 1
        while True:
            self._fill(at + 1, deadline)
            digit = self._waiting[at]
            length |= (digit & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not digit & 0x80:
                break
        self._fill(at + length, deadline)
        first, body = self._waiting[0], self._waiting[at:at + length]
        self._waiting = self._waiting[at + length:]
        return first >> 4, first & 15, body

    def connect(self, client_id="raw", **options):
        """Connects; returns (session present, return or reason code), or None when it is closed instead."""
        try:
            self.send(connect(client_id, version=self.version, **options))
            kind, _, body = self.packet()
        except Closed:
            return None
        assert kind == CONNACK, kind
        self.connack = body
        return bool(body[0] & 1), body[1]

    def _next(self):
        self._number = self._number % 65535 + 1
        return struct.pack(">H", self._number)

    def subscribe(self, *filters, qos=0):
        """Subscribes; returns the codes, one for each filter."""
        body = self._next() + (b"\x00" if self.version == 5 else b"")
        self.send(packet(0x82, body + b"".join(text(name) + bytes([qos]) for name in filters)))
        found = self._answer(SUBACK)
        return list(found[3 if self.version == 5 else 2:])

    def unsubscribe(self, *filters):
        body = self._next() + (b"\x00" if self.version == 5 else b"")
        self.send(packet(0xA2, body + b"".join(text(name) for name in filters)))
        return self._answer(UNSUBACK)

    def _answer(self, wanted):
        """The body of the next packet of that type; messages before it are kept."""
        kept, deadline = [], time.monotonic() + ANSWER_SECONDS
        while True:
            kind, flags, body = self.packet(max(0.01, deadline - time.monotonic()))
            if kind == wanted:
                self._keep(kept)
                return body
            if kind == DISCONNECT:
                raise Closed(f"DISCONNECT {body.hex()}")
            kept.append((kind, flags, body))

    def _keep(self, packets):
        again = b"".join(packet(kind << 4 | flags, body) for kind, flags, body in packets)
        self._waiting = again + self._waiting

    def publish(self, topic, payload=b"", qos=0, retain=False):
        """Publishes; returns the reason code of the acknowledgement (0 where there is none in it)."""
        head = text(topic) + (self._next() if qos else b"") + (b"\x00" if self.version == 5 else b"")
        data = payload.encode() if isinstance(payload, str) else payload
        self.send(packet(0x30 | qos << 1 | retain, head + data))
        if qos == 0:
            return None
        found = self._answer(PUBACK if qos == 1 else PUBREC)
        code = found[2] if len(found) > 2 else 0
        if qos == 2 and code < 0x80:
            self.send(packet(0x62, found[:2]))
            self._answer(PUBCOMP)
        return code

    def messages(self):
        """What came until the answer of a ping: (topic, payload, qos, retain), acknowledged."""
        found = []
        self.send(PINGREQ)
        while True:
            kind, flags, body = self.packet()
            if kind == PINGRESP:
                return found
            if kind == DISCONNECT:
                raise Closed(f"DISCONNECT {body.hex()}")
            if kind == PUBLISH:
                found.append(self._message(flags, body))
            elif kind == PUBREL:
                self.send(packet(0x70, body[:2]))

    def _message(self, flags, body):
        size = struct.unpack(">H", body[:2])[0]
        topic, rest, qos = body[2:2 + size].decode(), body[2 + size:], flags >> 1 & 3
        if qos:
            identifier, rest = rest[:2], rest[2:]
            self.send(packet(0x40 if qos == 1 else 0x50, identifier))
        if self.version == 5:
            rest = rest[1 + rest[0]:]
        return topic, rest.decode(errors="replace"), qos, flags & 1

    def message(self, seconds=ANSWER_SECONDS):
        """The next message; other packets are passed over."""
        while True:
            kind, flags, body = self.packet(seconds)
            if kind == DISCONNECT:
                raise Closed(f"DISCONNECT {body.hex()}")
            if kind == PUBLISH:
                return self._message(flags, body)
            if kind == PUBREL:
                self.send(packet(0x70, body[:2]))

    def end(self, seconds=ANSWER_SECONDS):
        """How the broker ends the connection: `closed`, `DISCONNECT 0x..`, or `open` when it does not."""
        said = None
        try:
            while True:
                kind, _, body = self.packet(seconds)
                if kind == DISCONNECT:
                    said = f"DISCONNECT 0x{body[0] if body else 0:02x}"
        except Closed:
            return said or "closed"
        except TimeoutError:
            return "open"

    def silent(self, seconds=0.3):
        """Whether nothing comes for so long."""
        return not self._waiting and not select.select([self.socket], [], [], seconds)[0]
