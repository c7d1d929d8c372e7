# The doors for daily work; CI goes through the same ones.
CARGO ?= cargo

.PHONY: run test test-rust test-clients tools fmt lint bench

# The broker on loopback, port 1883.
run:
	$(CARGO) run -p dunlin

# Everything: first what needs no outside tool, then the real clients.
test: test-rust test-clients

test-rust:
	$(CARGO) test --workspace --quiet --no-fail-fast

test-clients: tools
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

# What `dunlin bench` measures on this machine; its --help names the scenarios.
bench:
	$(CARGO) build -p dunlin --profile quick
	$(CARGO) run -p dunlin --profile quick --quiet -- bench compare --suite numbers \
		--broker 'dunlin=$(CURDIR)/target/quick/dunlin -p {port}' \
		--broker 'mosquitto=mosquitto -c {conf}'
