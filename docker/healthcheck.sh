#!/bin/sh
# Healthy: what this container is for answers. $1, or the container's main command, says what that is.
set -eu
role="${1:-${ROLE:-command}}"
case "$role" in
  scheduler)
    kill -0 "$(cat "${CRON_PID_FILE:-/run/crond.pid}")"
    exec claude-analytics status --check
    ;;
  jupyter) address="http://127.0.0.1:8888/api" ;;
  docs) address="http://127.0.0.1:8080/" ;;
  *) exec claude-analytics config >/dev/null ;;
esac
exec python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10)' "$address"
