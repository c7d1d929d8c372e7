#!/usr/bin/env bash
# Makes the Debian package: packaging/deb.sh [BINARY] [DIRECTORY]. Without a binary it builds the release.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

find_binary "${1:-}"
out=${2:-$PWD}
command -v dpkg-deb >/dev/null || fail "dpkg-deb is needed"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 0755 "$tree"

install -d "$tree/DEBIAN" "$tree/usr/bin" "$tree/usr/lib/systemd/system" "$tree/etc/dunlin" \
    "$tree/usr/share/doc/dunlin"
install -m 0755 "$binary" "$tree/usr/bin/dunlin"
# Symbols are in the tarball of the release, for those who debug.
strip --strip-unneeded "$tree/usr/bin/dunlin" 2>/dev/null || true
install -m 0644 "$root/packaging/systemd/dunlin.service" "$tree/usr/lib/systemd/system/"
install -m 0640 "$root/packaging/dunlin.toml" "$tree/etc/dunlin/"
copy_pages "$tree/usr/share/doc/dunlin"
cat "$root/LICENSE-MIT" "$root/LICENSE-APACHE" >"$tree/usr/share/doc/dunlin/copyright"

# What the binary needs of the C library: nothing if it is static.
libraries=
if readelf -d "$tree/usr/bin/dunlin" 2>/dev/null | grep -q 'NEEDED.*libc\.so'; then
    glibc=$(readelf -V "$tree/usr/bin/dunlin" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
    libraries=", libc6 (>= ${glibc#GLIBC_}), libgcc-s1"
fi
size=$(du -sk --apparent-size "$tree" | cut -f1)
architecture=$(dpkg --print-architecture)
sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" \
    -e "s/@LIBRARIES@/$libraries/" "$root/packaging/debian/control.in" >"$tree/DEBIAN/control"
echo /etc/dunlin/dunlin.toml >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 0755 "$root/packaging/debian/$script" "$tree/DEBIAN/"
done
(cd "$tree" && find etc usr -type f -exec md5sum {} +) >"$tree/DEBIAN/md5sums"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$out"
dpkg-deb --root-owner-group --build "$tree" "$out/dunlin_${version}_${architecture}.deb"
