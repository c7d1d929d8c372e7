"""SIGHUP while paho exchanges messages of QoS 1, plain and over TLS: none is lost, and who may stay stays.

    reload_suite.py - [PART OF A NAME]
"""

import contextlib
import shutil
import ssl
import threading
import time

from place import WHO, Place, dunlin_binary  # makes the modules of tests/clients known, too
import certificates
import harness
import tools
from harness import behaviour, equal, unique
from paho_client import Client as Paho
from raw import Client, Closed

CONFIGURATION = WHO + """allow_anonymous false
password_file DIR/passwords
acl_file DIR/acl
listener PORT 127.0.0.1
listener PORT2 127.0.0.1
certfile DIR/server.pem
keyfile DIR/server.key
"""

ACL = "user meter\ntopic readwrite load/#\n\nuser guest\ntopic readwrite guests/#\n"
METER = ("meter", "of-the-house-1")
GUEST = {"username": "guest", "password": "of-the-garden-1"}
#: Pairs of a writer and a reader, half of them over TLS.
PAIRS = 4


class Member(Paho):
    """A client with a name and, if wanted, TLS."""

    def __init__(self, place, tls, **options):
        self._tls = tls
        super().__init__("localhost", place.port2 if tls else place.port, "5", **options)

    def _new_paho(self, clean):
        client = super()._new_paho(clean)
        client.username_pw_set(*METER)
        if self._tls:
            client.tls_set(certificates.authority().path("ca.pem"))
        return client


class Load:
    """Pairs that exchange numbered messages until `end`, which checks that all came, in order, once, or `stop`."""

    def __init__(self, place):
        self._over = threading.Event()
        self.pairs = [(Member(place, tls=number % 2), Member(place, tls=number % 2)) for number in range(PAIRS)]
        self.topics = [unique("load/x") for _ in self.pairs]
        self.sent = [0] * PAIRS
        self.trouble = []
        for (reader, _), topic in zip(self.pairs, self.topics):
            equal(reader.subscribe(topic, qos=1), [1], "granted")
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(PAIRS)]
        for thread in self._threads:
            thread.start()

    def _write(self, number):
        try:
            while not self._over.is_set():
                self.pairs[number][1].publish(self.topics[number], str(self.sent[number]).encode(), 1)
                self.sent[number] += 1
        except Exception as error:
            self.trouble.append(error)

    def goes_on(self, messages=20):
        """Waits until every pair has sent some more."""
        before = list(self.sent)
        harness.eventually(
            lambda: self.trouble or all(now > then + messages for now, then in zip(self.sent, before)), "more load",
        )
        assert not self.trouble, self.trouble

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def end(self):
        self.stop()
        assert not self.trouble, self.trouble
        for (reader, writer), sent in zip(self.pairs, self.sent):
            expected = [str(number).encode() for number in range(sent)]
            equal(reader.receive_payloads(sent), expected, "payloads")
            assert reader.inbox.empty() and not reader.gone.is_set() and not writer.gone.is_set()
            reader.close()
            writer.close()


@contextlib.contextmanager
def under_load():
    with Place(**{"m.conf": CONFIGURATION, "acl": ACL}) as place:
        passwords(place, METER, tuple(GUEST.values()))
        certificate(place, "server")
        with place.start(ports=[place.port, place.port2]) as running:
            load = Load(place)
            try:
                load.goes_on()
                yield place, running, load
                load.goes_on()
                load.end()
            finally:
                load.stop()


def passwords(place, *users):
    """Writes the file anew; the line of who has the password already is kept."""
    old = place.read("passwords").splitlines() if (place.directory / "passwords").exists() else []
    place.write("new", "".join(line + "\n" for line in old if line.startswith("meter:")))
    for user, password in users:
        if user != "meter" or not old:
            tools.run("mosquitto_passwd", "-b", place.path("new"), user, password)
    shutil.move(place.path("new"), place.path("passwords"))


def certificate(place, name):
    own = certificates.authority()
    for end in ("pem", "key"):
        shutil.copy(own.path(f"{name}.{end}"), place.path(f"server.{end}"))


def guest(place, port=None):
    client = Client(port or place.port, version=5)
    answer = client.connect("guest-1", **GUEST)
    return client, answer and answer[1]


def reload(place):
    """As SIGHUP, but waits for the end and tells how it went."""
    return tools.run(dunlin_binary(), "ctl", "reload", "--socket", place.path("admin.sock"), expect=None)


@behaviour
def a_changed_password_ends_connections_that_used_the_old_one():
    with under_load() as (place, running, load):
        client, code = guest(place)
        equal(code, 0, "the guest")
        passwords(place, METER, ("guest", "another-one-2"))
        running.reload()
        found = client.end()
        assert found.startswith("DISCONNECT"), found
        _, code = guest(place)
        equal(code, 0x87, "the old password")


@behaviour
def a_user_who_is_gone_is_disconnected():
    with under_load() as (place, running, load):
        client, code = guest(place)
        equal(code, 0, "the guest")
        passwords(place, METER)
        running.reload()
        found = client.end()
        assert found.startswith("DISCONNECT"), found


@behaviour
def changed_rules_hold_for_who_is_there():
    with under_load() as (place, running, load):
        client, _ = guest(place)
        client.subscribe("guests/#", qos=1)
        equal(client.publish("guests/1", "before", 1), 0, "allowed")
        equal(client.message()[1], "before", "message")
        place.write("acl", ACL.replace("guests/#", "other/#"))
        running.reload()

        def denied():
            with Client(place.port, version=5) as asks:
                asks.connect("asks", **GUEST)
                return asks.publish("guests/1", "under the old ones", 1) == 0x87

        harness.eventually(denied, "the new rules")
        client.messages()
        try:
            equal(client.publish("guests/1", "after", 1), 0x87, "denied")
            equal(client.messages(), [], "messages")
        except Closed as closed:
            raise AssertionError(f"closed, though it may stay: {closed}") from closed


@behaviour
def a_new_certificate_is_shown_to_who_comes_new():
    with under_load() as (place, running, load):
        equal(shown(place), "localhost", "before")
        certificate(place, "renewed")
        running.reload()
        harness.eventually(lambda: shown(place) == "renewed", "the new certificate")


def shown(place):
    trusted = ssl.create_default_context(cafile=certificates.authority().path("ca.pem"))
    with Client(place.port2, tls=trusted) as client:
        return dict(part[0] for part in client.socket.getpeercert()["subject"])["commonName"]


@behaviour
def listeners_come_and_go():
    with under_load() as (place, running, load):
        place.write("m.conf", CONFIGURATION + "listener PORT3 127.0.0.1\n")
        running.reload()
        harness.eventually(lambda: accepts(place.port3), "the new listener")
        client, code = guest(place, place.port3)
        equal(code, 0, "on the new listener")
        place.write("m.conf", CONFIGURATION)
        running.reload()
        harness.eventually(lambda: not accepts(place.port3), "the listener to be gone")
        # Who came through it stays: a door that is shut puts nobody out.
        equal(client.publish("guests/1", "still", 1), 0x10, "the guest")


def accepts(port):
    try:
        with Client(port):
            return True
    except OSError:
        return False


#: What is broken: file, text, and the words of the answer.
BROKEN = {
    "key": ("m.conf", CONFIGURATION + "maximum_connections 5\n", r"m\.conf:9"),
    "value": ("m.conf", CONFIGURATION + "max_connections some\n", r"m\.conf:9"),
    "rules": ("acl", ACL + "topic everything x\n", r"acl:\d+"),
    "no passwords": ("m.conf", CONFIGURATION.replace("DIR/passwords", "DIR/none"), r"none"),
    "certificate": ("server.pem", "nothing\n", r"server\.pem"),
}


@behaviour(what=list(BROKEN))
def what_is_broken_changes_nothing_and_is_named(what):
    name, text, words = BROKEN[what]
    with under_load() as (place, running, load):
        before = place.read(name)
        client, _ = guest(place)
        place.write(name, text)
        running.reload()
        running.says(words)
        done = reload(place)
        equal(done.status, 3, "exit status of ctl reload")
        assert "configuration" in place.ctl("alarms", expect=2)
        equal(client.publish("guests/1", "still", 1), 0x10, "the guest")
        equal(guest(place)[1], 0, "another guest")
        place.write(name, before)
        equal(reload(place).status, 0, "exit status of the next reload")
        assert "configuration" not in place.ctl("alarms", expect=None)


@behaviour
def a_user_whose_line_cannot_be_used_is_named_and_left_out():
    """As by Mosquitto; all others stay."""
    with under_load() as (place, running, load):
        client, _ = guest(place)
        place.write("passwords", place.read("passwords").splitlines()[0] + "\nguest:in-clear\n")
        equal(reload(place).status, 0, "exit status of ctl reload")
        running.says(r"passwords:2")
        assert "in-clear" not in running.log(), "a password is in the log"
        found = client.end()
        assert found.startswith("DISCONNECT"), found


@behaviour
def ten_reloads_in_a_row_lose_nothing():
    with under_load() as (place, running, load):
        for number in range(10):
            place.write("m.conf", CONFIGURATION + f"max_queued_messages {1000 + number}\n")
            running.reload()
            time.sleep(0.05)
        load.goes_on(50)


if __name__ == "__main__":
    harness.main("reload")
