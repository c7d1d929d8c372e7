#!/usr/bin/env python3
"""Runs every suite of real clients against a broker of its own; the last line is the sum.

    run.py [--jobs N] [--list] [PART OF A NAME]

DUNLIN_BIN names the binary (else the debug build is taken). With DUNLIN_TEST_ADDR=HOST:PORT the
suites use the broker that listens there and none is started, but for those that are about a configuration. `setup.sh` brings what is needed.
"""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

import brokers

HERE = pathlib.Path(__file__).resolve().parent
SECURITY = HERE.parent / "security"
#: A suite that takes longer hangs.
SUITE_SECONDS = 1800

#: Name, command, and the broker that it talks to: "own" for suites that start theirs, on files of their own.
SUITES = [
    ("paho-1.6", [HERE / ".venv/paho1/bin/python", HERE / "paho_suite.py"], "dunlin"),
    ("paho-2", [HERE / ".venv/paho2/bin/python", HERE / "paho_suite.py"], "dunlin"),
    ("mqttjs", ["node", HERE / "js/suite.js"], "dunlin"),
    ("mosquitto-tools", [sys.executable, HERE / "mosquitto_suite.py"], "dunlin"),
    ("dunlin-tools", [sys.executable, HERE / "dunlin_suite.py"], "dunlin"),
    ("dunlin-tools-at-mosquitto", [sys.executable, HERE / "dunlin_suite.py"], "mosquitto"),
    ("paho-1.6-secure", [HERE / ".venv/paho1/bin/python", SECURITY / "paho_secure_suite.py"], "own"),
    ("paho-2-secure", [HERE / ".venv/paho2/bin/python", SECURITY / "paho_secure_suite.py"], "own"),
    ("mqttjs-secure", [sys.executable, SECURITY / "js_secure_suite.py"], "own"),
    ("reload", [HERE / ".venv/paho2/bin/python", SECURITY / "reload_suite.py"], "own"),
    ("quic", [HERE / ".venv/quic/bin/python", HERE / "quic_suite.py"], "own"),
    ("tls", [sys.executable, SECURITY / "tls_suite.py"], "own"),
    ("lab4", [sys.executable, SECURITY / "lab4_suite.py"], "own"),
    ("dynsec", [sys.executable, SECURITY / "dynsec_suite.py"], "own"),
    ("log-words", [sys.executable, SECURITY / "log_words.py"], "own"),
    ("beside-mosquitto", [sys.executable, SECURITY / "beside_mosquitto.py"], "own"),
]


class Outcome:
    """The lines of one suite, or why it could not run."""

    def __init__(self, name, lines, trouble=None):
        self.name = name
        self.passed = [line for line in lines if line.startswith("ok ")]
        self.failed = [line for line in lines if line.startswith("not ok ")]
        if trouble:
            self.failed.append(f"not ok {name}: {trouble}")

    def summary(self):
        return f"{self.name}: {len(self.passed)} passed, {len(self.failed)} failed"


@contextlib.contextmanager
def broker_address(kind):
    if kind == "own":
        yield "-", None
        return
    given = os.environ.get("DUNLIN_TEST_ADDR")
    if given:
        yield given, None
        return
    with brokers.Broker(kind) as broker:
        yield broker.address, broker


def run_suite(name, command, kind, wanted):
    try:
        with broker_address(kind) as (address, broker):
            arguments = [str(part) for part in command] + [address] + ([wanted] if wanted else [])
            done = subprocess.run(
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SUITE_SECONDS,
            )
            lines = done.stdout.splitlines()
            return Outcome(name, lines, trouble_of(done, lines, broker))
    except subprocess.TimeoutExpired as late:
        lines = (late.stdout or b"").decode(errors="replace").splitlines()
        return Outcome(name, lines, f"not finished after {SUITE_SECONDS} s")
    except (OSError, RuntimeError) as error:
        return Outcome(name, [], str(error))


def trouble_of(done, lines, broker):
    """What went wrong beside the behaviours: a crash of the suite or of the broker."""
    if broker and broker.process.poll() is not None:
        return f"the broker ended: {broker.output()}"
    reported = any(line.startswith("not ok ") for line in lines)
    if done.returncode != 0 and not reported:
        return f"ended with status {done.returncode}: {' | '.join(lines[-5:])}"
    return None


def missing_tools():
    needed = {str(command[0]) for _, command, _ in SUITES}
    needed |= {"mosquitto_pub", "mosquitto_ctrl", "mosquitto_passwd", "openssl", "chromium"}
    return sorted(tool for tool in needed if not shutil.which(tool))


def main():
    parser = argparse.ArgumentParser(description="Real clients against the real broker.")
    parser.add_argument("wanted", nargs="?", default="", help="run only what has this in its name")
    parser.add_argument("--suite", action="append", help="run only this suite (may be repeated)")
    parser.add_argument("--jobs", type=int, default=4, help="suites at the same time")
    parser.add_argument("--verbose", action="store_true", help="print what passed as well")
    options = parser.parse_args()

    missing = missing_tools()
    if missing:
        sys.exit(f"{', '.join(missing)} not found: run tests/clients/setup.sh first")
    suites = [suite for suite in SUITES if not options.suite or suite[0] in options.suite]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = [pool.submit(run_suite, *suite, options.wanted) for suite in suites]
        for future in concurrent.futures.as_completed(running):
            outcome = future.result()
            for line in outcome.passed * options.verbose + outcome.failed:
                print(line)
            print(outcome.summary(), flush=True)
            passed += len(outcome.passed)
            failed += len(outcome.failed)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
