#!/usr/bin/env bash
# Installs what the client tests need and is not there yet; a second run does nothing.
#
# Debian packages by name, the Python and JavaScript clients by exact version. Everything that is
# not a Debian package stays inside this directory (.venv, js/node_modules).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# A Debian package that brings a daemon starts it, unless this policy says no (101).
without_daemons() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    local status=0
    "$@" || status=$?
    as_root rm -f "$policy"
    return "$status"
}

debian_packages() {
    local missing=()
    [ -x /usr/sbin/mosquitto ] || command -v mosquitto >/dev/null || missing+=(mosquitto)
    command -v mosquitto_rr >/dev/null || missing+=(mosquitto-clients)
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    command -v python3 >/dev/null || missing+=(python3)
    command -v openssl >/dev/null || missing+=(openssl)
    # A browser has its own ideas of WebSockets and certificates.
    command -v chromium >/dev/null || missing+=(chromium)
    # Counts instructions for `xtask instructions`.
    command -v valgrind >/dev/null || missing+=(valgrind)
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq
    without_daemons as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

# $1: name of the environment; requirements-$1.txt says what is in it.
python_environment() {
    local venv=$here/.venv/$1 wanted=$here/requirements-$1.txt
    cmp -s "$wanted" "$venv/installed.txt" && return 0
    echo "preparing Python environment $1"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/installed.txt"
}

javascript_packages() {
    local lock=$here/js/package-lock.json mark=$here/js/node_modules/.installed
    cmp -s "$lock" "$mark" && return 0
    echo "preparing JavaScript packages"
    (cd "$here/js" && npm ci --silent --no-audit --no-fund)
    cp "$lock" "$mark"
}

debian_packages
python_environment paho1
python_environment paho2
# Speaks QUIC.
python_environment quic
javascript_packages
