"""The same configuration file with dunlin and with Mosquitto: the same answers to the same packets.

    beside_mosquitto.py - [PART OF A NAME]
"""

import functools
import subprocess

from place import WHO, Place  # makes the modules of tests/clients known, too
import configurations
import harness
import probes
from differences import DIFFERENCES
from harness import behaviour, equal
from probes import until_quiet
from raw import Client, Closed

BROKERS = ("mosquitto", "dunlin")


def place_of(configuration):
    """The files of a configuration, those of the passwords as Mosquitto's tool writes them."""
    place = Place(**{"m.conf": configuration["text"], **configuration.get("files", {})})
    if configuration.get("passwords"):
        place.write("passwords", "")
        for user, password in configurations.USERS.items():
            subprocess.run(["mosquitto_passwd", "-b", place.path("passwords"), user, password], check=True,
                           capture_output=True)
    return place


@functools.cache
def answers(kind, name, slowness):
    """What one broker answers to all probes of a configuration."""
    probes.slowness = slowness
    configuration = configurations.ALL[name]
    with place_of(configuration) as place:
        ports = [getattr(place, port) for port in configuration.get("ports", ("port",))]
        arguments = configuration.get("arguments", ("-c", "DIR/m.conf"))
        with place.start(kind, arguments, ports) as broker:
            found = {probe: answer(ask, place) for probe, ask in configuration["probes"].items()}
            assert broker.process.poll() is None, f"{kind} ended: {broker.log()[-2000:]}"
            found["exit status"] = broker.stop()
            return found


def answer(ask, place):
    try:
        return ask(place)
    except (Closed, TimeoutError, OSError) as error:
        return f"{type(error).__name__} {error}".strip()


@behaviour(name=list(configurations.ALL))
def both_answer_alike(name):
    # On a machine that has other things to do, what comes late may be missed: then all are asked again, slowly.
    trouble = differences(name, 1) and differences(name, 8)
    assert not trouble, "; ".join(trouble)


def differences(name, slowness):
    theirs, ours = (answers(kind, name, slowness) for kind in BROKERS)
    trouble = []
    for probe in theirs:
        known = DIFFERENCES.get((name, probe))
        if known and (theirs[probe], ours[probe]) != known[:2]:
            trouble.append(f"{probe}: mosquitto {theirs[probe]}, dunlin {ours[probe]}, known: {known}")
        elif not known and theirs[probe] != ours[probe]:
            trouble.append(f"{probe}: mosquitto {theirs[probe]}, dunlin {ours[probe]}")
    return trouble


KEPT = WHO + """listener PORT 127.0.0.1
allow_anonymous true
persistence true
persistence_location DIR/lib/
persistence_file kept.db
autosave_interval 1
"""


@behaviour(kind=BROKERS)
def sessions_queues_and_retained_messages_outlive_a_restart(kind):
    with Place(**{"m.conf": KEPT, "lib/there": ""}) as place:
        with place.start(kind) as broker:
            with Client(place.port) as reader, Client(place.port) as writer:
                equal(reader.connect("reader", clean=False), (False, 0), "CONNACK")
                equal(reader.subscribe("queue/#", qos=2), [2], "granted")
                reader.send(b"\xe0\x00")
                writer.connect("writer")
                for number in range(10):
                    writer.publish(f"queue/{number}", str(number), 1 + number % 2)
                writer.publish("retained", "kept", 1, True)
            equal(broker.stop(), 0, "exit status")
        assert (place.directory / "lib/kept.db").is_file(), "persistence_file"
        with place.start(kind), Client(place.port) as reader:
            equal(reader.connect("reader", clean=False), (True, 0), "CONNACK")
            found = until_quiet(reader, due=10)
            equal([payload for _, payload, _, _ in found], [str(number) for number in range(10)], "payloads")
            equal(reader.subscribe("retained", qos=1), [1], "granted")
            equal(until_quiet(reader, due=1), [("retained", "kept", 1, 1)], "retained")


@behaviour
def what_mosquitto_kept_dunlin_goes_on_with():
    """The database of one is taken in by the other: nothing is lost in moving over."""
    with Place(**{"m.conf": KEPT, "lib/there": ""}) as place:
        with place.start("mosquitto"), Client(place.port) as reader, Client(place.port) as writer:
            reader.connect("reader", clean=False)
            reader.subscribe("queue/#", qos=1)
            reader.send(b"\xe0\x00")
            writer.connect("writer")
            writer.publish("queue/1", "waits", 1)
            writer.publish("retained", "kept", 1, True)
        with place.start("dunlin"), Client(place.port) as reader:
            equal(reader.connect("reader", clean=False), (True, 0), "CONNACK")
            equal(until_quiet(reader, due=1), [("queue/1", "waits", 1, 0)], "queued")
            reader.subscribe("retained", qos=1)
            equal(until_quiet(reader, due=1), [("retained", "kept", 1, 1)], "retained")


@behaviour
def what_mosquitto_kept_is_sent_only_while_its_publisher_may_write():
    """Who published it is in the database; `check_retain_source` is about that."""
    rules = "topic read #\n\nuser meter\ntopic readwrite a\ntopic {} b\n"
    conf = KEPT + "acl_file DIR/acl\npassword_file DIR/passwords\n"
    with Place(**{"m.conf": conf, "lib/there": "", "passwords": "", "acl": rules.format("write")}) as place:
        subprocess.run(["mosquitto_passwd", "-b", place.path("passwords"), "meter", "of-the-house"], check=True,
                       capture_output=True)
        with place.start("mosquitto"), Client(place.port) as writer:
            writer.connect("writer", **configurations.METER)
            for topic in ("a", "b"):
                writer.publish(topic, "kept", 1, True)
        place.write("acl", rules.format("read"))
        with place.start("dunlin"), Client(place.port) as reader:
            reader.connect("reader")
            reader.subscribe("a", "b", qos=1)
            equal(until_quiet(reader), [("a", "kept", 1, 1)], "retained")


@behaviour(line=["listner 1883", "allow_anonymous maybe", "listener 99999"])
def a_wrong_file_stops_both(line):
    """With a message and a status that is not 0; dunlin's says file and line."""
    for kind in BROKERS:
        with Place(**{"m.conf": WHO + "listener PORT 127.0.0.1\n" + line + "\n"}) as place:
            broker = place.start(kind, ports=[])
            status = broker.process.wait(60)
            assert status != 0, f"{kind} started: {broker.log()}"
            if kind == "dunlin":
                equal(status, 3, "exit status")
                broker.says(r"m\.conf:3")
            broker.stop()


@behaviour
def every_difference_that_is_explained_is_asked_for():
    for name, probe in DIFFERENCES:
        assert probe in configurations.ALL[name]["probes"] or probe == "exit status", (name, probe)


if __name__ == "__main__":
    harness.main("beside-mosquitto")
