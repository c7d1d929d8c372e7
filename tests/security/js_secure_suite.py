"""Starts a broker for mqtt.js, which then tries each transport in Node and in Chromium.

    js_secure_suite.py -
"""

import base64
import hashlib
import os
import pathlib
import subprocess
import sys

from place import Place
import certificates
from certificates import openssl
from ways import CONFIGURATION

SUITE = pathlib.Path(__file__).resolve().parents[1] / "clients/js/secure_suite.js"
SUITE_SECONDS = 1200


def public_key_hash(certificate):
    """What Chromium calls a certificate that it is told to trust."""
    pem = openssl("x509", "-in", certificate, "-noout", "-pubkey")
    body = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
    return base64.b64encode(hashlib.sha256(base64.b64decode(body)).digest()).decode()


def main():
    own = certificates.authority()
    text = CONFIGURATION.replace("{own}", str(own.directory))
    with Place(**{"m.conf": text}) as place:
        ports = [place.port, place.port2, place.port3]
        with place.start(ports=ports) as running:
            done = subprocess.run(
                ["node", SUITE, "localhost", *map(str, ports), own.path("ca.pem"),
                 public_key_hash(own.path("server.pem"))],
                timeout=SUITE_SECONDS, stdin=subprocess.DEVNULL,
            )
            if done.returncode and os.environ.get("DUNLIN_TEST_TRACE"):
                print(running.log(), file=sys.stderr)
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
