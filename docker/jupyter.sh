#!/bin/sh
# JupyterLab on all addresses of the container; compose publishes the port on this machine's loopback only. What else is
# set stands beside the pages it serves, the same as `make lab`.
set -eu
umask 077
: "${JUPYTER_TOKEN:?set JUPYTER_TOKEN (make env writes one)}"
export JUPYTER_TOKEN
root="${ANALYTICS_PROJECT_ROOT:-/app}"
export JUPYTER_CONFIG_PATH="$root/lib/analytics/web/jupyter"
# The Host is checked although the address is none of the loopback's: a page elsewhere cannot reach it by another name.
exec jupyter lab --ip 0.0.0.0 --port 8888 --no-browser --ServerApp.root_dir "$root" \
  --ServerApp.allow_remote_access False
