"""What both brokers log of clients that come and go: scripts, and tools that bar addresses, read it.

The lines about who comes are Mosquitto's of every version. Those about who goes are 2.1's, with the address, and
after them dunlin may say more; here stand those of the Mosquitto that is installed (2.0) beside them.
"""

import re
import socket
import struct
import subprocess

from place import WHO, Place  # makes the modules of tests/clients known, too
import harness
from harness import behaviour, equal
from raw import PINGREQ, Client

BROKERS = ("mosquitto", "dunlin")
TEXT = WHO + "listener PORT 127.0.0.1\nallow_anonymous false\npassword_file DIR/passwords\nlog_dest stderr\n"
KNOWN = {"username": "anna", "password": "of the house"}
#: So long a client may be silent; Mosquitto looks at it every few seconds.
KEEP_ALIVE = 1


def leaves(place):
    with Client(place.port) as client:
        client.connect("leaves", **KNOWN)
        client.send(b"\xe0\x00")
        client.end()


def closes(place):
    with Client(place.port, version=5) as client:
        client.connect("closes", keep_alive=7, clean=False, **KNOWN)


def is_refused(place):
    with Client(place.port) as client:
        equal(client.connect("is-refused", username="anna", password="wrong"), (False, 5), "CONNACK")
        client.end()


def is_nobody(place):
    with Client(place.port, version=5) as client:
        equal(client.connect("is-nobody"), (False, 0x87), "CONNACK")
        client.end()


def falls_silent(place):
    with Client(place.port) as client:
        client.connect("falls-silent", keep_alive=KEEP_ALIVE, **KNOWN)
        client.end()


def breaks_rules(place):
    with Client(place.port) as client:
        client.connect("breaks-rules", **KNOWN)
        client.send(b"\x36\x05\x00\x01a\x00\x01")
        client.end()


def begins_otherwise(place):
    with Client(place.port) as client:
        client.send(PINGREQ)
        client.end()


def is_taken_over(place):
    with Client(place.port, version=5) as first, Client(place.port, version=5) as second:
        first.connect("is-taken-over", **KNOWN)
        second.connect("is-taken-over", **KNOWN)
        first.end()


def resets(place):
    with Client(place.port) as client:
        client.connect("resets", **KNOWN)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()


#: How each ends in the log: of Mosquitto 2.0, and of 2.1, which has the address, and of dunlin.
ENDS = {
    leaves: ("Client leaves disconnected.", "Client leaves [AT] disconnected."),
    closes: ("Client closes closed its connection.", "Client closes [AT] disconnected: connection closed by client."),
    is_refused: ("Client <unknown> disconnected, not authorised.", "Client is-refused [AT] disconnected: not authorised."),
    is_nobody: ("Client <unknown> disconnected, not authorised.", "Client is-nobody [AT] disconnected: not authorised."),
    falls_silent: ("Client falls-silent has exceeded timeout, disconnecting.",
                   "Client falls-silent [AT] disconnected: exceeded timeout."),
    breaks_rules: ("Client breaks-rules disconnected due to malformed packet.",
                   "Client breaks-rules [AT] disconnected: malformed packet."),
    begins_otherwise: ("Client <unknown> disconnected due to protocol error.",
                       "Client 127.0.0.1 [AT] disconnected: protocol error."),
    is_taken_over: ("Client is-taken-over already connected, closing old connection.",
                    "Client is-taken-over [AT] disconnected: session taken over."),
    resets: ("Client resets closed its connection.", "Client resets [AT] disconnected: bad socket read/write."),
}


def lines_of(kind, act):
    """What a broker logs when a client does that: addresses as AT, without the time, in their order."""
    with Place(**{"m.conf": TEXT, "passwords": ""}) as place:
        subprocess.run(["mosquitto_passwd", "-b", place.path("passwords"), KNOWN["username"], KNOWN["password"]],
                       check=True, capture_output=True)
        with place.start(kind) as broker:
            # The probe of the port, by which it is known that it listens, is in the log by then.
            broker.says(r"New connection|disconnected")
            with Client(place.port) as client:
                client.connect("mark", **KNOWN)
                client.send(b"\xe0\x00")
                client.end()
            broker.says(r"Client mark .*disconnected")
            before = len(broker.log())
            act(place)
            end = ENDS[act][BROKERS.index(kind)]
            # The time, and nothing else before it: filters are anchored there.
            broker.says(rf"(?m)^\d+: {re.escape(end).replace('AT', '[0-9.:]+')}")
            found = broker.log()[before:].splitlines()
    return [re.sub(r"127\.0\.0\.1:\d+", "AT", line).replace(f"port {place.port}", "port PORT") for line in found]


@behaviour(act=[act.__name__ for act in ENDS])
def it_is_logged_who_comes_and_goes(act):
    act = next(known for known in ENDS if known.__name__ == act)
    theirs, ours = (lines_of(kind, act) for kind in BROKERS)
    came = [[line.split(": ", 1)[1] for line in lines if ": New " in line] for lines in (theirs, ours)]
    equal(sorted(came[1]), sorted(came[0]), "who comes")
    assert came[0], theirs
    begun, ended = (next(at for at, line in enumerate(ours) if word in line) for word in (": New ", "] disconnected"))
    assert begun < ended, ours


@behaviour
def every_wrong_password_has_a_line_for_tools_that_count():
    with Place(**{"m.conf": TEXT, "passwords": ""}) as place, place.start() as broker:
        for _ in range(10):
            is_refused(place)
        broker.says_again(r"(?m)^\d+: Client is-refused \[127\.0\.0\.1:\d+\] disconnected: not authorised\.", 9)


if __name__ == "__main__":
    harness.main("log-words")
