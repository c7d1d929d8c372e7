"""A course that secures a broker, step by step as it is written, with what fails on purpose: what the client is
told, what the log says, and what `dunlin ctl why` says.

    lab4_suite.py - [PART OF A NAME]
"""

import contextlib
import functools
import getpass
import os
import re
import ssl

from place import HOST, WHO, Place, dunlin_binary  # makes the modules of tests/clients known, too
import certificates
import harness
import tools
from certificates import openssl
from harness import behaviour, equal
from raw import Client

#: The configuration of the course; only ports, paths and who runs it are ours.
CONFIGURATION = """\
# Default listener (disabled)
listener PORT
allow_anonymous false
# TLS listener
listener PORT2
cafile DIR/certs/ca.crt
certfile DIR/certs/server.crt
keyfile DIR/certs/server.key
require_certificate false
# Password file
password_file DIR/passwd
# Logging
log_dest file DIR/mosquitto.log
log_type all
""" + WHO

SUBJECT = "/C=US/ST=State/L=City/O=IoTClass/CN="
#: With the name of this machine, since `mqtt.local` is known to nobody here.
NAMES = "subjectAltName=DNS:mqtt.local,DNS:localhost"
PASSWORD = "twelve-or-more"


def authority_and_server(directory, names):
    """The commands of the course; `names` is what it forgets, and empty is as it has them."""
    directory.mkdir()
    run = functools.partial(openssl, directory=directory)
    # Without -nodes it would ask for a passphrase.
    run("req", "-new", "-x509", "-days", "365", "-extensions", "v3_ca", "-nodes", "-keyout", "ca.key", "-out",
        "ca.crt", "-subj", SUBJECT + "CA")
    run("genrsa", "-out", "server.key", "2048")
    run("req", "-new", "-out", "server.csr", "-key", "server.key", "-subj", SUBJECT + "mqtt.local")
    (directory / "names").write_text(names + "\n")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out",
        "server.crt", "-days", "365", *(["-extfile", "names"] if names else []))
    for file in directory.iterdir():
        file.chmod(0o600 if file.suffix == ".key" else 0o644)


@contextlib.contextmanager
def classroom(names=NAMES):
    with Place(**{"m.conf": CONFIGURATION}) as place:
        authority_and_server(place.directory / "certs", names)
        tool = ["mosquitto_passwd", "-b"]
        tools.run(*tool, "-c", place.path("passwd"), "iotuser", PASSWORD)
        tools.run(*tool, place.path("passwd"), "admin", PASSWORD + "!")
        with place.start(ports=[place.port, place.port2]) as running:
            yield place, running


def publish(place, *arguments, port=None, expect=None, tls=True):
    secure = ["--cafile", place.path("certs/ca.crt")] if tls else []
    return tools.run(
        "mosquitto_pub", "-h", "localhost" if tls else HOST, "-p", port or place.port2, *secure, "-t", "secure/test",
        "-q", 1, *arguments, expect=expect,
    )


USER = ("-u", "iotuser", "-P", PASSWORD)


@behaviour
def who_knows_a_password_publishes():
    with classroom() as (place, _):
        for version in ("mqttv31", "mqttv311", "mqttv5"):
            publish(place, *USER, "-V", version, "-m", "Hello from terminal", expect=0)
        publish(place, "-u", "admin", "-P", PASSWORD + "!", "-m", "added later", expect=0)
        publish(place, *USER, "-m", "kept", "-r", expect=0)
        found = tools.run("mosquitto_sub", "-h", "localhost", "-p", place.port2, "--cafile",
                          place.path("certs/ca.crt"), *USER, "-t", "secure/#", "-C", 1, "-W", 60)
        equal(found.lines, ["kept"], "lines")


@behaviour(case=["nobody", "wrong password", "unknown user", "no password"], version=["mqttv311", "mqttv5"])
def who_does_not_is_refused_and_told_why(case, version):
    who = {
        "nobody": (), "wrong password": ("-u", "iotuser", "-P", "not-this-one"),
        "unknown user": ("-u", "somebody", "-P", PASSWORD), "no password": ("-u", "iotuser"),
    }[case]
    with classroom() as (place, _):
        done = publish(place, *who, "-V", version, "-i", "student", "-m", "This will fail")
        # Mosquitto's client ends with the return code of 3.1.1, and with 0x87 of 5.0.
        equal(done.status, {"mqttv311": 5, "mqttv5": 0x87}[version], "exit status")
        words = done.err.decode().lower()
        assert "not authori" in words, words
        harness.eventually(lambda: "student" in place.read("mosquitto.log"), "a line in the log")
        log = place.read("mosquitto.log")
        line = next(line for line in log.splitlines() if "student" in line)
        assert re.search("(?i)refused|denied|not allowed|password|anonymous", line), line
        assert PASSWORD not in log and "not-this-one" not in log, "a password is in the log"
        harness.eventually(
            lambda: re.search("(?i)password|anonymous|user", place.ctl("why", "student")), "the cause in `ctl why`",
        )


@behaviour
def unknown_users_and_wrong_passwords_look_the_same_to_who_asks():
    with classroom() as (place, _):
        found = []
        for user in ("iotuser", "somebody"):
            with Client(place.port, version=5) as client:
                client.connect("asks", username=user, password="guessed")
                found.append(client.connack)
        equal(found[0], found[1], "CONNACK")


@behaviour
def the_listener_that_is_said_to_be_disabled_is_open():
    """The comment of the course is wrong: this line opens a plain listener, and passwords travel as they are."""
    with classroom() as (place, _):
        publish(place, *USER, "-m", "in clear", port=place.port, tls=False, expect=0)
        done = publish(place, "-m", "nobody", port=place.port, tls=False)
        equal(done.status, 5, "exit status")
        done = tools.run(dunlin_binary(), "audit", "-c", place.path("m.conf"), expect=None)
        assert done.status != 0 and b":2" in done.out and b"TLS" in done.out, done.out


@behaviour
def a_name_that_is_not_in_the_certificate_is_refused_by_the_client():
    """As the course writes it there is a common name only; clients that go by the standard do not take it."""
    with classroom(names="") as (place, running):
        strict = ssl.create_default_context(cafile=place.path("certs/ca.crt"))
        strict.hostname_checks_common_name = False
        try:
            Client(place.port2, tls=strict, server_name="mqtt.local").close()
        except ssl.SSLCertVerificationError as error:
            assert "mqtt.local" in str(error), error
        else:
            raise AssertionError("a common name is no name")
        done = publish(place, *USER, "-m", "b")
        assert done.status != 0, "localhost is not mqtt.local"
        # Mosquitto's client can be told not to look, and then all else still holds.
        publish(place, *USER, "--insecure", "-m", "b", expect=0)


@behaviour(case=["wrong authority", "no authority", "plain on the TLS port", "TLS on the plain port"])
def what_goes_wrong_before_mqtt_begins(case):
    with classroom() as (place, running):
        port, more = place.port2, []
        if case == "wrong authority":
            more = ["--cafile", certificates.stranger().path("ca.pem")]
        elif case == "TLS on the plain port":
            port, more = place.port, ["--cafile", place.path("certs/ca.crt")]
        elif case == "no authority":
            more = ["--tls-use-os-certs"]
        done = tools.run("mosquitto_pub", "-h", "localhost", "-p", port, *more, *USER, "-t", "a", "-m", "b",
                         "-q", 1, expect=None)
        assert done.status != 0, done
        expected = {
            "wrong authority": "does not know the authority", "no authority": "does not know the authority",
            "plain on the TLS port": "it speaks MQTT, but this listener serves TLS",
            "TLS on the plain port": "(?i)TLS",
        }[case]
        harness.eventually(lambda: re.search(expected, place.read("mosquitto.log")), place.read("mosquitto.log"))


@behaviour(case=["password file", "key", "certificate"])
def a_step_that_was_left_out_stops_the_start(case):
    with Place(**{"m.conf": CONFIGURATION}) as place:
        authority_and_server(place.directory / "certs", NAMES)
        tools.run("mosquitto_passwd", "-b", "-c", place.path("passwd"), "iotuser", PASSWORD)
        name = {"password file": "passwd", "key": "certs/server.key", "certificate": "certs/server.crt"}[case]
        os.remove(place.path(name))
        running = place.start(ports=[])
        assert running.process.wait(60) != 0
        said = running.log() + (place.read("mosquitto.log") if os.path.exists(place.path("mosquitto.log")) else "")
        assert name in said and "No such file" in said, said
        running.stop()


@behaviour
def a_key_with_a_passphrase_is_named():
    """Without -nodes OpenSSL asks for one, and a service has nobody to ask."""
    with Place(**{"m.conf": CONFIGURATION}) as place:
        authority_and_server(place.directory / "certs", NAMES)
        tools.run("mosquitto_passwd", "-b", "-c", place.path("passwd"), "iotuser", PASSWORD)
        openssl("rsa", "-aes256", "-passout", "pass:secret", "-in", "server.key", "-out", "sealed.key",
                directory=place.directory / "certs")
        os.replace(place.path("certs/sealed.key"), place.path("certs/server.key"))
        running = place.start(ports=[])
        assert running.process.wait(60) != 0
        assert re.search("(?i)passphrase|encrypted|password", running.log()), running.log()
        running.stop()


@behaviour
def the_rules_that_the_course_forgets_deny_and_say_so():
    text = CONFIGURATION + "acl_file DIR/acl\n"
    acl = "user iotuser\ntopic readwrite sensors/#\n\nuser admin\ntopic readwrite #\n"
    with Place(**{"m.conf": text, "acl": acl}) as place:
        authority_and_server(place.directory / "certs", NAMES)
        tools.run("mosquitto_passwd", "-b", "-c", place.path("passwd"), "iotuser", PASSWORD)
        with place.start(ports=[place.port, place.port2]), Client(place.port, version=5) as client:
            equal(client.connect("student", username="iotuser", password=PASSWORD)[1], 0, "CONNACK")
            equal(client.publish("sensors/1", "x", 1), 0x10, "allowed")
            equal(client.publish("secure/test", "x", 1), 0x87, "denied")
            harness.eventually(lambda: "secure/test" in place.ctl("why", "student"), "the denial in `ctl why`")


@behaviour
def one_identifier_for_two_is_named_a_fight():
    with classroom() as (place, _):
        opened = []
        for _ in range(6):
            client = Client(place.port, version=5)
            equal(client.connect("ESP32Client", username="iotuser", password=PASSWORD)[1], 0, "CONNACK")
            opened.append(client)
        equal(opened[0].end(), "DISCONNECT 0x8e", "the first one")
        for client in opened:
            client.close()
        harness.eventually(lambda: "taken" in place.ctl("why", "ESP32Client"), "the fight in `ctl why`")


@behaviour
def one_command_does_it_all():
    """What `dunlin init` makes is taken by the clients of the course."""
    with Place(password=PASSWORD + "\n") as place:
        tools.run(dunlin_binary(), "init", place.path("made"), "--port", place.port, "--name", "localhost", "--user",
                  getpass.getuser(), "--password-file", place.path("password"), "--first-user", "iotuser")
        with place.start(arguments=("-c", "DIR/made/dunlin.toml")):
            bundle = place.directory / "made/clients/iotuser/ca.crt"
            secure = ["-h", "localhost", "-p", place.port, "--cafile", bundle, "-t", "a", "-m", "b", "-q", 1]
            shown = ["--cert", bundle.parent / "iotuser.crt", "--key", bundle.parent / "iotuser.key"]
            tools.run("mosquitto_pub", *secure, *shown, *USER, expect=0)
            equal(tools.run("mosquitto_pub", *secure, *shown, expect=None).status, 5, "without a password")
            assert tools.run("mosquitto_pub", *secure, *USER, expect=None).status != 0, "without a certificate"


if __name__ == "__main__":
    harness.main("lab4")
