#!/bin/sh
# Puts together all that the image holds, out of a Debian system: the binary, the libraries that
# it is linked with, the roots of trust, the time zones, and a user who owns nothing.
#
#   rootfs.sh BINARY FOLDER
set -eu

binary=$1
root=$2
user=65532 # the number that distroless images use for `nonroot`

install -D -m 0755 "$binary" "$root/usr/bin/gapmend"
# The loader and the libraries, under the very names by which they are looked for.
ldd "$binary" | grep -o '/[^ ]*' | while read -r library; do
    install -D -m 0755 "$library" "$root$library"
done

install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$root/usr/share/zoneinfo"
(cd /usr/share/zoneinfo && tar -cf - --exclude=./posix --exclude=./right .) |
    tar -xf - -C "$root/usr/share/zoneinfo"

printf 'root:x:0:0::/:/nonexistent\ngapmend:x:%d:%d::/var/lib/gapmend:/nonexistent\n' \
    "$user" "$user" >"$root/etc/passwd"
printf 'root:x:0:\ngapmend:x:%d:\n' "$user" >"$root/etc/group"
install -d -m 0700 -o "$user" -g "$user" "$root/var/lib/gapmend"
install -d -m 1777 "$root/tmp"
install -d "$root/etc/gapmend"
