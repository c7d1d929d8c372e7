"""The same configuration file with dunlin and with Mosquitto: the same answers to the same packets.

    beside_mosquitto.py - [PART OF A NAME]
"""

import functools
import subprocess

from place import Place
import configurations
import harness
from differences import DIFFERENCES
from harness import behaviour
from raw import Closed

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
def answers(kind, name):
    """What one broker answers to all probes of a configuration."""
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
    theirs, ours = (answers(kind, name) for kind in BROKERS)
    trouble = []
    for probe in theirs:
        known = DIFFERENCES.get((name, probe))
        if known and (theirs[probe], ours[probe]) != known[:2]:
            trouble.append(f"{probe}: mosquitto {theirs[probe]}, dunlin {ours[probe]}, known: {known}")
        elif not known and theirs[probe] != ours[probe]:
            trouble.append(f"{probe}: mosquitto {theirs[probe]}, dunlin {ours[probe]}")
    assert not trouble, "; ".join(trouble)


@behaviour
def every_difference_that_is_explained_is_asked_for():
    for name, probe in DIFFERENCES:
        assert probe in configurations.ALL[name]["probes"] or probe == "exit status", (name, probe)


if __name__ == "__main__":
    harness.main("beside-mosquitto")
