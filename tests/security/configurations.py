"""Configurations as Mosquitto's users have them, and what is asked of each: both brokers must answer alike.

Where they do not, `differs` says why, with both answers: a difference that nobody explained fails, and so does an
explanation that no longer holds.
"""

from place import WHO
from probes import (at_once, connack, delivered, enters, granted, publishes, retained, told, will)
from raw import text, packet, variable

#: Written by `mosquitto_passwd`: it is called with these when a place is made.
USERS = {"meter": "of-the-house", "admin": "twelve-and-more"}
METER = {"username": "meter", "password": "of-the-house"}
ADMIN = {"username": "admin", "password": "twelve-and-more"}

PROPERTY_TOPIC_ALIAS_ZERO = packet(0x32, text("a") + b"\x00\x01" + variable(3) + b"\x23\x00\x00" + b"x")

OPEN = {
    "text": WHO + "listener PORT 127.0.0.1\nallow_anonymous true\nlog_dest stderr\n",
    "probes": {
        "anonymous": enters(),
        "old protocol": enters(versions=(3,)),
        "a user that nobody asks for": enters(**METER),
        "empty identifier": enters(client_id=""),
        "empty identifier to stay": enters(client_id="", clean=False),
        "what 5.0 is told": connack(),
        "to nobody": publishes("nobody/listens"),
        "to nobody, 3.1.1": publishes("nobody/listens", version=4),
        "QoS 2": publishes("nobody/listens", qos=2),
        "system topics": publishes("$SYS/mine", version=5),
        "wildcard in a topic": publishes("a/+/b"),
        "granted": granted("a/+", "b/#", qos=2),
        "shared": granted("$share/g/a"),
        "message": delivered("a/b", "a/+", {}, {}),
        "own message": delivered("a/b", "$share/g/a/+", {}, {}),
        "retained": retained("kept/a", "kept/#"),
        "retained, 5.0": retained("kept/b", "kept/b", version=5),
        "will": will("gone/a", "gone/#"),
        "no CONNECT": told(b"\xc0\x00", connected=False),
        "two CONNECTs": told(b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"),
        "HTTP": told(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", connected=False),
        "reserved flags": told(b"\x81\x06\x00\x01\x00\x00\x01a\x00"),
        "QoS 3": told(b"\x36\x06\x00\x01a\x00\x01\x00"),
        "topic alias 0": told(PROPERTY_TOPIC_ALIAS_ZERO),
        "packet of servers": told(b"\x20\x03\x00\x00\x00"),
        "unknown PUBACK": told(b"\x40\x02\x00\x09" + b"\xe0\x00"),
        "DISCONNECT": told(b"\xe0\x00"),
    },
}

PASSWORDS = {
    "text": WHO + "per_listener_settings false\nlistener PORT 127.0.0.1\nallow_anonymous false\n"
                  "password_file DIR/passwords\nmax_queued_messages 5000\nlog_dest stderr\n",
    "passwords": True,
    "probes": {
        "anonymous": enters(),
        "right": enters(**METER),
        "wrong": enters(username="meter", password="of-the-garden"),
        "unknown": enters(username="nobody", password="of-the-house"),
        "no password": enters(username="meter"),
        "empty password": enters(username="meter", password=""),
        "empty user": enters(username="", password="of-the-house"),
        "message": delivered("a", "#", METER, ADMIN),
    },
}

RULES = {
    "text": WHO + "listener PORT 127.0.0.1\nallow_anonymous true\npassword_file DIR/passwords\n"
                  "acl_file DIR/acl\nlog_dest stderr\n",
    "passwords": True,
    "files": {"acl": "topic read open/#\n\nuser meter\ntopic write house/+/power\ntopic readwrite both/#\n"
                     "topic deny both/secret\n\npattern readwrite own/%c/#\npattern read of/%u/#\n\n"
                     "user admin\ntopic readwrite #\n"},
    "probes": {
        "denied": publishes("house/1/power"),
        "denied, 3.1.1": publishes("house/1/power", version=4),
        "denied, QoS 2": publishes("house/1/power", qos=2),
        "denied, QoS 2, 3.1.1": publishes("house/1/power", qos=2, version=4),
        "denied, QoS 0": delivered("open/x", "open/#", {}, {}, qos=0),
        "allowed": publishes("house/1/power", **METER),
        "deny wins": publishes("both/secret", **METER),
        "own": publishes("own/probe/x"),
        "of another": publishes("own/another/x"),
        "granted": granted("open/#", "house/#", "#", "own/probe/#", **METER),
        "granted, 3.1.1": granted("open/#", "house/#", "#", version=4),
        "read": delivered("open/x", "open/#", {}, ADMIN),
        "not read": delivered("house/1/power", "house/#", {}, METER),
        "read by nobody but its user": delivered("of/meter/x", "of/#", METER, ADMIN),
        "not of another user": delivered("of/admin/x", "of/#", METER, ADMIN),
        "all": delivered("house/1/power", "#", ADMIN, METER),
        "retained, not read": retained("house/2/power", "house/#", METER, {}),
        "retained, read": retained("house/2/power", "house/#", METER, ADMIN),
        "retained, denied": retained("open/kept", "open/#", {}, {}),
        "will": will("house/3/power", "house/#", METER, ADMIN),
        "will, denied": will("open/gone", "open/#", {}, ADMIN),
        "system topics": granted("$SYS/#", version=4),
    },
}

LIMITS = {
    "text": WHO + "listener PORT 127.0.0.1\nallow_anonymous true\nmax_connections 2\n\n"
                  "listener PORT2 127.0.0.1\nmax_qos 1\nmount_point here/\nmax_topic_alias 3\n\n"
                  "listener PORT3 127.0.0.1\nmax_packet_size 200\nmax_keepalive 100\nmessage_size_limit 50\n"
                  "log_dest stderr\n",
    "ports": ("port2", "port3"),
    "probes": {
        "connections": at_once(3),
        "connections, 5.0": at_once(3, version=5),
        "what 5.0 is told": connack(port="port2"),
        "QoS at most 1": publishes("a", qos=2, port="port2"),
        "QoS at most 1, 3.1.1": publishes("a", qos=2, port="port2", version=4),
        "granted at most": granted("a", qos=2, port="port2"),
        "will above it": enters(port="port2", will=("a", "x", 2, 0)),
        "mounted": delivered("x", "here/#", {}, {}, ports=("port3", "port2")),
        "inside the mount": delivered("x", "#", {}, {}, ports=("port2", "port2")),
        "into the mount": delivered("here/x", "x", {}, {}, ports=("port2", "port3")),
        "what is told of sizes": connack(port="port3"),
        "keep alive": enters(port="port3", keep_alive=1000),
        "keep alive 0": enters(port="port3", keep_alive=0),
        "payload": publishes("a", port="port3"),
        "payload above the limit": told(packet(0x32, text("a") + b"\x00\x01\x00" + b"x" * 60), port="port3"),
        "packet above the limit": told(packet(0x32, text("a") + b"\x00\x01\x00" + b"x" * 300), port="port3"),
    },
}

IDENTIFIERS = {
    "text": WHO + "clientid_prefixes secure-\nlistener PORT 127.0.0.1\nallow_anonymous true\n\n"
                  "listener PORT2 127.0.0.1\nuse_username_as_clientid true\nlog_dest stderr\n",
    "ports": ("port", "port2"),
    "probes": {
        "with it": enters(client_id="secure-1"),
        "without it": enters(client_id="other-1"),
        "empty": enters(client_id=""),
        "user as identifier": enters(port="port2", client_id="secure-1", username="secure-2"),
        "no user to take": enters(port="port2", client_id="secure-1"),
    },
}

NO_EMPTY = {
    "text": WHO + "per_listener_settings true\n\nlistener PORT 127.0.0.1\nallow_anonymous true\n"
                  "allow_zero_length_clientid false\n\nlistener PORT2 127.0.0.1\nallow_anonymous false\n"
                  "password_file DIR/passwords\n\nlistener PORT3 127.0.0.1\nallow_anonymous true\n"
                  "acl_file DIR/acl\nauto_id_prefix dev-\nlog_dest stderr\n",
    "passwords": True,
    "files": {"acl": "topic read open/#\npattern write own/%c\n"},
    "ports": ("port", "port2", "port3"),
    "probes": {
        "empty identifier": enters(client_id=""),
        "empty identifier elsewhere": enters(port="port3", client_id=""),
        "anonymous here": enters(),
        "anonymous there": enters(port="port2"),
        "user there": enters(port="port2", **METER),
        "wrong password where nobody asks": enters(port="port3", username="meter", password="x"),
        "wrong password there": enters(port="port2", username="meter", password="x"),
        "rules there": publishes("closed", port="port3"),
        "no rules here": publishes("closed"),
        "across": delivered("open/1", "open/#", {}, {}, ports=("port3", "port")),
        "across, not read": delivered("shut/1", "shut/#", {}, {}, ports=("port3", "port")),
    },
}

WITHOUT_RETAINED = {
    "text": WHO + "retain_available false\nlistener PORT 127.0.0.1\nallow_anonymous true\nlog_dest stderr\n",
    "probes": {
        "what 5.0 is told": connack(),
        "retained, 5.0": told(packet(0x33, text("a") + b"\x00\x01\x00x")),
        "retained": publishes("a", retain=True, version=4),
        "retained will": enters(will=("a", "x", 0, 1)),
    },
}

#: Name, and what is in it; Debian's file and the two courses have fixed ports and paths replaced.
DEBIAN = {
    "text": "# Place your local configuration in /etc/mosquitto/conf.d/\n\npid_file DIR/mosquitto.pid\n\n"
            "persistence true\npersistence_location DIR/lib/\n\nlog_dest file DIR/mosquitto.log\n\n"
            "include_dir DIR/conf.d\n",
    "files": {"lib/there": "", "conf.d/user.conf": WHO, "conf.d/README": "Only files that end in .conf are read.\n"},
    "arguments": ("-c", "DIR/m.conf", "-p", "PORT"),
    "probes": {"anonymous": enters(), "message": delivered("a", "a", {}, {}), "kept": retained("k", "k")},
}

CONF_D = {
    "text": DEBIAN["text"],
    "files": {"lib/there": "", "conf.d/local.conf": WHO + "listener PORT 127.0.0.1\nallow_anonymous false\n"
                                                          "password_file DIR/passwords\n"},
    "passwords": True,
    "probes": {"anonymous": enters(), "user": enters(**METER), "message": delivered("a", "a", METER, METER)},
}

COURSE_OPEN = {
    "text": "# Allow anonymous connections (for testing only!)\nallow_anonymous true\n\n# Listen on all "
            "interfaces\nlistener PORT 0.0.0.0\n\n# WebSocket support\nlistener PORT2\nprotocol websockets\n\n"
            "# Persistence\npersistence true\npersistence_location DIR/lib/\n\n# Logging\n"
            "log_dest file DIR/mosquitto.log\nlog_type all\n" + WHO,
    "files": {"lib/there": ""},
    "ports": ("port", "port2"),
    "probes": {"anonymous": enters(), "message": delivered("a", "a", {}, {}), "kept": retained("k", "k")},
}

HOME = {
    "text": PASSWORDS["text"] + "persistence true\npersistence_location DIR/\nautosave_interval 300\n"
                                "persistent_client_expiration 2m\nlog_timestamp_format %Y-%m-%dT%H:%M:%S\n",
    "passwords": True,
    "probes": {"user": enters(**METER), "anonymous": enters(), "message": delivered("a", "a", METER, METER)},
}

CONTAINER = {
    "text": "listener PORT 0.0.0.0\nlistener PORT2\nprotocol websockets\nallow_anonymous true\npersistence true\n"
            "persistence_location DIR/data/\nlog_dest stdout\nlog_dest file DIR/data/mosquitto.log\n" + WHO,
    "files": {"data/there": ""},
    "ports": ("port", "port2"),
    "probes": {"anonymous": enters(), "message": delivered("a", "a", {}, {}), "kept": retained("k", "k")},
}

ALL = {
    "open": OPEN, "passwords": PASSWORDS, "rules": RULES, "limits": LIMITS, "identifiers": IDENTIFIERS,
    "per listener": NO_EMPTY, "without retained": WITHOUT_RETAINED, "Debian": DEBIAN, "Debian with conf.d": CONF_D,
    "course that opens": COURSE_OPEN, "home": HOME, "container": CONTAINER,
}
