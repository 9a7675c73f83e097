#!/bin/sh
# JupyterLab on all addresses of the container; compose publishes the port on this machine's loopback only.
set -eu
umask 077
: "${JUPYTER_TOKEN:?set JUPYTER_TOKEN (make env writes one)}"
export JUPYTER_TOKEN
# The kernel of this environment, found without writing to the home folder; no usage reports, no news.
exec jupyter lab --ip 0.0.0.0 --port 8888 --no-browser --ServerApp.root_dir /app \
  --LabApp.news_url= --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate
