#!/usr/bin/env bash
# Gradescope runs this once, while it builds the autograder's image: a virtual environment with the kit and its
# libraries, and what the exercises use. Its log shows whether submissions can be locked away here.
set -euo pipefail
here="${AUTOGRADER:-/autograder}"
. "$here/source/settings.sh"

python=""
for name in python3.13 python3.12 python3.11 python3; do
  if command -v "$name" > /dev/null && "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; then
    python="$name"
    break
  fi
done
if [ -z "$python" ]; then
  apt-get update
  apt-get install -y python3.11 python3.11-venv
  python=python3.11
fi

"$python" -m venv "$here/venv"
cd "$here/source/course"
if [ -n "$torch_index" ]; then  # the build of torch for CPUs; the usual one brings gigabytes of CUDA along
  "$here/venv/bin/python" -m pip install --index-url "$torch_index" "$(grep '^torch==' constraints.txt)"
fi
"$here/venv/bin/python" -m pip install -c constraints.txt -e .
DEEPDIVE_CACHE="$here/assets" "$here/venv/bin/deepdive" assets
chmod -R o+rX "$here/venv" "$here/source" "$here/assets"  # in the jail nobody is root

if ! "$here/venv/bin/deepdive" doctor; then
  echo "deepdive: no jail is to be had while this image is built; settings.sh says: jail=$jail"
fi
