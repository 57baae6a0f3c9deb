#!/bin/sh
# SPDX-License-Identifier: MIT
# watch.sh finds what there is to find: the negative control of `make check-deep`. Prints TAP.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
clang -O1 -g -fsanitize=thread -pthread -o "$work/thread" tests/deep/faults.c || exit 1
gcc -O1 -g -pthread -o "$work/valgrind" tests/deep/faults.c || exit 1
n=0
bad=0
check() { # check TOOL WHAT CODE
    n=$((n + 1))
    PARLEY_BUILD=$work tests/deep/watch.sh "$1" "$work/$1" "$2" >"$work/out" 2>&1
    code=$?
    if [ "$code" = "$3" ] && grep -q "$4" "$work/out"; then
        echo "ok $n - controls__$1_$2"
    else
        echo "not ok $n - controls__$1_$2"
        sed 's/^/# /' "$work/out"
        bad=1
    fi
}
check thread nothing 0 '^ok 1 - thread'
check thread race 99 'data race'
check valgrind nothing 0 '^ok 1 - valgrind'
check valgrind leak 99 'definitely lost: 4,711'
check valgrind unwritten 99 'depends on uninitialised'
echo "1..$n"
exit $bad
