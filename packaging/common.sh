# What the scripts beside it share: the version, the date and the binary. Read with `.`, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    echo "$*" >&2
    exit 1
}

# The version of the workspace.
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
[ -n "$version" ] || fail "Cargo.toml says no version"

# The date of the last change, so that the same source gives the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

# The binary to be packed: the one named, or a new release build.
find_binary() {
    if [ -n "${1:-}" ]; then
        binary=$1
    else
        (cd "$root" && cargo build --release --locked -p dunlin)
        binary=${CARGO_TARGET_DIR:-$root/target}/release/dunlin
    fi
    [ -x "$binary" ] || fail "$binary is no program"
    "$binary" --version >/dev/null || fail "$binary does not run on this machine"
}

# Pages that are of use without the source.
pages=(README.md SECURITY.md CHANGELOG.md docs/access.md docs/configuration.md docs/ctl.md docs/ctl-store.md
    docs/durability.md docs/install.md docs/mosquitto-keys.md docs/moving-from-mosquitto.md docs/quic.md
    docs/security-kit.md docs/why.md)

# Copies the pages that there are into a directory.
copy_pages() {
    local page
    for page in "${pages[@]}"; do
        [ ! -e "$root/$page" ] || install -m 0644 "$root/$page" "$1/"
    done
}
