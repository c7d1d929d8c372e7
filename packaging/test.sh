#!/usr/bin/env bash
# Builds both packages from a binary and looks into them: packaging/test.sh BINARY. As root, with
# INSTALL=1, the Debian package is installed and purged too.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

expect() {
    [ "$2" = "$3" ] || { echo "$1: \`$2\`, not \`$3\`" >&2; exit 1; }
}

"$here/deb.sh" "$1" "$work" >/dev/null
deb=$(echo "$work"/*.deb)
dpkg-deb -x "$deb" "$work/tree"
expect "mode of the binary" "$(stat -c %a "$work/tree/usr/bin/dunlin")" 755
expect "mode of the configuration" "$(stat -c %a "$work/tree/etc/dunlin/dunlin.toml")" 640
for page in moving-from-mosquitto why; do
    expect "page $page" "$(ls "$work/tree/usr/share/doc/dunlin/" | grep -cx "$page.md")" 1
done
"$work/tree/usr/bin/dunlin" --version
"$work/tree/usr/bin/dunlin" -c "$work/tree/etc/dunlin/dunlin.toml" --test-config
dpkg-deb -f "$deb" Package Version Architecture Depends

# As in the image: the store is the broker's own, in a directory where anybody may make one.
mkdir -m 1777 "$work/data"
written=$(sed -n "s|.*printf '\(.*\)' >/etc/dunlin/dunlin.toml.*|\1|p" "$here/Dockerfile")
printf '%b' "${written//\/data/$work/data}" >"$work/image.toml"
DUNLIN_SERVER_SHARDS=1 timeout -s INT 2 "$work/tree/usr/bin/dunlin" -c "$work/image.toml" -p 0 2>/dev/null || true
expect "mode of the store in the image" "$(stat -c %a "$work/data/store")" 700

"$here/tarball.sh" "$1" "$work" >/dev/null
archive=$(echo "$work"/*.tar.gz)
(cd "$work" && sha256sum --quiet -c "$archive.sha256")
first=$(sha256sum <"$archive")
"$here/tarball.sh" "$1" "$work" >/dev/null
expect "a second archive" "$(sha256sum <"$archive")" "$first"

if [ "${INSTALL:-}" = 1 ]; then
    dpkg -i "$deb" >/dev/null
    expect "owner of the state" "$(stat -c %U:%a /var/lib/dunlin)" dunlin:700
    expect "owner of the configuration" "$(stat -c %U:%G:%a /etc/dunlin)" root:dunlin:750
    dunlin --version
    dpkg -r dunlin >/dev/null
    expect "the configuration stays" "$(ls /etc/dunlin)" dunlin.toml
    dpkg -P dunlin >/dev/null
    [ ! -e /etc/dunlin ] && [ ! -e /var/lib/dunlin ] || { echo "purging left something" >&2; exit 1; }
    ! getent passwd dunlin >/dev/null || { echo "purging left the user" >&2; exit 1; }
fi
echo "packages are as they should be"
