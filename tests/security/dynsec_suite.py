"""Mosquitto's own `mosquitto_ctrl dynsec` against dunlin: every command that it has, plain and over TLS.

    dynsec_suite.py - [PART OF A NAME]
"""

import contextlib
import json

from place import HOST, WHO, Place  # makes the modules of tests/clients known, too
import certificates
import harness
import tools
from harness import behaviour, equal
from raw import Client

#: The plugin as Debian has it; its path means nothing to dunlin but its name does.
CONFIGURATION = WHO + """listener PORT 127.0.0.1

listener PORT2 127.0.0.1
certfile {own}/server.pem
keyfile {own}/server.key

plugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so
plugin_opt_config_file DIR/dynamic-security.json
"""

ADMIN = "of-the-tests-1"


class Control:
    """`mosquitto_ctrl` with the right to do all."""

    def __init__(self, place, tls):
        self.place = place
        if tls:
            self.where = ["-h", "localhost", "-p", place.port2, "--cafile", certificates.authority().path("ca.pem")]
        else:
            self.where = ["-h", HOST, "-p", place.port]

    def __call__(self, *command, expect=0):
        done = tools.run("mosquitto_ctrl", *self.where, "-u", "admin", "-P", ADMIN, "dynsec", *command, expect=None)
        said = (done.out + done.err).decode()
        # Its exit status is 0 even if the broker answers with an error.
        assert done.status == expect and "Error" not in said and "error" not in said, f"{command}: {said}"
        return said

    def fails(self, *command):
        done = tools.run("mosquitto_ctrl", *self.where, "-u", "admin", "-P", ADMIN, "dynsec", *command, expect=None)
        said = (done.out + done.err).decode()
        assert done.status != 0 or "rror" in said, f"{command} did not fail: {said}"
        return said


@contextlib.contextmanager
def broker(tls=False):
    text = CONFIGURATION.replace("{own}", str(certificates.authority().directory))
    with Place(**{"m.conf": text}) as place:
        tools.run("mosquitto_ctrl", "dynsec", "init", place.path("dynamic-security.json"), "admin", ADMIN)
        with place.start(ports=[place.port, place.port2]) as running:
            yield place, running, Control(place, tls)


def enters(place, user, password="pass-word-1", client_id="of-the-test"):
    with Client(place.port, version=5) as client:
        return client.connect(client_id, username=user, password=password)[1]


def publishes(place, user, topic):
    with Client(place.port, version=5) as client:
        equal(client.connect("publishes", username=user, password="pass-word-1")[1], 0, "CONNACK")
        return client.publish(topic, "x", 1)


@behaviour(tls=[False, True])
def clients_come_and_go(tls):
    with broker(tls) as (place, _, ctrl):
        equal(enters(place, "anna"), 0x87, "nobody yet")
        ctrl("createClient", "anna", "-p", "pass-word-1")
        equal(enters(place, "anna"), 0, "there")
        assert "anna" in ctrl("listClients") and "admin" in ctrl("listClients", "10", "0")
        assert "anna" in ctrl("getClient", "anna")
        ctrl("setClientPassword", "anna", "pass-word-2")
        equal(enters(place, "anna"), 0x87, "the old password")
        equal(enters(place, "anna", "pass-word-2"), 0, "the new password")
        ctrl("setClientPassword", "anna", "pass-word-1")
        ctrl("setClientId", "anna", "only-this")
        equal(enters(place, "anna"), 0x87, "another identifier")
        equal(enters(place, "anna", client_id="only-this"), 0, "its identifier")
        ctrl("setClientId", "anna")
        ctrl("disableClient", "anna")
        equal(enters(place, "anna"), 0x87, "disabled")
        ctrl("enableClient", "anna")
        equal(enters(place, "anna"), 0, "enabled")
        ctrl("deleteClient", "anna")
        equal(enters(place, "anna"), 0x87, "gone")
        assert "anna" not in ctrl("listClients")


@behaviour(tls=[False, True])
def roles_say_what_a_client_may_do(tls):
    with broker(tls) as (place, _, ctrl):
        ctrl("createClient", "anna", "-p", "pass-word-1")
        ctrl("createRole", "writer")
        ctrl("addRoleACL", "writer", "publishClientSend", "house/#", "allow", "5")
        ctrl("addRoleACL", "writer", "publishClientSend", "house/secret", "deny", "9")
        equal(publishes(place, "anna", "house/1"), 0x87, "without the role")
        ctrl("addClientRole", "anna", "writer", "3")
        equal(publishes(place, "anna", "house/1"), 0x10, "with the role")
        equal(publishes(place, "anna", "house/secret"), 0x87, "denied before it is allowed")
        equal(publishes(place, "anna", "garden"), 0x87, "elsewhere")
        assert "house/secret" in ctrl("getRole", "writer") and "writer" in ctrl("listRoles")
        ctrl("removeRoleACL", "writer", "publishClientSend", "house/secret")
        equal(publishes(place, "anna", "house/secret"), 0x10, "no longer denied")
        ctrl("removeClientRole", "anna", "writer")
        equal(publishes(place, "anna", "house/1"), 0x87, "role taken away")
        ctrl("deleteRole", "writer")
        assert "writer" not in ctrl("listRoles", "10", "0")


@behaviour(tls=[False, True])
def groups_share_roles(tls):
    with broker(tls) as (place, _, ctrl):
        ctrl("createClient", "anna", "-p", "pass-word-1")
        ctrl("createRole", "writer")
        ctrl("addRoleACL", "writer", "publishClientSend", "house/#", "allow")
        ctrl("createGroup", "family")
        ctrl("addGroupRole", "family", "writer", "2")
        ctrl("addGroupClient", "family", "anna", "1")
        equal(publishes(place, "anna", "house/1"), 0x10, "in the group")
        assert "anna" in ctrl("getGroup", "family") and "family" in ctrl("listGroups")
        assert "family" in ctrl("listGroups", "10", "0")
        ctrl("removeGroupRole", "family", "writer")
        equal(publishes(place, "anna", "house/1"), 0x87, "the group without the role")
        ctrl("addGroupRole", "family", "writer")
        ctrl("removeGroupClient", "family", "anna")
        equal(publishes(place, "anna", "house/1"), 0x87, "out of the group")
        ctrl("deleteGroup", "family")
        assert "family" not in ctrl("listGroups")


@behaviour(tls=[False, True])
def defaults_and_those_without_a_name(tls):
    with broker(tls) as (place, _, ctrl):
        equal(enters(place, None, None), 0x87, "anonymous")
        ctrl("createClient", "anna", "-p", "pass-word-1")
        found = ctrl("getDefaultACLAccess")
        assert "publishClientSend" in found and "deny" in found, found
        ctrl("setDefaultACLAccess", "publishClientSend", "allow")
        equal(publishes(place, "anna", "anywhere"), 0x10, "allowed by default")
        ctrl("setDefaultACLAccess", "publishClientSend", "deny")
        equal(publishes(place, "anna", "anywhere"), 0x87, "denied by default")
        for kind in ("publishClientReceive", "subscribe", "unsubscribe"):
            ctrl("setDefaultACLAccess", kind, "allow")
        ctrl("createGroup", "unnamed")
        ctrl("setAnonymousGroup", "unnamed")
        assert "unnamed" in ctrl("getAnonymousGroup")


@behaviour
def what_is_wrong_is_answered_and_changes_nothing():
    with broker() as (place, _, ctrl):
        for command in (("deleteClient", "nobody"), ("getRole", "none"), ("addClientRole", "admin", "none"),
                        ("createClient", "admin", "-p", "x"), ("addGroupClient", "none", "admin")):
            ctrl.fails(*command)
        done = tools.run("mosquitto_ctrl", *ctrl.where, "-u", "admin", "-P", "guessed", "dynsec", "listClients",
                         expect=None)
        assert "admin" not in done.out.decode(), done.out
        equal(enters(place, "admin", ADMIN), 0, "the administrator")


@behaviour
def who_has_no_right_to_it_changes_nothing():
    with broker() as (place, _, ctrl):
        ctrl("createClient", "anna", "-p", "pass-word-1")
        with Client(place.port, version=5) as client:
            client.connect("anna-1", username="anna", password="pass-word-1")
            command = json.dumps({"commands": [{"command": "deleteClient", "username": "admin"}]})
            equal(client.publish("$CONTROL/dynamic-security/v1", command, 1), 0x87, "denied")
        assert "admin" in ctrl("listClients")


@behaviour
def what_was_set_is_there_after_a_restart():
    with Place(**{"m.conf": CONFIGURATION.replace("{own}", str(certificates.authority().directory))}) as place:
        tools.run("mosquitto_ctrl", "dynsec", "init", place.path("dynamic-security.json"), "admin", ADMIN)
        with place.start(ports=[place.port]) as running:
            ctrl = Control(place, False)
            ctrl("createClient", "anna", "-p", "pass-word-1")
            ctrl("createRole", "writer")
            ctrl("addRoleACL", "writer", "publishClientSend", "house/#", "allow")
            ctrl("addClientRole", "anna", "writer")
            # As hard as a power cut for the process.
            running.process.kill()
            running.process.wait()
        with place.start(ports=[place.port]):
            equal(publishes(place, "anna", "house/1"), 0x10, "allowed as before")
            assert "writer" in Control(place, False)("getClient", "anna")


@behaviour
def clients_that_lose_their_right_are_disconnected():
    with broker() as (place, _, ctrl):
        ctrl("createClient", "anna", "-p", "pass-word-1")
        for command in (("disableClient", "anna"), ("deleteClient", "anna")):
            with Client(place.port, version=5) as client:
                equal(client.connect("anna-1", username="anna", password="pass-word-1")[1], 0, "CONNACK")
                ctrl(*command)
                found = client.end()
                assert found.startswith("DISCONNECT"), f"{command}: {found}"
            if command[0] == "disableClient":
                ctrl("enableClient", "anna")


if __name__ == "__main__":
    harness.main("dynsec")
