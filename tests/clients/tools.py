"""Runs command-line clients: their arguments, what they print, how they end."""

import queue
import signal
import subprocess
import threading
import time

from harness import PATIENCE_SECONDS


class Result:
    """How a command ended."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    @property
    def lines(self):
        return self.out.decode(errors="replace").splitlines()


def run(*command, stdin=b"", expect=0):
    """Runs a command to its end and checks its exit status."""
    done = subprocess.run(
        [str(part) for part in command], input=stdin, capture_output=True, timeout=2 * PATIENCE_SECONDS,
    )
    if expect is not None and done.returncode != expect:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise AssertionError(f"{command[0]} ended with {done.returncode}, expected {expect}: {said}")
    return Result(done.returncode, done.stdout, done.stderr)


class Background:
    """A command that runs beside the test; its lines are read as they come."""

    def __init__(self, *command):
        self.command = [str(part) for part in command]
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self._lines = queue.Queue()
        self.errors = []
        threading.Thread(target=self._read_output, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _read_output(self):
        for line in self._process.stdout:
            self._lines.put(line.rstrip(b"\n"))

    def _read_errors(self):
        for line in self._process.stderr:
            self.errors.append(line.decode(errors="replace").rstrip())

    def line(self, seconds=PATIENCE_SECONDS):
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(
                f"{self.command[0]} printed nothing in {seconds} s; errors: {self.errors}"
            ) from None

    def line_with(self, part, seconds=PATIENCE_SECONDS):
        """The first line that contains `part`; those ahead of it are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            line = self.line(max(0.0, deadline - time.monotonic()))
            if part in line:
                return line

    def wait(self, expect=0, seconds=PATIENCE_SECONDS):
        status = self._process.wait(seconds)
        assert status == expect, f"{self.command[0]} ended with {status}: {self.errors}"

    def kill(self):
        """Ends it at once: the connection breaks without DISCONNECT."""
        self._process.kill()
        self._process.wait()

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)
