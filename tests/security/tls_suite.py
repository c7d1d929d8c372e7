"""TLS as OpenSSL, Mosquitto's clients and Python see it: versions, names, dates, client certificates, resumption.

    tls_suite.py - [PART OF A NAME]
"""

import contextlib
import os
import re
import ssl
import subprocess

from place import HOST, WHO, Place  # makes the modules of tests/clients known, too
import certificates
import harness
import tools
from harness import behaviour, equal
from raw import Client, Closed, connect

LISTENER = WHO + "listener PORT 127.0.0.1\ncertfile {own}/{server}.pem\nkeyfile {own}/{server}.key\n"


@contextlib.contextmanager
def broker(more="allow_anonymous true\n", server="server", **files):
    """A broker with one TLS listener; `more` are further lines, {own} is where the certificates are."""
    own = certificates.authority().directory
    text = (LISTENER + more).replace("{own}", str(own)).replace("{server}", server)
    with Place(**{"m.conf": text, **files}) as place, place.start() as running:
        yield place, running


def s_client(place, *arguments, first=connect("s-client"), host="localhost"):
    """What `openssl s_client` says and prints; a CONNECT is sent so that an answer comes."""
    command = ["openssl", "s_client", "-connect", f"{HOST}:{place.port}", "-servername", host,
               "-CAfile", certificates.authority().path("ca.pem"), "-verify_return_error",
               "-verify_hostname", host, "-ign_eof", *arguments]
    # DISCONNECT makes the broker close, which ends s_client.
    done = subprocess.run(command, input=first + b"\xe0\x00", capture_output=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


CONNACK = b"\x20\x02\x00\x00"


@behaviour(version=["tls1_2", "tls1_3"])
def openssl_connects(version):
    with broker() as (place, _):
        status, said = s_client(place, f"-{version}")
        assert status == 0 and CONNACK in said, said
        assert b"Verification: OK" in said, said
        assert version.replace("tls1_", "TLSv1.").encode() in said, said


@behaviour(version=["tls1", "tls1_1"])
def what_is_broken_is_not_spoken(version):
    with broker() as (place, running):
        status, said = s_client(place, f"-{version}", "-cipher", "DEFAULT:@SECLEVEL=0")
        assert status != 0 and CONNACK not in said, said
        # OpenSSL offers no suite of 1.2 with 1.0, so rustls may name either.
        assert b"alert protocol version" in said or b"alert handshake failure" in said, said
        running.says(r"(?i)tls")


@behaviour
def a_listener_may_ask_for_1_3():
    with broker("tls_version tlsv1.3\nallow_anonymous true\n") as (place, _):
        status, said = s_client(place, "-tls1_2")
        assert status != 0 and b"alert protocol version" in said, said
        assert CONNACK in s_client(place, "-tls1_3")[1]


@behaviour(server=["expired", "nameless", "elsewhere"])
def openssl_names_what_is_wrong_with_the_server(server):
    """A server starts with such a certificate; clients that look refuse it, each with its own words."""
    words = {"expired": b"certificate has expired", "elsewhere": b"hostname mismatch", "nameless": b""}[server]
    with broker(server=server) as (place, running):
        status, said = s_client(place)
        if server == "nameless":
            # OpenSSL takes the common name when there is no other; who goes by today's rules does not.
            assert CONNACK in said, said
            refused(place, "(?i)hostname|name|match", hostname_checks_common_name=False)
        else:
            assert status != 0 and words in said and CONNACK not in said, said
        running.says("(?i)" + {"expired": "expired", "nameless": "no subject alternative name", "elsewhere": ""}[server])


def context(authority=None, client=None, **settings):
    """What a client in Python trusts and shows."""
    built = ssl.create_default_context(cafile=(authority or certificates.authority()).path("ca.pem"))
    if client:
        owner, name = client
        built.load_cert_chain(owner.path(f"{name}.pem"), owner.path(f"{name}.key"))
    for name, value in settings.items():
        setattr(built, name, value)
    return built


def refused(place, words, **options):
    try:
        Client(place.port, tls=context(**options)).close()
    except ssl.SSLError as error:
        assert re.search(words, str(error)), error
    else:
        raise AssertionError("the handshake went through")


@behaviour
def nobody_trusts_an_authority_unasked():
    with broker() as (place, running):
        refused(place, "self.signed|unable to get local issuer", authority=certificates.stranger())
        running.says(r"(?i)(unknown ?ca|certificate)")


CLIENTS = "cafile {own}/ca.pem\ncrlfile {own}/revoked.crl\nuse_identity_as_username true\nacl_file DIR/acl\n"
ACL = {"acl": "user meter\ntopic readwrite own/#\n"}


def enters(place, client=None, version=4):
    """How a client with this certificate is answered: codes, or the alert."""
    try:
        with Client(place.port, version, tls=context(client=client)) as opened:
            # With TLS 1.3 the client is through before the server has looked.
            answer = opened.connect("with-certificate")
            if answer is None:
                return "closed"
            return answer[1], opened.publish("own/x", "1", 1) if version == 5 and not answer[1] else None
    except ssl.SSLError as error:
        return error.reason
    except Closed as closed:
        return f"closed {closed}"


@behaviour
def a_client_certificate_says_who_it_is():
    own = certificates.authority()
    with broker(CLIENTS + "require_certificate true\n", **ACL) as (place, running):
        equal(enters(place, (own, "client"), 5), (0, 0x10), "with a certificate")
        for what, client, words in (
            ("none", None, "(?i)certificate"),
            ("a revoked one", (own, "revoked"), "(?i)revoked"),
            ("an expired one", (own, "old-client"), "(?i)expired"),
            ("of a stranger", (certificates.stranger(), "client"), "signed by none of the authorities"),
        ):
            found = enters(place, client)
            assert not isinstance(found, tuple), f"{what}: {found}"
            running.says(words)


@behaviour
def a_client_certificate_may_be_optional():
    own = certificates.authority()
    with broker(CLIENTS.replace("use_identity_as_username true\n", "") + "allow_anonymous true\n",
                **ACL) as (place, _):
        equal(enters(place)[0], 0, "without")
        equal(enters(place, (own, "client"))[0], 0, "with")


@behaviour(alert=["required", "revoked", "expired", "unknown"])
def openssl_hears_why_its_certificate_is_refused(alert):
    """The alert is what a client is told; its number is in RFC 8446."""
    own = certificates.authority()
    owner, name, words = {
        "required": (None, None, b"alert certificate required"),
        "revoked": (own, "revoked", b"alert certificate revoked"),
        "expired": (own, "old-client", b"alert certificate expired"),
        "unknown": (certificates.stranger(), "client", b"alert unknown ca"),
    }[alert]
    with broker(CLIENTS + "require_certificate true\n", **ACL) as (place, _):
        shown = ["-cert", owner.path(f"{name}.pem"), "-key", owner.path(f"{name}.key")] if owner else []
        _, said = s_client(place, "-tls1_3", *shown)
        assert words in said and CONNACK not in said, said[-600:]


@behaviour(version=["tls1_2", "tls1_3"])
def a_session_is_resumed(version):
    with broker() as (place, _):
        ticket = place.path("ticket")
        _, said = s_client(place, f"-{version}", "-sess_out", ticket)
        assert b"New, TLSv1" in said, said
        assert os.path.exists(ticket), said
        _, said = s_client(place, f"-{version}", "-sess_in", ticket)
        assert b"Reused, TLSv1" in said and CONNACK in said, said


@behaviour(version=["mqttv311", "mqttv5"])
def mosquittos_clients_use_their_certificates(version):
    own = certificates.authority()
    with broker(CLIENTS + "require_certificate true\n", **ACL) as (place, running):
        secure = ["-h", "localhost", "-p", place.port, "-V", version, "--cafile", own.path("ca.pem")]
        shown = ["--cert", own.path("client.pem"), "--key", own.path("client.key")]
        tools.run("mosquitto_pub", *secure, *shown, "-t", "own/kept", "-m", "sealed", "-r", "-q", 1)
        found = tools.run("mosquitto_sub", *secure, *shown, "-t", "own/#", "-C", 1, "-W", 60)
        equal(found.lines, ["sealed"], "lines")
        tools.run("mosquitto_pub", *secure, "-t", "own/kept", "-m", "x", "-q", 1, expect=None)
        stolen = ["--cert", own.path("revoked.pem"), "--key", own.path("revoked.key")]
        done = tools.run("mosquitto_pub", *secure, *stolen, "-t", "own/kept", "-m", "x", "-q", 1, expect=None)
        assert done.status != 0, "a revoked certificate publishes"
        running.says("(?i)revoked")


@behaviour
def mosquittos_clients_use_a_socket_of_this_machine():
    text = WHO + "listener 0 DIR/m.sock\nallow_anonymous true\n\nlistener PORT 127.0.0.1\n"
    with Place(**{"m.conf": text}) as place, place.start():
        local = ["--unix", place.path("m.sock")]
        tools.run("mosquitto_pub", *local, "-t", "a", "-m", "near", "-r", "-q", 1)
        equal(tools.run("mosquitto_sub", *local, "-t", "a", "-C", 1, "-W", 60).lines, ["near"], "lines")


@behaviour(wrong=["missing", "garbage", "other key", "no such authority"])
def a_broker_does_not_start_with_what_it_cannot_use(wrong):
    own = certificates.authority()
    files = {
        "missing": ("DIR/none.pem", own.path("server.key"), ""),
        "garbage": ("DIR/garbage", own.path("server.key"), ""),
        "other key": (own.path("server.pem"), own.path("client.key"), ""),
        "no such authority": (own.path("server.pem"), own.path("server.key"), "cafile DIR/none.pem\n"),
    }[wrong]
    text = f"{WHO}listener PORT 127.0.0.1\ncertfile {files[0]}\nkeyfile {files[1]}\n{files[2]}"
    with Place(**{"m.conf": text, "garbage": "no certificate\n"}) as place:
        running = place.start(ports=[])
        status = running.process.wait(60)
        assert status != 0, running.log()
        running.says(r"none\.pem|garbage|client\.key does not belong")
        running.stop()


@behaviour
def what_is_no_tls_is_named():
    with broker() as (place, running):
        with Client(place.port) as plain:
            plain.send(connect("plain"))
        running.says("it speaks MQTT, but this listener serves TLS")
    with Place(**{"m.conf": WHO + "listener PORT 127.0.0.1\nallow_anonymous true\n"}) as place, place.start() as running:
        status, said = s_client(place)
        assert status != 0, said
        running.says("(?i)TLS")


if __name__ == "__main__":
    harness.main("tls")
