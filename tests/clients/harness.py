"""What the suites share: behaviours are functions, one line is printed for each.

A suite is a program that takes HOST:PORT and prints `ok NAME` or `not ok NAME: REASON` for every
behaviour; `run.py` adds them up. A suite also runs alone: `suite.py HOST:PORT [PART OF A NAME]`; one that starts
its own brokers takes `-` for the address.
"""

import itertools
import os
import sys
import time
import traceback

#: What a broker on this machine must manage in, though the machine be busy.
PATIENCE_SECONDS = 60

_behaviours = []
_numbers = itertools.count(1)


def behaviour(function=None, **parameters):
    """Registers a behaviour; each keyword is a list of values, all combinations are run."""

    def register(function):
        for values in itertools.product(*parameters.values()):
            arguments = dict(zip(parameters, values))
            _behaviours.append((function, arguments))
        return function

    return register(function) if function else register


def unique(what="dunlin-test"):
    """A name that no other behaviour uses, for topics and client identifiers."""
    return f"{what}-{os.getpid()}-{next(_numbers)}"


def eventually(condition, what, seconds=PATIENCE_SECONDS):
    """Waits until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def equal(found, expected, what="value"):
    assert found == expected, f"{what}: found {found!r}, expected {expected!r}"


def label(function, arguments):
    words = function.__name__
    if arguments:
        words += "[" + ",".join(f"{name}={value}" for name, value in arguments.items()) + "]"
    return words


def main(prefix):
    """Runs what is registered against the broker named on the command line."""
    host, _, port = sys.argv[1].rpartition(":")
    address = (host, int(port)) if host else ()
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    failed = 0
    for function, arguments in _behaviours:
        name = f"{prefix}::{label(function, arguments)}"
        if wanted not in name:
            continue
        try:
            function(*address, **arguments)
            print(f"ok {name}", flush=True)
        except Exception as error:
            failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"not ok {name}: {reason} ({where.filename}:{where.lineno})", flush=True)
            if os.environ.get("DUNLIN_TEST_TRACE"):
                traceback.print_exc()
    sys.exit(1 if failed else 0)
