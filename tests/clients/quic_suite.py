"""MQTT over QUIC with a client of another make (aioquic); brokers are started here."""

import asyncio
import random
import shutil
import signal
import socket
import tempfile
import time

import brokers
import harness
from harness import behaviour, equal, unique
from quic_peer import (
    DISCONNECT, HOST, Authority, Closed, QuicBroker, Way, connect, frame, peer, publish,
)

VERSIONS = [4, 5]
REQUIRE = 'client_certificate = "required"\ncafile = "{directory}/authority.pem"\n'
#: TLS alerts are codes of QUIC from here on.
ALERT = 0x100


def with_broker(*arguments, **options):
    """Runs a coroutine with a broker of its own."""

    def wrap(function):
        def run(**parameters):
            with QuicBroker(*arguments, **options) as broker:
                asyncio.run(function(broker, **parameters))

        run.__name__ = function.__name__
        return run

    return wrap


@behaviour(version=VERSIONS, qos=[0, 1])
@with_broker()
async def messages_go_both_ways(broker, version, qos):
    topic = unique("quic")
    async with peer(broker) as client, peer(broker) as other:
        await client.connect_mqtt("one", version)
        await other.connect_mqtt("two", version)
        await client.subscribe(topic, version)
        await other.subscribe(topic + "/back", version)
        other.send(publish(topic, b"there", version, qos))
        first, body = await client.packet()
        equal((first, body[-5:]), (0x30, b"there"), "message")
        client.send(publish(topic + "/back", b"back", version, qos))
        if qos:
            equal((await other.packet())[0], 0x40, "acknowledgement")
        first, body = await other.packet()
        equal((first, body[-4:]), (0x30, b"back"), "message")
        client.send(DISCONNECT)
        equal((await client.closing())[0], 0, "code")


@behaviour
@with_broker()
async def a_client_of_tcp_hears_one_of_quic(broker):
    with socket.create_connection((HOST, broker.tcp), 60) as plain:
        plain.settimeout(60)
        plain.sendall(connect("plain") + frame(0x82, b"\0\1\0\1a\0"))
        equal(plain.recv(9, socket.MSG_WAITALL), b"\x20\2\0\0\x90\3\0\1\0", "answers")
        async with peer(broker) as client:
            await client.connect_mqtt("quic")
            client.send(publish("a", b"hello"))
            message = publish("a", b"hello")
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(None, plain.recv, len(message), socket.MSG_WAITALL)
            equal(found, message, "message")


@behaviour(size=[100_000, 1_048_576])
@with_broker()
async def large_messages_arrive_whole(broker, size):
    payload = random.Random(size).randbytes(size)
    async with peer(broker) as client:
        await client.connect_mqtt("large")
        await client.subscribe("large")
        client.send(publish("large", payload))
        first, body = await client.packet()
        assert first == 0x30 and body == b"\0\5large" + payload, (first, len(body))


@behaviour
@with_broker()
async def many_messages_arrive_in_order(broker):
    async with peer(broker) as client, peer(broker) as other:
        await client.connect_mqtt("reader")
        await other.connect_mqtt("writer")
        await client.subscribe("many")
        for number in range(5_000):
            other.send(publish("many", b"%d" % number))
            if number % 100 == 0:
                await asyncio.sleep(0)
        for number in range(5_000):
            _, body = await client.packet()
            equal(body, b"\0\4many%d" % number, "message")


@behaviour
@with_broker('identity = "common-name"\nallow_anonymous = false\n' + REQUIRE)
async def the_common_name_of_a_certificate_is_the_user(broker):
    async with peer(broker, certificate=broker.authority.client("anna")) as client:
        await client.connect_mqtt("device")


@behaviour
@with_broker(REQUIRE)
async def a_client_without_certificate_is_told_and_named_in_the_log(broker):
    try:
        async with peer(broker) as client:
            # In TLS 1.3 a client is through before the server has seen its certificate.
            client.send(connect("device"))
            closed = await client.closing()
    except Closed as error:
        closed = error.args
    equal(closed[0], ALERT + 116, "code")
    broker.says("requires one")


@behaviour
@with_broker()
async def another_protocol_is_refused(broker):
    try:
        async with peer(broker, alpn="h3"):
            raise AssertionError("the server spoke h3")
    except Closed as error:
        equal(error.args[0], ALERT + 120, "code")
    broker.says("ALPN")


@behaviour
@with_broker()
async def garbage_disturbs_nobody(broker):
    chance = random.Random(7)
    async with peer(broker) as client:
        await client.connect_mqtt("witness")
        await client.subscribe("a")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
            for number in range(3_000):
                data = chance.randbytes(chance.randrange(0, 1_500))
                if number % 3 == 0:
                    # What looks like a first packet of version 1.
                    data = b"\xc3\0\0\0\1\x08" + chance.randbytes(8) + b"\0\0\x44\xb0" + chance.randbytes(1_182)
                noise.sendto(data, (HOST, broker.port))
                if number % 100 == 0:
                    await asyncio.sleep(0.01)
        client.send(publish("a", b"still here"))
        equal(await client.packet(), (0x30, b"\0\1astill here"), "message")
    async with peer(broker) as client:
        await client.connect_mqtt("later")


@behaviour
@with_broker()
async def a_hundred_clients_and_more_are_served(broker):
    async with asyncio.timeout(300):
        async def one(number, ready, go):
            async with peer(broker) as client:
                await client.connect_mqtt(f"client-{number}")
                await client.subscribe("all")
                ready.release()
                await go.wait()
                equal((await client.packet())[1], b"\0\3allhello", "message")

        ready, go = asyncio.Semaphore(0), asyncio.Event()
        tasks = [asyncio.create_task(one(number, ready, go)) for number in range(150)]
        for _ in tasks:
            await ready.acquire()
        async with peer(broker) as client:
            await client.connect_mqtt("speaker")
            client.send(publish("all", b"hello"))
            go.set()
            await asyncio.gather(*tasks)


@behaviour
@with_broker()
async def a_client_keeps_its_connection_on_another_port(broker):
    way = Way(broker)
    port = await way.open()
    async with peer(broker, port=port) as client:
        await client.connect_mqtt("traveller")
        await client.subscribe("a")
        for number in range(3):
            await way.forget()
            client.send(publish("a", b"from port %d" % number))
            equal((await client.packet())[1], b"\0\1afrom port %d" % number, "message")


@behaviour
@with_broker()
async def the_will_of_a_client_that_ends_without_disconnect_is_published(broker):
    async with peer(broker) as witness:
        await witness.connect_mqtt("witness")
        await witness.subscribe("will")
        async with peer(broker) as client:
            await client.connect_mqtt("mortal", will=("will", "gone"))
        equal(await witness.packet(), (0x30, b"\0\4willgone"), "will")


@behaviour
@with_broker()
async def a_client_that_vanishes_is_noticed_by_its_keep_alive(broker):
    way = Way(broker)
    port = await way.open()
    async with peer(broker) as witness:
        await witness.connect_mqtt("witness")
        await witness.subscribe("will")
        async with peer(broker, port=port, idle_timeout=10) as client:
            await client.connect_mqtt("mortal", keep_alive=1, will=("will", "gone"))
            way.lost = True
            equal(await witness.packet(), (0x30, b"\0\4willgone"), "will")


@behaviour
@with_broker("quic_idle_timeout = \"6s\"\nquic_keep_alive = \"1s\"\n")
async def a_client_that_vanishes_without_keep_alive_is_noticed_too(broker):
    way = Way(broker)
    port = await way.open()
    async with peer(broker) as witness:
        await witness.connect_mqtt("witness")
        await witness.subscribe("will")
        async with peer(broker, port=port) as client:
            await client.connect_mqtt("mortal", keep_alive=0, will=("will", "gone"))
            # Silence alone ends nothing: the server asks for signs of life.
            await asyncio.sleep(8)
            equal(bytes(witness.received), b"", "will of a client that is there")
            way.lost = True
            equal(await witness.packet(), (0x30, b"\0\4willgone"), "will")


@behaviour
@with_broker()
async def a_second_stream_is_refused_with_the_reason(broker):
    async with peer(broker) as client:
        await client.connect_mqtt("two streams")
        client.stream = None
        client.send(b"\xc0\0")
        code, reason = await client.closing()
        equal(code, 0x82, "code")
        assert "first stream" in reason, reason


@behaviour
@with_broker(before='[limits]\nconnect_timeout = "4s"\n')
async def who_opens_no_stream_does_not_stay(broker):
    async with peer(broker) as client:
        code, reason = await client.closing()
        equal(code, 0xA0, "code")
        assert "connect_timeout" in reason, reason


@behaviour
@with_broker()
async def what_is_no_mqtt_ends_the_connection(broker):
    async with peer(broker) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        equal((await client.closing())[0], 0, "code")


@behaviour
@with_broker()
async def half_a_packet_and_the_end_are_no_message(broker):
    async with peer(broker) as client:
        await client.connect_mqtt("half")
        client.send(publish("a", b"x" * 1_000)[:500], end=True)
        equal((await client.closing())[0], 0, "code")


@behaviour
@with_broker()
async def a_disconnect_goes_before_the_end(broker):
    async with peer(broker) as client:
        await client.connect_mqtt("five", 5)
        # A packet that only servers send.
        client.send(b"\x20\3\0\0\0")
        first, body = await client.packet()
        equal((first, body[:1]), (0xE0, b"\x82"), "DISCONNECT")
        equal((await client.closing())[0], 0, "code")


@behaviour
@with_broker()
async def a_reader_that_does_not_read_stops_nobody(broker):
    async with peer(broker, max_data=65_536, max_stream_data=65_536) as slow, peer(broker) as other:
        await slow.connect_mqtt("slow")
        await slow.subscribe("flood")
        await other.connect_mqtt("writer")
        await other.subscribe("ping")
        # Credit is given by hand from here on, that is: not.
        slow._quic._write_connection_limits = lambda *_, **__: None
        slow._quic._write_stream_limits = lambda *_, **__: None
        for _ in range(40):
            other.send(publish("flood", bytes(50_000)))
            other.send(publish("ping", b"x"))
            equal(await other.packet(), (0x30, b"\0\4pingx"), "message")


async def stops(broker, began):
    status = await asyncio.get_running_loop().run_in_executor(None, broker.process.wait, 120)
    equal(status, 0, "exit status")
    assert time.monotonic() - began < 30, "the stop took long"


@behaviour
@with_broker()
async def a_stop_tells_clients_and_ends_in_time(broker):
    async with peer(broker) as client:
        await client.connect_mqtt("five", 5)
        broker.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        first, body = await client.packet()
        equal((first, body[:1]), (0xE0, b"\x8b"), "DISCONNECT")
        equal((await client.closing())[0], 0, "code")
    status = await asyncio.get_running_loop().run_in_executor(None, broker.process.wait, 60)
    equal(status, 0, "exit status")
    assert time.monotonic() - began < 30, "the stop took long"


@behaviour
@with_broker()
async def a_stop_does_not_wait_for_who_has_vanished(broker):
    way = Way(broker)
    port = await way.open()
    async with peer(broker, port=port, idle_timeout=60) as client:
        await client.connect_mqtt("gone")
        way.lost = True
        broker.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        await stops(broker, began)


@behaviour
@with_broker()
async def a_reload_changes_the_rules_and_ends_who_could_not_come_in_now(broker):
    async with peer(broker) as client:
        await client.connect_mqtt("early")
        await client.subscribe("a")
        broker.reload(REQUIRE)
        for _ in range(100):
            try:
                async with peer(broker) as late:
                    late.send(connect("late"))
                    closed = await late.closing(1)
                    # It may have been let in before the reload, and was ended by it.
                    if closed[0] != 0:
                        break
            except Closed as error:
                closed = error.args
                break
            except TimeoutError:
                await asyncio.sleep(0.05)
        equal(closed[0], ALERT + 116, "code")
        await client.closing()
        lines = lambda: [line for line in broker.log().splitlines() if '"early"' in line]
        harness.eventually(lambda: "certificate" in lines()[-1], "why the early one was ended")


async def eventually_in(broker, **options):
    """Connects once the broker lets it; why it did not before is in the log."""
    deadline = time.monotonic() + 60
    while True:
        try:
            async with asyncio.timeout(5), peer(broker, **options) as client:
                await client.connect_mqtt("late")
                return
        except (TimeoutError, Closed, OSError):
            assert time.monotonic() < deadline, broker.log()


@behaviour
@with_broker()
async def a_reload_takes_another_authority_of_clients_and_ends_those_of_the_first(broker):
    anna = broker.authority.client("anna")
    shutil.copy(broker.authority.path("authority.pem"), broker.authority.path("clients.pem"))
    with tempfile.TemporaryDirectory(prefix="dunlin-quic-") as directory:
        other = Authority(directory)
        broker.reload(REQUIRE.replace("authority.pem", "clients.pem"))
        broker.says("client_certificate")
        async with peer(broker, certificate=anna) as early:
            await early.connect_mqtt("early")
            # The configuration stays as it is, and the file says something else.
            shutil.copy(other.path("authority.pem"), broker.authority.path("clients.pem"))
            broker.reload(REQUIRE.replace("authority.pem", "clients.pem"))
            await early.closing()
        await eventually_in(broker, certificate=other.client("berta"))
        try:
            async with peer(broker, certificate=anna) as late:
                late.send(connect("late"))
                code, reason = await late.closing()
        except Closed as error:
            code, reason = error.args
        assert ALERT <= code < 2 * ALERT, (code, reason)
    broker.says("certificate of the client")


@behaviour
@with_broker()
async def a_reload_moves_a_listener_to_another_port(broker):
    before = broker.port
    async with peer(broker) as early:
        await early.connect_mqtt("early")
        broker.port = brokers.free_port()
        broker.reload()
        await eventually_in(broker)
        code, reason = await early.closing()
        equal(code, 0x98, "code")
        assert "listener" in reason, reason
    try:
        async with asyncio.timeout(1), peer(broker, port=before):
            raise AssertionError("somebody still listens there")
    except (TimeoutError, Closed, OSError):
        pass
    await eventually_in(broker)


@behaviour
@with_broker()
async def a_listener_that_is_taken_away_ends_and_may_come_back(broker):
    async with peer(broker) as client:
        await client.connect_mqtt("early", will=("will", "gone"))
        broker.reload(quic=False)
        code, reason = await client.closing()
        equal(code, 0x98, "code")
        assert "listener" in reason, reason
    broker.reload()
    await eventually_in(broker)


@behaviour
@with_broker("maximum_connections = 2\n")
async def the_limit_of_a_listener_is_told_in_connack(broker):
    async with peer(broker) as one, peer(broker) as two, peer(broker) as three:
        await one.connect_mqtt("one", 5)
        await two.connect_mqtt("two", 5)
        three.send(connect("three", 5))
        first, body = await three.packet()
        equal((first, body[1]), (0x20, 0x97), "CONNACK")


@behaviour
@with_broker('deny_from = ["127.0.0.0/8"]\n')
async def a_network_that_may_not_connect_is_refused(broker):
    try:
        async with peer(broker):
            raise AssertionError("it was let in")
    except Closed as error:
        equal(error.args[0], 2, "CONNECTION_REFUSED")
    broker.says("deny_from")


@behaviour
@with_broker(before="[limits]\nconnections_per_address = 2\n")
async def addresses_with_limits_have_to_show_where_they_are(broker):
    # The proof costs a round trip that clients do not notice.
    async with peer(broker) as one, peer(broker) as two:
        await one.connect_mqtt("one")
        await two.connect_mqtt("two")
        assert one._quic._retry_source_connection_id, "no proof was asked for"
        try:
            async with peer(broker):
                raise AssertionError("a third one was let in")
        except Closed as error:
            equal(error.args[0], 2, "CONNECTION_REFUSED")
    # Their places are free when the broker has seen that they are gone.
    deadline = time.monotonic() + 60
    while True:
        try:
            async with peer(broker) as later:
                return await later.connect_mqtt("later")
        except Closed:
            assert time.monotonic() < deadline, broker.log()
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    harness.main("quic")
