"""A directory with a configuration, the ports that it names, and brokers that are started on it.

In texts DIR stands for the directory, PORT, PORT2 and PORT3 for ports that are free, USER for who
runs the test: a broker that root starts would else become somebody who cannot read the files.
"""

import getpass
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

import brokers  # noqa: E402  (found by the line above)
from brokers import HOST, dunlin_binary  # noqa: E402

#: What every configuration here begins with.
WHO = "user USER\n"


def environment(**more):
    """What a broker gets: none of the variables of the tests, which would be settings of dunlin."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DUNLIN_")}
    return {**kept, **more}


class Place:
    """Files and ports of one test; the directory is gone after the `with` block."""

    def __init__(self, **files):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="dunlin-security-"))
        self.port, self.port2, self.port3 = (brokers.free_port() for _ in range(3))
        for name, text in files.items():
            self.write(name, text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return str(self.directory / name)

    def fill(self, text):
        for word, value in (
            ("PORT3", self.port3), ("PORT2", self.port2), ("PORT", self.port),
            ("DIR", self.directory), ("USER", getpass.getuser()),
        ):
            text = re.sub(rf"(?<![A-Z0-9_]){word}(?![A-Z0-9_])", lambda _: str(value), text)
        return text

    def write(self, name, text):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.fill(text), encoding="utf-8")
        # Mosquitto says so if others may read a file of passwords.
        path.chmod(0o600)
        return str(path)

    def read(self, name):
        return (self.directory / name).read_text(encoding="utf-8", errors="replace")

    def start(self, kind="dunlin", arguments=("-c", "DIR/m.conf"), ports=None):
        return Running(self, kind, arguments, [self.port] if ports is None else ports)

    def ctl(self, *arguments, expect=0):
        """`dunlin ctl`, against the broker of this place."""
        done = subprocess.run(
            [dunlin_binary(), "ctl", *arguments, "--socket", self.path("admin.sock")],
            capture_output=True, text=True, timeout=60, env=environment(),
        )
        assert expect is None or done.returncode == expect, f"ctl {arguments}: {done}"
        return done.stdout


class Running:
    """A broker of a place, until the `with` block ends."""

    def __init__(self, place, kind, arguments, ports):
        self.place = place
        self.kind = kind
        program = dunlin_binary() if kind == "dunlin" else brokers.Broker._mosquitto()
        self._log = open(place.path(f"{kind}.stderr"), "ab")
        self._read_from = os.path.getsize(place.path(f"{kind}.stderr"))
        self.process = subprocess.Popen(
            [program, *(place.fill(str(part)) for part in arguments)], stdin=subprocess.DEVNULL,
            stdout=self._log, stderr=self._log, cwd=place.directory,
            env=environment(DUNLIN_SERVER_ADMIN_SOCKET=place.path("admin.sock")),
        )
        try:
            for port in ports:
                brokers.wait_until_it_accepts(self.process, port, self.log)
        except Exception:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def log(self):
        with open(self.place.path(f"{self.kind}.stderr"), errors="replace") as log:
            log.seek(self._read_from)
            return log.read()

    def says(self, pattern, seconds=60):
        """Waits until the log holds what the pattern asks for, and returns that."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.log())
            if found:
                return found
            assert time.monotonic() < deadline, f"{pattern!r} is not in the log: {self.log()[-3000:]}"
            time.sleep(0.02)

    def says_again(self, pattern, before, seconds=60):
        """Waits until the pattern is there more often than `before` times."""
        deadline = time.monotonic() + seconds
        while len(re.findall(pattern, self.log())) <= before:
            assert time.monotonic() < deadline, f"{pattern!r}: {self.log()[-3000:]}"
            time.sleep(0.02)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        """Ends it as an operator does; returns its exit status."""
        status = brokers.end(self.process)
        self._log.close()
        return status
