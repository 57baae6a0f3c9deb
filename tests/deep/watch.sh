#!/bin/sh
# SPDX-License-Identifier: MIT
# watch.sh valgrind|thread COMMAND…: runs a test, a program or a script, and adds one more to what it
# prints: that the tool found nothing in it. With valgrind the test runs under memcheck, and so does every
# `parley` that it starts; with thread both were built with ThreadSanitizer. PARLEY_BUILD is the build.
#
# Processes that a test forks without starting another program are not looked at by memcheck: most of them
# are there to be killed.
set -u
tool=$1
shift
root=$PWD
build=$(cd "${PARLEY_BUILD:-build}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/build" "$work/logs"

memcheck="valgrind --leak-check=full --errors-for-leak-kinds=definite,indirect,possible
    --show-leak-kinds=definite,indirect,possible --error-exitcode=99 --num-callers=25
    --child-silent-after-fork=yes --suppressions=$root/tests/deep/valgrind.supp --log-file=$work/logs/%p"
if [ "$tool" = valgrind ]; then
    # shellcheck disable=SC2086 # words
    printf '#!/bin/sh\nexec %s %s "$@"\n' "$(echo $memcheck)" "$build/parley" >"$work/build/parley"
    chmod +x "$work/build/parley"
    PARLEY_BUILD=$work/build
    export PARLEY_BUILD
    case $1 in
    *.sh) memcheck= ;;
    esac
    # shellcheck disable=SC2086
    $memcheck "$@"
else
    PARLEY_BUILD=$build
    TSAN_OPTIONS="exitcode=99 history_size=5 second_deadlock_stack=1 log_path=$work/logs/tsan
        suppressions=$root/tests/deep/tsan.supp"
    export TSAN_OPTIONS
    "$@"
fi
code=$?

# What there is to say of a tool that found something: its log, but for valgrind's own head and tail.
found=$(grep -lE 'ERROR SUMMARY: [1-9]|WARNING: ThreadSanitizer|ThreadSanitizer:DEADLYSIGNAL' "$work"/logs/* \
    2>/dev/null)
if [ -z "$found" ]; then
    echo "ok 1 - $tool $(basename "$1")"
else
    echo "not ok 1 - $tool $(basename "$1")"
    # shellcheck disable=SC2086
    cat $found | grep -v 'Memcheck, a\|Copyright\|Using Valgrind' | head -60 | sed 's/^/# /'
    exit 99
fi
exit $code
