# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# tap.sh: for tests of the program in shell: TAP, a folder to work in, and words to say what is expected.
#
#   . tests/support/tap.sh         from the root of the repository; the script is then in a new folder
#   it NAME                        a test begins, and ends the one before
#   run ARGUMENTS…                 parley; then $code, and files out and err
#   code N; says TEXT; quiet; prints TEXT; silent; has PATH TYPE [VALUE]; keys PATH "NAMES"
#   expect WHAT COMMAND…           passes if the command succeeds
#   plan                           the last line
#
# A check that fails says so and lets the rest go on: one run shows all that is wrong.
set -u
LC_ALL=C.UTF-8
export LC_ALL
unset PARLEY_CONFIG PARLEY_STORE PARLEY_POLICIES PARLEY_BOT PARLEY_PROVIDER PARLEY_MODEL PARLEY_LOG \
    ANTHROPIC_API_KEY ANTHROPIC_BASE_URL OPENAI_API_KEY OPENAI_BASE_URL NO_COLOR
root=$PWD
parley=$(cd "${PARLEY_BUILD:-build}" && pwd)/parley
work=$(mktemp -d)
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 1

tap_n=0
tap_name=
tap_bad=
tap_failed=0

tap_end() {
    [ -n "$tap_name" ] || return 0
    tap_n=$((tap_n + 1))
    if [ -z "$tap_bad" ]; then
        echo "ok $tap_n - $tap_name"
    else
        echo "not ok $tap_n - $tap_name"
        printf '%s\n' "$tap_bad" | sed 's/^/# /' | head -40
        tap_failed=1
    fi
}

it() {
    tap_end
    tap_name=$1
    tap_bad=
}

plan() {
    tap_end
    echo "1..$tap_n"
    exit $tap_failed
}

skip() { # skip NAME WHY
    tap_end
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1 # SKIP $2"
    tap_name=
}

wrong() { # also shows what the program said
    tap_bad="$tap_bad$1
  \$ parley $ran (exit $code)
$(head -c 2000 out | sed 's/^/  stdout: /')
$(head -c 2000 err | sed 's/^/  stderr: /')
"
}

# A folder of its own for what comes next, with what was there left behind.
fresh() {
    rm -rf "$work/here"
    mkdir "$work/here"
    cd "$work/here" || exit 1
    ran= code=0
    : >out
    : >err
}

run() {
    ran=$*
    "$parley" "$@" >out 2>err </dev/null
    code=$?
}

# Standard input is the caller's:  printf … | run_in ask; code is then in a subshell, hence the file.
feed() { # feed FORMAT ARGUMENTS…
    tap_format=$1
    shift
    ran="$* (fed)"
    # shellcheck disable=SC2059 # the format is the input
    printf "$tap_format" | "$parley" "$@" >out 2>err
    code=$?
}

code() { [ "$code" = "$1" ] || wrong "exit status $code, not $1"; }
says() { grep -qF -- "$1" err || wrong "standard error does not say: $1"; }
quiet() { [ ! -s err ] || wrong "standard error is not empty"; }
prints() { grep -qF -- "$1" out || wrong "standard output does not have: $1"; }
lacks() { ! grep -qF -- "$1" out || wrong "standard output has: $1"; }
silent() { [ ! -s out ] || wrong "standard output is not empty"; }
expect() { # expect WHAT COMMAND…
    tap_what=$1
    shift
    "$@" >expected 2>&1 || wrong "$tap_what
$(head -5 expected)"
}

# JSON of $json (out, unless said otherwise). `query` asks it in SQL as the column j.
json=out
query() {
    sqlite3 :memory: "WITH d(j) AS (SELECT CAST(readfile('$json') AS TEXT)) SELECT $1 FROM d" 2>&1
}
value() { query "json_extract(j, '$1')"; }
has() { # has PATH TYPE [VALUE]; number is integer or real, bool is true or false
    tap_type=$(query "json_type(j, '$1')")
    case $2/$tap_type in
    number/integer | number/real | bool/true | bool/false) ;;
    "$tap_type/$tap_type") ;;
    *)
        wrong "$1 is '$tap_type', not $2"
        return
        ;;
    esac
    [ $# -lt 3 ] || [ "$(value "$1")" = "$3" ] || wrong "$1 is '$(value "$1")', not '$3'"
}
keys() { # keys PATH "NAMES": each of the names is there
    for tap_key in $2; do
        [ -n "$(query "json_type(j, '$1.$tap_key')")" ] || wrong "$1 has no $tap_key"
    done
}
matches() { # matches PATH REGEX: the whole of the value
    value "$1" | grep -qxE -- "$2" || wrong "$1 is '$(value "$1")', not $2"
}
time_of='[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z'
id_of='[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'

fresh
