"""Behaviours of a publishing and a subscribing command that share Mosquitto's flags.

The suites that import this say in `tools.PUB` and `tools.SUB` which commands are meant.
"""

import json
import os
import tempfile
import time

import tools
from harness import behaviour, equal, unique

VERSIONS = ["mqttv31", "mqttv311", "mqttv5"]


def pub(host, port, *arguments, **options):
    return tools.run(*tools.PUB, "-h", host, "-p", port, *arguments, **options)


def sub(host, port, *arguments, **options):
    return tools.run(*tools.SUB, "-h", host, "-p", port, *arguments, **options)


def subscriber(host, port, *arguments):
    """Starts a subscriber and waits until its subscriptions are in place.

    A retained message that its last filter matches tells.
    """
    topic = unique("dunlin-test/ready")
    pub(host, port, "-t", topic, "-m", "ready", "-r", "-q", 1)
    started = tools.Background(*tools.SUB, "-h", host, "-p", port, *arguments, "-t", topic)
    started.line_with(b"ready")
    return started


@behaviour(version=VERSIONS, qos=[0, 1, 2])
def a_published_message_is_printed(host, port, version, qos):
    topic = unique("tools")
    with subscriber(host, port, "-V", version, "-q", qos, "-t", topic, "-C", 2) as waiting:
        pub(host, port, "-V", version, "-q", qos, "-t", topic, "-m", "hello world")
        equal(waiting.line(), b"hello world", "line")
        waiting.wait(expect=0)


@behaviour(version=VERSIONS)
def verbose_output_names_the_topic(host, port, version):
    base = unique("verbose")
    with subscriber(host, port, "-V", version, "-v", "-t", f"{base}/#") as waiting:
        pub(host, port, "-V", version, "-t", f"{base}/room", "-m", "21.5")
        equal(waiting.line(), f"{base}/room 21.5".encode(), "line")


@behaviour(version=VERSIONS)
def retained_messages_are_set_filtered_and_removed(host, port, version):
    topic = unique("retained")
    pub(host, port, "-V", version, "-t", topic, "-m", "kept", "-r", "-q", 1)
    equal(sub(host, port, "-V", version, "-t", topic, "-C", 1, "-W", 60).lines, ["kept"], "lines")
    stale = sub(host, port, "-V", version, "-t", topic, "-R", "-W", 1, expect=27)
    equal(stale.lines, [], "lines with -R")
    # As long as it takes, on a machine that has other things to do.
    for seconds in (1, 5, 25):
        sub(host, port, "-V", version, "-t", topic, "--remove-retained", "-W", seconds, expect=27)
        empty = sub(host, port, "-V", version, "-t", topic, "-W", seconds, expect=27)
        if not empty.lines:
            break
    equal(empty.lines, [], "lines after the removal")


@behaviour
def retained_only_ends_with_the_first_live_message(host, port):
    topic = unique("retained-only")
    pub(host, port, "-t", topic, "-m", "kept", "-r", "-q", 1)
    waiting = tools.Background(*tools.SUB, "-h", host, "-p", port, "-t", topic, "--retained-only")
    with waiting:
        equal(waiting.line(), b"kept", "line")
        pub(host, port, "-t", topic, "-m", "live")
        waiting.wait(expect=0)
    pub(host, port, "-t", topic, "-n", "-r")


@behaviour
def a_null_message_clears_what_is_retained(host, port):
    topic = unique("null")
    pub(host, port, "-t", topic, "-m", "kept", "-r", "-q", 1)
    pub(host, port, "-t", topic, "-n", "-r", "-q", 1)
    equal(sub(host, port, "-t", topic, "-W", 1, expect=27).lines, [], "lines")


@behaviour(version=VERSIONS)
def a_persistent_session_keeps_messages(host, port, version):
    topic, client_id = unique("kept"), unique("keeper")
    session = ["-V", version, "-i", client_id, "-c", "-q", 1, "-t", topic]
    sub(host, port, *session, "-E")
    for number in range(5):
        pub(host, port, "-V", version, "-q", 1, "-t", topic, "-m", f"m{number}")
    found = sub(host, port, *session, "-C", 5, "-W", 60).lines
    equal(found, [f"m{number}" for number in range(5)], "lines")
    sub(host, port, "-V", version, "-i", client_id, "-t", topic, "-E")


@behaviour(qos=[0, 1, 2])
def each_line_of_the_input_is_a_message(host, port, qos):
    topic = unique("lines")
    sent = [f"line {number}" for number in range(300)]
    with subscriber(host, port, "-q", qos, "-t", topic) as waiting:
        pub(host, port, "-q", qos, "-t", topic, "-l", stdin="\n".join(sent).encode() + b"\n")
        equal([waiting.line().decode() for _ in sent], sent, "lines")


@behaviour
def the_whole_input_is_one_message(host, port):
    topic = unique("stdin")
    with subscriber(host, port, "-q", 1, "-F", "%t %l %x", "-t", topic) as waiting:
        pub(host, port, "-q", 1, "-t", topic, "-s", stdin=b"a\nb\x00\n")
        equal(waiting.line(), f"{topic} 5 610a62000a".encode(), "line")


@behaviour
def a_file_is_one_message(host, port):
    topic = unique("file")
    content = os.urandom(300_000)
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        pub(host, port, "-q", 1, "-r", "-t", topic, "-f", file.name)
    found = sub(host, port, "-t", topic, "-N", "-C", 1, "-W", 60).out
    assert found == content, f"{len(found)} bytes of {len(content)}, or others"
    pub(host, port, "-t", topic, "-n", "-r")


@behaviour
def a_message_is_repeated(host, port):
    topic = unique("repeat")
    with subscriber(host, port, "-q", 1, "-t", topic) as waiting:
        began = time.monotonic()
        pub(host, port, "-q", 1, "-t", topic, "-m", "again", "--repeat", 3, "--repeat-delay", 0.2)
        took = time.monotonic() - began
        equal([waiting.line() for _ in range(3)], [b"again"] * 3, "lines")
        assert took >= 0.4, f"three messages 0.2 s apart took {took:.2f} s"


@behaviour(version=VERSIONS)
def a_will_is_published_when_the_subscriber_is_killed(host, port, version):
    topic = unique("will")
    with subscriber(host, port, "-q", 1, "-t", topic) as watcher:
        with subscriber(
            host, port, "-V", version, "-t", unique("any"), "--will-topic", topic,
            "--will-payload", "killed", "--will-qos", 1,
        ) as victim:
            victim.kill()
        equal(watcher.line(), b"killed", "will")


@behaviour
def a_retained_will_stays(host, port):
    topic = unique("will-retained")
    with subscriber(
        host, port, "-t", unique("any"), "--will-topic", topic, "--will-payload", "stays",
        "--will-qos", 1, "--will-retain",
    ) as victim:
        victim.kill()
    found = sub(host, port, "-t", topic, "-C", 1, "-W", 60, "-F", "%r %p").lines
    equal(found, ["1 stays"], "lines")
    pub(host, port, "-t", topic, "-n", "-r")


@behaviour
def an_interrupt_ends_the_subscriber_without_its_will(host, port):
    topic = unique("will-interrupted")
    with subscriber(host, port, "-q", 1, "-t", topic) as watcher:
        with subscriber(
            host, port, "-t", unique("any"), "--will-topic", topic, "--will-payload", "wrong",
        ) as ended:
            ended.interrupt()
            ended.wait(expect=0)
        pub(host, port, "-q", 1, "-t", topic, "-m", "marker")
        equal(watcher.line(), b"marker", "line")


@behaviour
def a_timeout_ends_the_subscriber_with_27(host, port):
    # Others may hold the machine up, but not every time.
    for _ in range(5):
        began = time.monotonic()
        sub(host, port, "-t", unique("nothing"), "-W", 1, expect=27)
        took = time.monotonic() - began
        assert took >= 0.9, f"took {took:.2f} s"
        if took <= 4:
            return
    raise AssertionError(f"took {took:.2f} s")


@behaviour
def filtered_topics_are_not_printed(host, port):
    base = unique("filter")
    with subscriber(host, port, "-v", "-q", 1, "-t", f"{base}/#", "-T", f"{base}/noise/+") as waiting:
        pub(host, port, "-q", 1, "-t", f"{base}/noise/x", "-m", "noise")
        pub(host, port, "-q", 1, "-t", f"{base}/signal", "-m", "signal")
        equal(waiting.line(), f"{base}/signal signal".encode(), "line")


@behaviour
def a_session_is_unsubscribed_at_start(host, port):
    found = [unsubscribed_at_start(host, port, 0.5)]
    # UNSUBSCRIBE goes out after SUBSCRIBE: it is given time to be answered, more on a busy machine.
    while found[-1] != b"new" and len(found) < 4:
        found.append(unsubscribed_at_start(host, port, 4 ** len(found)))
    equal(found[-1], b"new", "line")


def unsubscribed_at_start(host, port, seconds):
    client_id, old, new = unique("keeper"), unique("old"), unique("new")
    session = ["-i", client_id, "-c", "-q", 1]
    sub(host, port, *session, "-t", old, "-E")
    with subscriber(host, port, *session, "-U", old, "-t", new) as waiting:
        time.sleep(seconds)
        pub(host, port, "-q", 1, "-t", old, "-m", "old")
        pub(host, port, "-q", 1, "-t", new, "-m", "new")
        line = waiting.line()
    sub(host, port, "-i", client_id, "-t", new, "-E")
    return line


@behaviour
def several_filters_share_one_connection(host, port):
    first, second = unique("first"), unique("second")
    with subscriber(host, port, "-v", "-q", 1, "-t", first, "-t", second) as waiting:
        pub(host, port, "-q", 1, "-t", second, "-m", "2")
        pub(host, port, "-q", 1, "-t", first, "-m", "1")
        found = [waiting.line().decode(), waiting.line().decode()]
        equal(found, [f"{second} 2", f"{first} 1"], "lines")


@behaviour
def a_format_prints_the_parts_of_a_message(host, port):
    topic = unique("format")
    pub(host, port, "-q", 1, "-r", "-t", topic, "-m", "abc")
    layout = r"%t|%p|%q|%r|%l|%x|%X|%%|@@|\t"
    found = sub(host, port, "-q", 1, "-t", topic, "-C", 1, "-W", 60, "-F", layout).lines
    equal(found, [f"{topic}|abc|1|1|3|616263|616263|%|@|\t"], "lines")
    found = sub(host, port, "-q", 1, "-t", topic, "-C", 1, "-W", 60, "-F", "%j").lines
    parts = json.loads(found[0])
    kept = {name: parts[name] for name in ("topic", "qos", "retain", "payloadlen", "payload")}
    expected = {"topic": topic, "qos": 1, "retain": 1, "payloadlen": 3, "payload": "abc"}
    equal(kept, expected, "JSON")
    pub(host, port, "-t", topic, "-n", "-r")


@behaviour
def an_url_names_broker_and_topic(host, port):
    topic = unique("url/of")
    pub(host, port, "-r", "-q", 1, "-t", topic, "-m", "by url")
    url = f"mqtt://{host}:{port}/{topic}"
    equal(tools.run(*tools.SUB, "-L", url, "-C", 1, "-W", 60).lines, ["by url"], "lines")
    tools.run(*tools.PUB, "-L", url, "-n", "-r")


@behaviour
def properties_of_a_publish_reach_the_subscriber(host, port):
    topic = unique("properties")
    layout = "%C|%R|%D|%P|%F|%p"
    with subscriber(host, port, "-V", 5, "-q", 1, "-t", topic, "-F", layout) as waiting:
        pub(
            host, port, "-V", 5, "-q", 1, "-t", topic, "-m", "text",
            "-D", "publish", "content-type", "text/plain",
            "-D", "publish", "response-topic", "reply/to",
            "-D", "publish", "correlation-data", "id-1",
            "-D", "publish", "payload-format-indicator", 1,
            "-D", "publish", "user-property", "b", "1",
            "-D", "publish", "user-property", "a", "2",
        )
        found = waiting.line().decode()
    start, middle, end = "text/plain|reply/to|id-1|", ("b:1 a:2", "b:1a:2"), "|1|text"
    assert found in [f"{start}{users}{end}" for users in middle], found


@behaviour
def a_subscription_identifier_comes_with_each_message(host, port):
    topic = unique("identifier")
    with subscriber(
        host, port, "-V", 5, "-q", 1, "-t", topic, "-F", "%S %p",
        "-D", "subscribe", "subscription-identifier", 12,
    ) as waiting:
        pub(host, port, "-V", 5, "-q", 1, "-t", topic, "-m", "x")
        equal(waiting.line(), b"12 x", "line")


@behaviour
def an_expired_message_is_not_printed(host, port):
    topic = unique("expiry")
    expiry = ["-D", "publish", "message-expiry-interval", 1]
    pub(host, port, "-V", 5, "-q", 1, "-r", "-t", topic, "-m", "short", *expiry)
    time.sleep(2.2)
    equal(sub(host, port, "-V", 5, "-t", topic, "-W", 1, expect=27).lines, [], "lines")


@behaviour
def a_session_expiry_keeps_the_session_that_long(host, port):
    topic, client_id = unique("session"), unique("keeper")
    session = ["-V", 5, "-i", client_id, "-q", 1, "-t", topic]
    sub(host, port, *session, "-c", "-x", 60, "-E")
    pub(host, port, "-q", 1, "-t", topic, "-m", "kept")
    equal(sub(host, port, *session, "-c", "-x", 1, "-C", 1, "-W", 60).lines, ["kept"], "lines")
    time.sleep(2.2)
    pub(host, port, "-q", 1, "-t", topic, "-m", "lost")
    sub(host, port, *session, "-c", "-x", 0, "-W", 1, expect=27)


@behaviour
def a_shared_subscription_splits_messages(host, port):
    topic, group = unique("shared"), unique("group")
    shared = ["-V", 5, "-q", 1, "-t", f"$share/{group}/{topic}"]
    with subscriber(host, port, *shared) as one, subscriber(host, port, *shared) as two:
        sent = "".join(f"{number}\n" for number in range(10)).encode()
        pub(host, port, "-V", 5, "-q", 1, "-t", topic, "-l", stdin=sent)
        found = [one.line(), two.line()]
        assert len(set(found)) == 2, found


@behaviour(version=["mqttv311", "mqttv5"])
def a_topic_with_a_wildcard_cannot_be_published_to(host, port, version):
    pub(host, port, "-V", version, "-t", "a/+", "-m", "x", expect=1)


@behaviour
def a_port_without_a_broker_is_an_error(host, port):
    failed = tools.run(*tools.PUB, "-h", host, "-p", 1, "-t", "a", "-m", "x", expect=1)
    assert b"refused" in failed.err, failed.err
