#!/usr/bin/env python3
"""Fills corpus/ with samples that are right, so that a short run gets beyond the first words: fuzz/seeds.py"""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "crates" / "access" / "tests" / "data"
REQUEST = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\nOrigin: https://example.com\r\nX-Forwarded-For: 10.1.2.3, 127.0.0.1\r\n\r\n"
)
FRAMES = (
    b"\x82\x8e\0\0\0\0\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0"
    b"\x02\x81\1\2\3\4\xc1\x80\x81\1\2\3\4\2\x89\x84\0\0\0\0ping\x88\x82\0\0\0\0\x03\xe8"
)


def read(*names):
    return [(DATA / name).read_bytes() for name in names]


def lines(name):
    return (DATA / name).read_bytes().splitlines()[:40]


# Target, what its first byte is (the kind), samples.
SAMPLES = [
    ("access", 0, read("mosquitto.acl") + [b"user a\ntopic read b/#\ntopic deny b/c\npattern write %u/%c/+\n"]),
    ("access", 1, [b'[roles.a]\nrules = ["allow read a/#", "deny write +/b"]\n[users.u]\nroles = ["a"]\n']),
    ("access", 2, read("sha512.passwd", "pbkdf2.passwd")),
    ("access", 3, read("jwks.json", "ec.pub.pem", "rsa.pub.pem")),
    ("access", 4, read("es256.token", "rs256.token")),
    ("access", 5, [b'{"publish":["a/#","%u/+"],"subscribe":["#"]}']),
    ("access", 6, [b"n,,n=anna,r=fyko+d2lbbFgONRv9c=biws,r=fyko+d2lbbFgONRv,p=AAAAAAAAAAAA="]),
    ("access", 7, read("dynsec-init.json", "dynsec-acl.json", "dynsec-after-deletions.json")),
    ("access", 8, lines("dynsec-commands.jsonl") + lines("dynsec-deletions.jsonl")),
    ("access", 9, [b'[{"target":"address:10.0.0.0/8","reason":"y","until":1900000000}]']),
    ("config", 0, [
        b"listener 1883\nallow_anonymous true\npersistence true\nacl_file /a\n\nlistener 8883\ncertfile c\nkeyfile k\n",
        b"per_listener_settings true\nlistener 9001\nprotocol websockets\nwebsockets_origin https://a\nmax_qos 1\n",
        b"connection b\naddress far:1884\ntopic # both 2 a/ b/\nrestart_timeout 10 60\nlog_type all\n",
        b"plugin /x/mosquitto_dynamic_security.so\nplugin_opt_config_file /d\nmax_packet_size 0x1000\n",
    ]),
    ("config", 1, [(HERE.parent / "packaging" / "dunlin.toml").read_bytes()]),
    ("config", 3, [b"DUNLIN_LIMITS_CONNECTIONS=1000\nDUNLIN_LISTENER_1_PORT=8883\n"]),
    ("config", 4, [b"-c a.conf -p 1883 -v", b"-c a.conf --test-config", b"-d -q"]),
    ("doors", 0, [
        b"PROXY TCP4 10.1.2.3 10.0.0.1 4711 1883\r\n",
        b"PROXY TCP6 2001:db8::7 ::1 4711 1883\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x1f\x0a\1\2\3\x0a\0\0\1\x12\x67\7\x5b\x20\0\x0d\1\0\0\0\0\x22\0\5meter\4\0\0",
    ]),
    ("doors", 1, [REQUEST + FRAMES]),
    ("doors", 2, [REQUEST, b"\x16\3\1\2\0\1\0\1\xfc\3\3"]),
    ("doors", 4, [b'{"version":1,"command":"why","client":"meter","topic":"a/b","limit":5}']),
    ("doors", 5, [b'{"result":"allow","username":"a","superuser":false,"groups":["g"],"acl":{"publish":["x/#"]}}']),
]

for target, kind, samples in SAMPLES:
    directory = HERE / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(samples):
        (directory / f"sample-{kind}-{number}").write_bytes(bytes([kind]) + sample)
