#!/bin/sh
# SPDX-License-Identifier: MIT
# What the compiler and the linker were to harden, they did: read from the program, the shared
# library and the objects. And the program leaves no core dump.
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

segments() { readelf -lW "$1"; }
dynamic() { readelf -dW "$1"; }
calls() { readelf -sW --dyn-syms "$1"; }

is_pie() { readelf -hW "$1" | grep -q 'Type: *DYN' && dynamic "$1" | grep -q 'FLAGS_1.*PIE'; }
is_relro() { segments "$1" | grep -q GNU_RELRO && dynamic "$1" | grep -q 'BIND_NOW\|FLAGS_1.*NOW'; }
stack_is_data() { segments "$1" | grep 'GNU_STACK' | grep -q ' RW '; }
nothing_writable_runs() { ! segments "$1" | grep LOAD | grep -q 'RWE'; }
no_path() { ! dynamic "$1" | grep -q 'RPATH\|RUNPATH'; }
no_text_relocation() { ! dynamic "$1" | grep -q TEXTREL; }
has_canaries() { calls "$1" | grep -q __stack_chk_fail; }
is_fortified() { calls "$1" | grep -q '__[a-z]*_chk'; }

for file in parley libparley.so.0; do
    it=$build/$file
    case $file in parley) check hardening__parley_is_position_independent is_pie "$it" ;; esac
    check "hardening__${file%%.*}_relocations_are_read_only" is_relro "$it"
    check "hardening__${file%%.*}_stack_is_not_executable" stack_is_data "$it"
    check "hardening__${file%%.*}_nothing_is_writable_and_runs" nothing_writable_runs "$it"
    check "hardening__${file%%.*}_no_search_path" no_path "$it"
    check "hardening__${file%%.*}_no_text_relocation" no_text_relocation "$it"
    check "hardening__${file%%.*}_stack_protector" has_canaries "$it"
    check "hardening__${file%%.*}_fortified" is_fortified "$it"
done

# The system's own objects are not all made for CET, so that the program is not marked; ours are.
objects_have_cet() {
    find "$build/engine" "$build/gen" -name '*.o' | while read -r o; do
        readelf -nW "$o" | grep -q 'IBT, SHSTK' || echo "$o"
    done >"$work/bare"
    cat "$work/bare"
    test ! -s "$work/bare"
}
case $(uname -m) in x86_64) check hardening__every_object_has_cet objects_have_cet ;; esac

# The flags that leave no mark of their own.
flags() {
    for flag in -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=3 -fPIC; do
        grep -q -e "$flag" "$build/flags.stamp" || { echo "$flag"; return 1; }
    done
}
check hardening__flags flags

# A program that dies while it holds what people said must leave none of it in a file.
no_core() {
    mkfifo "$work/in"
    (
        cd "$work" || exit
        ulimit -c unlimited 2>/dev/null
        exec "$OLDPWD/$build/parley" chat --store memory: --set keyring= <in >/dev/null 2>&1
    ) &
    pid=$!
    exec 7>"$work/in"
    echo "My secret." >&7
    i=0
    until grep -q 'Max core file size *0 *0' "/proc/$pid/limits" 2>/dev/null; do
        i=$((i + 1))
        [ $i -lt 500 ] || { cat "/proc/$pid/limits"; return 1; }
        sleep 0.01
    done
    kill -QUIT $pid
    exec 7>&-
    wait $pid 2>/dev/null
    ! ls "$work" | grep -q core
}
check hardening__no_core_dump no_core

# ---- units

# Every command that a unit runs is one that there is; and the sandbox is strict.
units() {
    sed "s|@PREFIX@|/usr|" scripts/systemd/parley-upkeep.service >"$work/parley-upkeep.service"
    cp scripts/systemd/parley-upkeep.timer "$work"
    grep '^ExecStart=' "$work/parley-upkeep.service" >"$work/starts"
    grep -q . "$work/starts" || return 1
    while read -r line; do
        # shellcheck disable=SC2046 # words
        set -- $(echo "${line#ExecStart=/usr/bin/parley }")
        "$build/parley" "$@" --help || return 1
    done <"$work/starts"
    ! grep -q '@' "$work/parley-upkeep.service" || grep '@' "$work/parley-upkeep.service" |
        grep -qv 'SystemCallFilter' && return 1
    return 0
}
check systemd__units_run_what_there_is units
if command -v systemd-analyze >/dev/null; then
    check systemd__sandbox_is_strict systemd-analyze security --offline=true --threshold=10 \
        "$work/parley-upkeep.service"
else
    n=$((n + 1))
    echo "ok $n - systemd__sandbox_is_strict # skip systemd-analyze is not here"
fi

echo "1..$n"
exit $failed
