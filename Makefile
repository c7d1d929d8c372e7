# The doors for daily work; CI goes through the same ones.
CARGO ?= cargo

.PHONY: run test test-rust test-clients tools fmt lint bench

# The broker on loopback, port 1883.
run:
	$(CARGO) run --release

# Everything: first what needs no outside tool, then the real clients.
test: test-rust test-clients

test-rust:
	$(CARGO) test --workspace --quiet --no-fail-fast

test-clients: tools
	$(CARGO) test --quiet -p dunlin-access -p dunlin-kit --test mosquitto --test foreign -- --ignored
	$(CARGO) build -p dunlin
	tests/clients/run.py

# Mosquitto's clients, paho and mqtt.js, as far as they are not there yet.
tools:
	tests/clients/setup.sh

fmt:
	$(CARGO) fmt --all

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

# What `dunlin bench` measures on this machine; `make bench SUITE=smoke` takes seconds only.
SUITE ?= numbers
QUICK = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/quick/dunlin
# Debian keeps daemons out of the PATH of ordinary users.
MOSQUITTO = $(or $(shell command -v mosquitto),/usr/sbin/mosquitto)

bench: tools
	$(CARGO) build -p dunlin --profile quick
	$(QUICK) bench compare --suite $(SUITE) --broker-cpu 0 --cpu 1 \
		--broker 'dunlin=$(QUICK) -p {port}' --broker 'mosquitto=$(MOSQUITTO) -c {conf}'
