"""All behaviours with paho-mqtt, whichever version of it the interpreter has."""

from importlib.metadata import version

import harness
import paho_messages  # noqa: F401 (registers its behaviours)
import paho_sessions  # noqa: F401
import paho_v5  # noqa: F401

if __name__ == "__main__":
    harness.main(f"paho-{version('paho-mqtt')}")
