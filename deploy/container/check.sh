#!/bin/sh
# The image without a container engine: the binary is run on a read-only root that holds only
# what the image would hold, as nobody.
#
#   check.sh BINARY        as root
set -eu
cd "$(dirname -- "$0")/../.."

binary=$1
root=$(mktemp -d)
chmod 0755 "$root"
trap 'rm -rf -- "$root"' EXIT

deploy/container/rootfs.sh "$binary" "$root"
size() { du -sh --apparent-size "$1" | cut -f1; }
echo "the image's root: $(size "$root"), of which the binary $(size "$root/usr/bin/gapmend")"

# The engine would mount these; a namespace of our own has them and nobody else sees them.
unshare --mount sh -eu -c '
    root=$1
    mount --bind "$root" "$root"
    mount -t tmpfs tmpfs "$root/tmp"
    mkdir -p "$root/proc" "$root/dev"
    mount --rbind /proc "$root/proc"
    touch "$root/dev/null" && mount --bind /dev/null "$root/dev/null"
    mount -o remount,bind,ro "$root"
    nobody() { chroot --userspec=65532:65532 "$root" /usr/bin/gapmend "$@"; }
    nobody --version
    nobody config schema >/dev/null
    if nobody healthcheck 2>/dev/null; then echo "healthy without a daemon"; exit 1; fi
    nobody demo --once >"$root/tmp/demo.txt" 2>&1 || { cat "$root/tmp/demo.txt"; exit 1; }
    grep -q succeeded "$root/tmp/demo.txt"
    if touch "$root/usr/written" 2>/dev/null; then echo "the root can be written"; exit 1; fi
' sh "$root"
echo "the binary runs on the image's root, read-only and as nobody"
