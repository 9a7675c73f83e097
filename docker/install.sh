#!/bin/sh
# In the image's build: install.sh VENV UV_LOCK LOCK makes VENV and installs LOCK into it, every file against its hash.
#
# uv does it in seconds; where only pip can reach the index, pip installs the same. What the machine that builds knows
# of indexes and certificates comes as build secrets (docker/build.py); without them both use their defaults.
set -eu
venv=$1 uv_lock=$2 lock=$3
secrets="${SECRETS:-/run/secrets}"
if [ -f "$secrets/installer" ]; then
  # shellcheck disable=SC1091  # written by docker/build.py
  . "$secrets/installer"
fi
if [ -f "$secrets/ca" ]; then export SSL_CERT_FILE="$secrets/ca" PIP_CERT="$secrets/ca"; fi
if [ -f "$secrets/uv.toml" ]; then export UV_CONFIG_FILE="$secrets/uv.toml"; fi

python -m venv "$venv"
tools=$(mktemp -d)
python -m venv "$tools"
if "$tools/bin/pip" install --quiet --require-hashes --requirement "$uv_lock" \
  && VIRTUAL_ENV="$venv" "$tools/bin/uv" pip install --quiet --require-hashes --requirement "$lock"; then
  echo "$lock installed with uv"
else
  echo "uv could not: pip installs the same, which takes a minute or two"
  "$venv/bin/pip" install --quiet --require-hashes --requirement "$lock"
fi
rm -rf "$tools"
