#!/bin/sh
# SPDX-License-Identifier: MIT
# deps.sh PACKAGE…: installs the Debian packages that are missing, and says nothing if none is.
set -eu

missing=
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "deps: these Debian packages are missing, and there is no apt-get here:$missing" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" != 0 ]; then
    sudo=sudo
    command -v sudo >/dev/null || {
        echo "deps: as root, run: apt-get install$missing" >&2
        exit 1
    }
fi
echo "deps: installing$missing" >&2
$sudo apt-get update -qq >&2
# shellcheck disable=SC2086 # one word per package
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
