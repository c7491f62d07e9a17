#!/bin/sh
# Puts together all that the image holds, out of a Debian system: the binary, the libraries that
# it is linked with, the roots of trust, the time zones, and a user who owns nothing.
#
# What comes from a Debian package is listed in var/lib/dpkg/status.d, one file a package, where
# scanners of images look for it, and deploy/sbom/image.py too.
#
#   rootfs.sh BINARY FOLDER
set -eu

binary=$1
root=$2
user=65532 # the number that distroless images use for `nonroot`

install -D -m 0755 "$binary" "$root/usr/bin/gapmend"
# The package that owns a file; with merged folders it may be listed under its other path.
record_package_of() {
    for path in "$1" "/usr$1" "${1#/usr}"; do
        package=$(dpkg-query --search "$path" 2>/dev/null | sed -n '1s/: .*//p')
        [ -z "$package" ] || break
    done
    [ -n "$package" ] || { echo "no Debian package owns $1" >&2; exit 1; }
    name=${package%%:*}
    mkdir -p "$root/var/lib/dpkg/status.d"
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$name"
    install -D -m 0644 "/usr/share/doc/$name/copyright" "$root/usr/share/doc/$name/copyright"
}

# The loader and the libraries, under the very names by which they are looked for.
ldd "$binary" | grep -o '/[^ ]*' >"$root/libraries"
while read -r library; do
    install -D -m 0755 "$library" "$root$library"
    record_package_of "$library"
done <"$root/libraries"
rm "$root/libraries"

install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
record_package_of /usr/sbin/update-ca-certificates
record_package_of /usr/share/zoneinfo/Europe/London
mkdir -p "$root/usr/share/zoneinfo"
(cd /usr/share/zoneinfo && tar -cf - --exclude=./posix --exclude=./right .) |
    tar -xf - -C "$root/usr/share/zoneinfo"

printf 'root:x:0:0::/:/nonexistent\ngapmend:x:%d:%d::/var/lib/gapmend:/nonexistent\n' \
    "$user" "$user" >"$root/etc/passwd"
printf 'root:x:0:\ngapmend:x:%d:\n' "$user" >"$root/etc/group"
install -d -m 0700 -o "$user" -g "$user" "$root/var/lib/gapmend"
install -d -m 1777 "$root/tmp"
install -d "$root/etc/gapmend"
