#!/bin/sh
# Makes the environments of the peers, each its own: sh benchmarks/setup_peers.sh [DIRECTORY] [NAME...]
# Default: .peers in the project's root, all of opennmt joeynmt huggingface (about 4.5 GB). Safe to run again.
# PYTHON names the interpreter; the pinned packages are known to have wheels for Python 3.11.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
peers=${1:-$here/../.peers}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- opennmt joeynmt huggingface

python=${PYTHON:-}
if [ -z "$python" ]; then
  python=python3
  if command -v python3.11 >/dev/null 2>&1; then python=python3.11; fi
fi

mkdir -p "$peers"
for name in "$@"; do
  wanted=$here/peers-$name.txt
  if cmp -s "$wanted" "$peers/$name/installed.txt"; then
    echo "$name: ready in $peers/$name"
    continue
  fi
  echo "$name: installing into $peers/$name"
  rm -rf "${peers:?}/$name"
  "$python" -m venv "$peers/$name"
  "$peers/$name/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$peers/$name/installed.txt"
done
