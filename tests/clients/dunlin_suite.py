"""`dunlin pub` and `dunlin sub`, with any broker; and together with Mosquitto's commands."""

import os
import socket
import subprocess
import threading
import time

import brokers
import harness
import tools
from harness import behaviour, equal, unique
from tool_behaviours import VERSIONS, pub, sub, subscriber

DUNLIN = brokers.dunlin_binary()
tools.PUB = [DUNLIN, "pub"]
tools.SUB = [DUNLIN, "sub"]


@behaviour(version=VERSIONS, qos=[0, 1, 2])
def mosquitto_sub_prints_what_dunlin_publishes(host, port, version, qos):
    topic = unique("to-mosquitto")
    session = ["-h", host, "-p", port, "-V", version, "-i", unique("keeper"), "-c", "-q", 1]
    tools.run("mosquitto_sub", *session, "-t", topic, "-E")
    pub(host, port, "-V", version, "-q", max(qos, 1), "-t", topic, "-m", "from dunlin")
    found = tools.run("mosquitto_sub", *session, "-t", topic, "-C", 1, "-W", 60).lines
    equal(found, ["from dunlin"], "lines")


@behaviour(version=VERSIONS, qos=[0, 1, 2])
def dunlin_sub_prints_what_mosquitto_publishes(host, port, version, qos):
    topic = unique("from-mosquitto")
    with subscriber(host, port, "-V", version, "-q", qos, "-t", topic) as waiting:
        tools.run(
            "mosquitto_pub", "-h", host, "-p", port, "-V", version, "-q", qos, "-t", topic, "-m", "hi",
        )
        equal(waiting.line(), b"hi", "line")


@behaviour
def an_unreachable_broker_is_named_with_what_to_check(host, port):
    closed = brokers.free_port()
    failed = tools.run(DUNLIN, "sub", "-h", host, "-p", closed, "-t", "a", expect=1)
    said = failed.err.decode()
    assert f"{host}:{closed}" in said and "-p" in said, said


@behaviour
def an_unknown_host_is_named(host, port):
    failed = tools.run(DUNLIN, "pub", "-h", "no-such-host.invalid", "-t", "a", "-m", "x", expect=1)
    assert b"no-such-host.invalid" in failed.err, failed.err


@behaviour
def quiet_commands_print_no_errors(host, port):
    failed = tools.run(
        DUNLIN, "pub", "--quiet", "-h", host, "-p", brokers.free_port(), "-t", "a", "-m", "x", expect=1,
    )
    equal(failed.err, b"", "standard error")


def answering(answers):
    """A listener that answers the first packets it is sent, in order, and its port."""
    listener = socket.create_server((brokers.HOST, 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            for answer in answers:
                if not connection.recv(65536):
                    return
                connection.sendall(answer)
            while connection.recv(65536):
                pass

    threading.Thread(target=serve, daemon=True).start()
    return listener, listener.getsockname()[1]


@behaviour
def a_refused_connection_is_explained(host, port):
    for version, connack, status, words in [
        ("311", b"\x20\x02\x00\x05", 5, "not authorized"),
        ("311", b"\x20\x02\x00\x04", 4, "bad user name or password"),
        ("5", b"\x20\x03\x00\x86\x00", 0x86, "bad user name or password"),
        ("5", b"\x20\x08\x00\x87\x05\x1f\x00\x02no", 0x87, "(no)"),
    ]:
        listener, refusing = answering([connack])
        with listener:
            failed = tools.run(
                DUNLIN, "pub", "-h", brokers.HOST, "-p", refusing, "-V", version, "-t", "a", "-m", "x",
                expect=status,
            )
            assert words in failed.err.decode(), failed.err


@behaviour
def a_refused_message_is_explained(host, port):
    for qos, refusal in [(1, b"\x40\x03\x00\x01\x87"), (2, b"\x50\x03\x00\x01\x87")]:
        listener, refusing = answering([b"\x20\x03\x00\x00\x00", refusal])
        with listener:
            failed = tools.run(
                DUNLIN, "pub", "-h", brokers.HOST, "-p", refusing, "-V", 5, "-q", qos, "-t", "a",
                "-m", "x", expect=0x87,
            )
            assert b"not authorized" in failed.err, failed.err


@behaviour
def a_refused_subscription_is_explained(host, port):
    listener, refusing = answering([b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x80"])
    with listener:
        failed = tools.run(
            DUNLIN, "sub", "-h", brokers.HOST, "-p", refusing, "-t", "secret/#", expect=0x80,
        )
        assert b"secret/#" in failed.err, failed.err


@behaviour
def a_message_that_breaks_every_connection_is_given_up(host, port):
    with socket.create_server((brokers.HOST, 0)) as listener:

        def refuse():
            for _ in range(4):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"\x20\x02\x00\x00")
                    connection.recv(65536)

        threading.Thread(target=refuse, daemon=True).start()
        failed = tools.run(
            DUNLIN, "pub", "-h", brokers.HOST, "-p", listener.getsockname()[1], "-q", 1, "-t", "a",
            "-m", "x", expect=1,
        )
        assert b"too long" in failed.err, failed.err


@behaviour
def something_that_is_no_broker_is_recognised(host, port):
    listener, other = answering([b"HTTP/1.1 400 Bad Request\r\n\r\n"])
    with listener:
        failed = tools.run(DUNLIN, "pub", "-h", brokers.HOST, "-p", other, "-t", "a", "-m", "x", expect=1)
        assert b"rule of MQTT" in failed.err, failed.err


@behaviour
def a_closed_output_ends_the_subscriber_quietly(host, port):
    topic = unique("pipe")
    pub(host, port, "-q", 1, "-r", "-t", topic, "-m", "first")
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [DUNLIN, "sub", "-h", host, "-p", str(port), "-t", topic], stdout=writer, stderr=subprocess.PIPE,
    )
    os.close(writer)
    equal(os.read(reader, 100), b"first\n", "line")
    os.close(reader)
    pub(host, port, "-q", 1, "-t", topic, "-m", "second")
    _, errors = process.communicate(timeout=60)
    equal((process.returncode, errors), (0, b""), "status and errors")
    pub(host, port, "-q", 1, "-r", "-t", topic, "-n")


@behaviour
def only_what_was_printed_is_taken_from_a_session(host, port):
    topic, client_id = unique("exact"), unique("keeper")
    session = ["-i", client_id, "-c", "-q", 1, "-t", topic]
    sub(host, port, *session, "-E")
    sent = [f"m{number}" for number in range(6)]
    pub(host, port, "-q", 1, "-t", topic, "-l", stdin="\n".join(sent).encode())
    found = []
    for _ in sent[::2]:
        found += sub(host, port, *session, "-C", 2, "-W", 60).lines
    equal(found, sent, "lines")


class Relay:
    """Carries bytes between a client and the broker until the connection is cut."""

    def __init__(self, host, port):
        self._broker = (host, port)
        self._listener = socket.create_server((brokers.HOST, 0))
        self.port = self._listener.getsockname()[1]
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            broker = socket.create_connection(self._broker)
            self._open += [client, broker]
            for ends in ((client, broker), (broker, client)):
                threading.Thread(target=self._carry, args=ends, daemon=True).start()

    @staticmethod
    def _carry(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        while self._open:
            one = self._open.pop()
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def close(self):
        self._listener.close()
        self.cut()


@behaviour(version=VERSIONS)
def a_subscriber_comes_back_after_a_broken_connection(host, port, version):
    topic = unique("back")
    relay = Relay(host, port)
    with subscriber(brokers.HOST, relay.port, "-V", version, "-q", 1, "-t", topic) as waiting:
        relay.cut()
        # The second "ready" says that it has subscribed again.
        waiting.line_with(b"ready")
        pub(host, port, "-q", 1, "-t", topic, "-m", "after")
        equal(waiting.line(), b"after", "line")
        assert any("next attempt" in line for line in waiting.errors), waiting.errors
    relay.close()


@behaviour
def a_publisher_loses_no_lines_when_the_connection_breaks(host, port):
    topic = unique("stubborn")
    relay = Relay(host, port)
    with subscriber(host, port, "-q", 1, "-t", topic) as waiting:
        command = [DUNLIN, "pub", "-h", brokers.HOST, "-p", str(relay.port), "-q", "1", "-t", topic, "-l"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(b"1\n2\n")
        process.stdin.flush()
        equal([waiting.line(), waiting.line()], [b"1", b"2"], "lines")
        relay.cut()
        time.sleep(0.2)
        process.stdin.write(b"3\n4\n")
        process.stdin.close()
        found = []
        while b"4" not in found:
            found.append(waiting.line())
        # At least once: what was on its way when the connection broke may come again.
        equal(sorted(set(found) - {b"1", b"2"}), [b"3", b"4"], "lines")
        equal(process.wait(60), 0, "status")
        process.stderr.close()
    relay.close()


@behaviour
def debug_output_tells_what_happens(host, port):
    topic = unique("debug")
    done = pub(host, port, "-d", "-q", 1, "-t", topic, "-m", "x")
    said = done.err.decode()
    for words in ("connecting to", "connected", "published"):
        assert words in said, said


@behaviour
def help_and_wrong_use_are_told_apart(host, port):
    shown = tools.run(DUNLIN, "sub", "--help", expect=0)
    assert b"--topic" in shown.out, shown.out
    wrong = tools.run(DUNLIN, "sub", "-t", "a#", expect=1)
    assert b"a#" in wrong.err, wrong.err


if __name__ == "__main__":
    harness.main("dunlin-tools")
