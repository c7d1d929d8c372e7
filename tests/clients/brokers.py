"""Starts the brokers that the clients are tested against, on free loopback ports."""

import itertools
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

HOST = "127.0.0.1"
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 60


def dunlin_binary():
    """DUNLIN_BIN, or the debug build that `cargo build` leaves."""
    named = os.environ.get("DUNLIN_BIN")
    if named:
        return named
    target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")
    return str(pathlib.Path(target) / "debug" / "dunlin")


_given = itertools.count()


def free_port():
    """One that the system gives neither to who asks for any nor to who connects, and no other suite takes: it
    is still free when a broker starts there."""
    first = 10_000 + os.getpid() % 200 * 100
    while True:
        port = first + next(_given) % 100
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
                return port
            except OSError:
                continue


def end(process):
    """Ends it as an operator does, or by force if that does not help; its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def wait_until_it_accepts(process, port, log):
    """Waits for a broker to listen; `log` gives what it has said by then."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the broker ended at start with {process.returncode}: {log()}")
        try:
            socket.create_connection((HOST, port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"the broker does not accept on {HOST}:{port}: {log()}")


class Broker:
    """A broker process that is there as long as the `with` block lasts."""

    def __init__(self, kind):
        self.kind = kind
        self.port = free_port()
        self.process = None
        self.directory = None

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="dunlin-clients-")
        self.log = open(os.path.join(self.directory, "log"), "wb")
        self.process = subprocess.Popen(
            self._command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            cwd=self.directory,
        )
        try:
            wait_until_it_accepts(self.process, self.port, self.output)
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        end(self.process)
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _command(self):
        if self.kind == "dunlin":
            return [dunlin_binary(), "-p", str(self.port)]
        return [self._mosquitto(), "-c", self._mosquitto_configuration()]

    @staticmethod
    def _mosquitto():
        # Debian keeps daemons out of the PATH of ordinary users.
        return shutil.which("mosquitto") or "/usr/sbin/mosquitto"

    def _mosquitto_configuration(self):
        path = os.path.join(self.directory, "mosquitto.conf")
        with open(path, "w", encoding="utf-8") as conf:
            conf.write(f"listener {self.port} {HOST}\nallow_anonymous true\npersistence false\n")
        return path

    def output(self):
        """The last lines of what the broker printed."""
        with open(os.path.join(self.directory, "log"), errors="replace") as log:
            return "".join(log.readlines()[-20:]).strip()
