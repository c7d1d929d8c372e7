"""What can be asked of a broker with raw packets; each answer is a value that two brokers can be compared by."""

import time

from raw import ANSWER_SECONDS, Client, Closed

VERSIONS = (4, 5)
#: After so many seconds, multiplied by `slowness`, nothing more comes; the last: a connection stays open.
QUIET, LATE, OPEN = 0.1, 2, 8
#: More than 1 for a machine that has other things to do.
slowness = 1


def enters(port="port", client_id="probe", versions=VERSIONS, **options):
    """How CONNECT is answered, for each version: the code, or `closed`."""

    def ask(place):
        found = {}
        for version in versions:
            with Client(getattr(place, port), version) as client:
                answer = client.connect(client_id, **options)
                found[version] = "closed" if answer is None else answer[1]
        return found

    return ask


def publishes(topic, qos=1, port="port", version=5, retain=False, client_id="probe", **options):
    """How PUBLISH is acknowledged, or how the connection ends over it."""

    def ask(place):
        with Client(getattr(place, port), version) as client:
            if client.connect(client_id, **options) is None:
                return "not let in"
            try:
                return client.publish(topic, "value", qos, retain)
            except Closed as closed:
                return f"closed {closed}"

    return ask


def granted(*filters, qos=1, port="port", version=5, client_id="probe", **options):
    """What SUBACK says."""

    def ask(place):
        with Client(getattr(place, port), version) as client:
            if client.connect(client_id, **options) is None:
                return "not let in"
            return client.subscribe(*filters, qos=qos)

    return ask


def delivered(topic, filter_, to, by, qos=1, version=4, ports=("port", "port"), retain=False):
    """What a subscriber gets of a message; `to` and `by` are the options of the two connections."""

    def ask(place):
        with Client(getattr(place, ports[0]), version) as reader, \
                Client(getattr(place, ports[1]), version) as writer:
            reader.connect(**{"client_id": "reader", **to})
            writer.connect(**{"client_id": "writer", **by})
            reader.subscribe(filter_, qos=qos)
            try:
                writer.publish(topic, "value", qos, retain)
            except Closed:
                return "the writer was closed"
            return until_quiet(reader)

    return ask


def until_quiet(client, pings=3, due=0):
    """Messages until three pings in a row bring none: another thread may still be passing one on. So many that
    are due are waited for longer."""
    found, quiet, deadline = [], 0, time.monotonic() + ANSWER_SECONDS
    while quiet < pings or len(found) < due and time.monotonic() < deadline:
        some = client.messages()
        quiet = 0 if some else quiet + 1
        found += some
        client.silent(QUIET * slowness)
    return found


def retained(topic, filter_, options=None, late=None, port="port", version=4):
    """What a late subscriber finds."""

    def ask(place):
        with Client(getattr(place, port), version) as writer:
            writer.connect(**{"client_id": "writer", **(options or {})})
            try:
                writer.publish(topic, "kept", 1, True)
            except Closed as closed:
                return f"closed {closed}"
        with Client(getattr(place, port), version) as reader:
            reader.connect(**{"client_id": "reader", **(late or {})})
            reader.subscribe(filter_, qos=1)
            return until_quiet(reader)

    return ask


def will(topic, filter_, by=None, to=None, port="port"):
    """What a subscriber gets when the connection of another breaks."""

    def ask(place):
        with Client(getattr(place, port)) as reader:
            reader.connect(**{"client_id": "reader", **(to or {})})
            reader.subscribe(filter_, qos=1)
            writer = Client(getattr(place, port))
            entered = writer.connect(**{"client_id": "writer", **(by or {})}, will=(topic, "gone", 1, 0))
            writer.close()
            if not entered or entered[1]:
                return entered
            try:
                return reader.message(LATE * slowness)
            except TimeoutError:
                return "nothing"

    return ask


def told(data, connected=True, version=5, port="port", **options):
    """How the broker ends a connection on which these bytes come."""

    def ask(place):
        with Client(getattr(place, port), version) as client:
            if connected:
                client.connect(**{"client_id": "probe", **options})
            try:
                client.send(data)
            except Closed:
                return "closed"
            return client.end(OPEN * slowness)

    return ask


def at_once(count, port="port", version=4):
    """What each of so many connections that are open at once is told."""

    def ask(place):
        clients, found = [], []
        try:
            for number in range(count):
                try:
                    clients.append(Client(getattr(place, port), version))
                    answer = clients[-1].connect(f"at-once-{number}")
                    found.append("closed" if answer is None else answer[1])
                except (Closed, OSError):
                    found.append("closed")
        finally:
            for client in clients:
                client.close()
            # The places of those that left are free when the broker has seen it.
            time.sleep(0.5 * slowness)
        return found

    return ask


def connack(port="port", version=5, **options):
    """The body of CONNACK as it is on the wire."""

    def ask(place):
        with Client(getattr(place, port), version) as client:
            client.connect(**{"client_id": "probe", **options})
            return client.connack.hex()

    return ask
