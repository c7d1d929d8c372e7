#!/usr/bin/env bash
# Makes the release tarball and its checksum: packaging/tarball.sh [BINARY] [DIRECTORY].
# Without a binary it builds the release.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

find_binary "${1:-}"
out=$(mkdir -p "${2:-$PWD}" && cd "${2:-$PWD}" && pwd)
name=dunlin-$version-$(uname -m)-linux
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/$name/docs"
install -m 0755 "$binary" "$work/$name/dunlin"
install -m 0644 "$root/LICENSE-MIT" "$root/LICENSE-APACHE" "$root/packaging/dunlin.toml" \
    "$root/packaging/systemd/dunlin.service" "$work/$name/"
copy_pages "$work/$name/docs"
mv "$work/$name/docs/README.md" "$work/$name/"
# In the order of their names, of nobody in particular: the same input gives the same archive.
tar --create --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner --mode=go-w \
    --mtime="@$SOURCE_DATE_EPOCH" "$name" | gzip --no-name --best >"$out/$name.tar.gz"
(cd "$out" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$out/$name.tar.gz"
