#!/bin/sh
# Puts the unit, the manual page and the completions beside an installed binary.
#
#   install.sh [ROOT]
set -eu

root=${1:-/}
gapmend="$root/usr/bin/gapmend"
share="$root/usr/share"
unit=$(dirname -- "$0")/gapmend.service

[ -x "$gapmend" ] || {
    echo "$gapmend is not there: install the binary first" >&2
    exit 1
}

put() { install -D -m 0644 /dev/stdin "$1"; }

install -D -m 0644 "$unit" "$root/lib/systemd/system/gapmend.service"
install -d "$root/etc/gapmend/conf.d"
"$gapmend" man | put "$share/man/man1/gapmend.1"
"$gapmend" completions bash | put "$share/bash-completion/completions/gapmend"
"$gapmend" completions zsh | put "$share/zsh/vendor-completions/_gapmend"
"$gapmend" completions fish | put "$share/fish/vendor_completions.d/gapmend.fish"
