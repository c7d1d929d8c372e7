"""MQTT over QUIC with aioquic: packets by hand over the first stream, and a way there that changes."""

import asyncio
import contextlib
import datetime
import ipaddress
import os
import signal
import ssl
import subprocess
import tempfile

from aioquic.asyncio.client import connect as quic_connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StreamDataReceived
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import brokers
from harness import PATIENCE_SECONDS, eventually

HOST = brokers.HOST


class Authority:
    """Signs what a test needs; everything is in one directory."""

    def __init__(self, directory):
        self.directory = directory
        self.key, self.certificate = self._sign("authority", None, authority=True)
        self._sign("server", ExtendedKeyUsageOID.SERVER_AUTH)

    def path(self, name):
        return os.path.join(self.directory, name)

    def client(self, name):
        """Paths of a certificate for clients and its key."""
        self._sign(name, ExtendedKeyUsageOID.CLIENT_AUTH)
        return self.path(f"{name}.pem"), self.path(f"{name}.key")

    def _sign(self, name, usage, authority=False):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if authority else self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(key if authority else self.key, hashes.SHA256())
        with open(self.path(f"{name}.pem"), "wb") as out:
            out.write(certificate.public_bytes(serialization.Encoding.PEM))
        with open(self.path(f"{name}.key"), "wb") as out:
            out.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        return key, certificate


class QuicBroker:
    """A broker with one listener of QUIC and one of TCP, as long as the `with` block lasts."""

    def __init__(self, more="", before=""):
        self.more, self.before = more, before
        self.port, self.tcp = brokers.free_port(), brokers.free_port()

    def __enter__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="dunlin-quic-")
        self.directory = self._directory.name
        self.authority = Authority(self.directory)
        self._configure(self.more)
        self._log = open(self._path("log"), "wb")
        self.process = subprocess.Popen(
            [brokers.dunlin_binary(), "-c", self._path("dunlin.toml")],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd=self.directory,
        )
        try:
            brokers.wait_until_it_accepts(self.process, self.tcp, self.log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        brokers.end(self.process)
        self._log.close()
        self._directory.cleanup()

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _configure(self, more, quic=True):
        with open(self._path("dunlin.toml"), "w", encoding="utf-8") as conf:
            conf.write(
                f"{self.before}\n[security]\nallow_anonymous = true\n"
                f'[[listener]]\nport = {self.tcp}\naddress = "{HOST}"\n'
            )
            if not quic:
                return
            conf.write(
                f'[[listener]]\nport = {self.port}\naddress = "{HOST}"\nprotocol = "quic"\n'
                f'certfile = "{self._path("server.pem")}"\nkeyfile = "{self._path("server.key")}"\n'
                f"{more.format(directory=self.directory)}\n"
            )

    def reload(self, more="", quic=True):
        self._configure(more, quic)
        self.process.send_signal(signal.SIGHUP)

    def log(self):
        with open(self._path("log"), errors="replace") as log:
            return log.read()

    def says(self, words):
        """It tells its log a moment after it tells the client."""
        eventually(lambda: words in self.log(), f"{words} in the log")


class Closed(Exception):
    """The connection has ended; `args` are the code and the reason that it came with."""


class Peer(QuicConnectionProtocol):
    """One connection; its first stream is MQTT."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.received = bytearray()
        self.stream_ended = False
        self.terminated = None
        self.resumed = None
        self.news = asyncio.Event()
        self.stream = None

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            self.received += event.data
            self.stream_ended |= event.end_stream
        elif isinstance(event, HandshakeCompleted):
            self.resumed = event.session_resumed
        elif isinstance(event, ConnectionTerminated):
            self.terminated = Closed(event.error_code, event.reason_phrase)
        self.news.set()

    def send(self, data, end=False):
        if self.stream is None:
            self.stream = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(self.stream, data, end)
        self.transmit()

    async def _wait(self, condition, seconds=PATIENCE_SECONDS):
        async with asyncio.timeout(seconds):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def take(self, count):
        await self._wait(lambda: len(self.received) >= count or self.terminated or self.stream_ended)
        if len(self.received) < count:
            raise self.terminated or Closed("end of stream", bytes(self.received))
        taken = bytes(self.received[:count])
        del self.received[:count]
        return taken

    async def packet(self):
        """The first byte and the body of the next packet."""
        first = (await self.take(1))[0]
        length, shift = 0, 0
        while True:
            byte = (await self.take(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return first, await self.take(length)

    async def closing(self, seconds=PATIENCE_SECONDS):
        """How the connection ends: code and reason."""
        await self._wait(lambda: self.terminated, seconds)
        return self.terminated.args

    async def connect_mqtt(self, client_id, version=4, **options):
        self.send(connect(client_id, version, **options))
        first, body = await self.packet()
        assert first == 0x20 and body[1] == 0, (first, body)
        return body

    async def subscribe(self, topic, version=4, qos=0):
        properties = b"\0" if version == 5 else b""
        self.send(frame(0x82, b"\0\1" + properties + text(topic) + bytes([qos])))
        first, body = await self.packet()
        assert first == 0x90 and body[-1] == qos, (first, body)


def text(words):
    data = words.encode()
    return len(data).to_bytes(2, "big") + data


def frame(first, body):
    length, head = len(body), bytes([first])
    while True:
        byte, length = length & 0x7F, length >> 7
        head += bytes([byte | (0x80 if length else 0)])
        if not length:
            return head + body


def connect(client_id, version=4, keep_alive=60, clean=True, will=None, user=None):
    flags = (2 if clean else 0) | (4 if will else 0) | (0x80 if user else 0)
    properties = b"\0" if version == 5 else b""
    body = text("MQTT") + bytes([version, flags]) + keep_alive.to_bytes(2, "big") + properties
    body += text(client_id)
    if will:
        body += properties + text(will[0]) + text(will[1])
    if user:
        body += text(user)
    return frame(0x10, body)


def publish(topic, payload, version=4, qos=0, identifier=1):
    body = text(topic) + (identifier.to_bytes(2, "big") if qos else b"")
    return frame(0x30 | qos << 1, body + (b"\0" if version == 5 else b"") + payload)


DISCONNECT = b"\xe0\0"


@contextlib.asynccontextmanager
async def peer(broker, port=None, alpn="mqtt", certificate=None, **options):
    """A connection; its handshake is over when the block begins."""
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=[alpn], server_name="localhost", **options
    )
    configuration.load_verify_locations(broker.authority.path("authority.pem"))
    configuration.verify_mode = ssl.CERT_REQUIRED
    if certificate:
        configuration.load_cert_chain(*certificate)
    async with quic_connect(
        HOST, port or broker.port, configuration=configuration, create_protocol=Peer,
        wait_connected=False,
    ) as client:
        # The first packet waits for who has something to say.
        client.transmit()
        await client._wait(lambda: client.resumed is not None or client.terminated)
        if client.terminated:
            raise client.terminated
        yield client


class Way(asyncio.DatagramProtocol):
    """A router on the way, which can forget whom it knew: the broker then sees another port."""

    def __init__(self, broker):
        self.broker, self.client, self.outside = broker, None, None
        self.lost = False

    async def open(self):
        loop = asyncio.get_running_loop()
        self.inside, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        await self.forget()
        return self.inside.get_extra_info("sockname")[1]

    async def forget(self):
        if self.outside:
            self.outside.close()
        way = self

        class Outside(asyncio.DatagramProtocol):
            def datagram_received(self, data, _address):
                if way.client and not way.lost:
                    way.inside.sendto(data, way.client)

        self.outside, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Outside, remote_addr=(HOST, self.broker.port)
        )

    def datagram_received(self, data, address):
        self.client = address
        if not self.lost:
            self.outside.sendto(data)
