#!/bin/sh
# SPDX-License-Identifier: MIT
# The public headers compile alone, as C11 and C++17, without a warning; only parley_* is exported; what
# `make install` puts down is enough to build and run the example.
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

strict="-Wall -Wextra -Werror -pedantic -Wstrict-prototypes"
# shellcheck disable=SC2086 # words of flags
{
    check header__c11_gcc gcc -std=c11 $strict -fsyntax-only -x c engine/parley.h
    check header__c11_clang clang -std=c11 $strict -fsyntax-only -x c engine/parley.h
}
check header__cpp17_gcc g++ -std=c++17 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c++ engine/parley.h
check header__cpp17_clang clang++ -std=c++17 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c++ engine/parley.h
# shellcheck disable=SC2086 # words of flags
check header__tools_c11 gcc -std=c11 $strict -fsyntax-only -x c engine/parley_tools.h
check header__tools_cpp17 g++ -std=c++17 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c++ engine/parley_tools.h

# Symbols that others would see and that are not ours to take.
foreign_so() { nm -D --defined-only "$build/libparley.so.0" | awk '{print $3}' | grep -v '^parley_'; }
foreign_a() { nm -g --defined-only "$build/libparley.a" 2>/dev/null | awk 'NF == 3 {print $3}' | grep -v '^parley_'; }
declared() { grep -oh 'parley_[a-z_]*(' engine/parley.h engine/parley_tools.h | tr -d '(' | sort -u; }
exported() { nm -D --defined-only "$build/libparley.so.0" | awk '{print $3}' | sort -u; }
only_ours() { test -z "$("$1")" || { "$1"; return 1; }; }
all_there() {
    exported >"$work/exported"
    missing=$(declared | grep -vxF -f "$work/exported")
    test -z "$missing" || { echo "declared but not exported: $missing"; return 1; }
}
check header__shared_library_exports_only_parley only_ours foreign_so
check header__static_library_exports_only_parley only_ours foreign_a
check header__everything_declared_is_exported all_there

# As an embedder would: install, then build with pkg-config, against both libraries, and run.
install_it() { make -s B="$build" DESTDIR="$work/dest" PREFIX=/usr install; }
flags() { echo "-I$work/dest/usr/include"; }
libs() { pkg-config --libs sqlite3 lua5.4 libcurl libsodium libzstd libpcre2-8 libutf8proc; }
build_shared() {
    gcc -std=c11 -Wall -Wextra -Werror -o "$work/shared" tests/embed/minimal.c "$(flags)" \
        -L"$work/dest/usr/lib" -lparley -Wl,-rpath,"$work/dest/usr/lib"
}
build_static() {
    # shellcheck disable=SC2046
    gcc -std=c11 -Wall -Wextra -Werror -o "$work/static" tests/embed/minimal.c "$(flags)" \
        "$work/dest/usr/lib/libparley.a" $(libs) -pthread -lm
}
runs() { (cd "$work" && "$1" >said && grep -q "Ann" said && grep -q '"value":"Ann"' said); }
check header__installs install_it
shells_find_it() {
    share=$work/dest/usr/share
    for file in bash-completion/completions/parley zsh/site-functions/_parley \
        fish/vendor_completions.d/parley.fish man/man1/parley.1; do
        test -s "$share/$file" || { echo "not there: $share/$file"; return 1; }
    done
    grep -q '^#compdef parley' "$share/zsh/site-functions/_parley"
}
check header__installs_systemd_units test -s "$work/dest/usr/lib/systemd/system/parley-upkeep.timer"
check header__installs_completion_and_manual shells_find_it
check header__pkg_config_knows_it \
    env PKG_CONFIG_PATH="$work/dest/usr/lib/pkgconfig" pkg-config --exists --print-errors parley
check embed__builds_against_the_shared_library build_shared
check embed__builds_against_the_static_library build_static
check embed__example_remembers_shared runs "$work/shared"
check embed__example_remembers_static runs "$work/static"
echo "1..$n"
exit $failed
