#!/bin/sh
# SPDX-License-Identifier: MIT
# `make deb`: the package holds what `make install` puts down, names what it depends on, and what is in it
# runs from anywhere.
set -u
build=${PARLEY_BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0
failed=0
check() { # check NAME COMMAND…
    name=$1
    shift
    n=$((n + 1))
    if "$@" >"$work/log" 2>&1; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        sed 's/^/# /' "$work/log" | head -30
        failed=1
    fi
}
command -v dpkg-deb >/dev/null || {
    echo "ok 1 - deb # SKIP there is no dpkg-deb here"
    echo "1..1"
    exit 0
}

deb=$work/parley.deb
make_it() { make -s B="$build" DEB="$deb" deb; }
names() {
    for field in "Package parley" "Architecture $(dpkg --print-architecture)" \
        "Version $("$build/parley" version | cut -d' ' -f2)"; do
        test "$(dpkg-deb -f "$deb" "${field%% *}")" = "${field#* }" || { echo "not: $field"; return 1; }
    done
    for library in libcurl4 libsqlite3-0 libsodium23 libzstd1 libpcre2-8-0 libutf8proc2 libedit2 libc6; do
        dpkg-deb -f "$deb" Depends | grep -qw "$library" || { echo "does not depend on $library"; return 1; }
    done
}
holds() {
    dpkg-deb -x "$deb" "$work/tree"
    for file in bin/parley lib/libparley.so.0 lib/libparley.a lib/pkgconfig/parley.pc include/parley.h \
        share/man/man1/parley.1.gz share/doc/parley/copyright share/bash-completion/completions/parley \
        share/parley/policies/hello.lua lib/systemd/system/parley-upkeep.service; do
        test -s "$work/tree/usr/$file" || { echo "not there: $file"; return 1; }
    done
    ! find "$work/tree" -perm /022 ! -type l | grep .
}
runs() (
    cd "$work" || exit 1
    tree/usr/bin/parley ask "My name is Ann." && tree/usr/bin/parley ask -c "What is my name?" | grep -q Ann &&
        tree/usr/bin/parley test tree/usr/share/parley/policies
)
check deb__is_made make_it
check deb__says_what_it_is_and_needs names
check deb__holds_what_install_puts_down holds
check deb__its_program_runs runs
echo "1..$n"
exit $failed
