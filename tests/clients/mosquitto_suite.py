"""Mosquitto's command-line clients."""

import harness
import tools
from harness import behaviour, equal, unique
from tool_behaviours import VERSIONS, sub, subscriber

tools.PUB = ["mosquitto_pub"]
tools.SUB = ["mosquitto_sub"]


@behaviour(version=VERSIONS[1:])
def a_request_gets_its_response(host, port, version):
    """mosquitto_rr asks; a responder built from the other two commands answers."""
    ask, answer = unique("request"), unique("response")
    with subscriber(host, port, "-V", version, "-q", 1, "-t", ask) as responder:
        with tools.Background(
            "mosquitto_rr", "-h", host, "-p", port, "-V", version, "-q", 1,
            "-t", ask, "-e", answer, "-m", "question", "-W", 15,
        ) as requester:
            equal(responder.line(), b"question", "request")
            tools.run(
                *tools.PUB, "-h", host, "-p", port, "-V", version, "-q", 1, "-t", answer, "-m", "reply",
            )
            equal(requester.line(), b"reply", "response")
            requester.wait(expect=0)


@behaviour
def broker_topics_are_there_for_the_asking(host, port):
    found = sub(host, port, "-t", "$SYS/broker/version", "-C", 1, "-W", 15).lines
    assert found and found[0], found


if __name__ == "__main__":
    harness.main("mosquitto-tools")
