#!/bin/sh
# Healthy: what somebody needs of this container works. $1, or ROLE, says what the container is for.
set -eu
role="${1:-${ROLE:-command}}"
: "${RUN_AS:=analytics}"
case "$role" in
  scheduler)
    # cron lives, the schedules are in its table, the runs work and are not late
    kill -0 "$(cat "${CRON_PID_FILE:-/run/crond.pid}")"
    if [ "$(id -u)" = 0 ]; then exec setpriv --reuid "$RUN_AS" --regid "$(id -g "$RUN_AS")" --init-groups -- "$0" schedules; fi
    exec "$0" schedules
    ;;
  schedules)
    crontab -l | grep --quiet --fixed-strings "${DATA_DIR:?}/cron/run"
    exec claude-analytics status --check
    ;;
  jupyter | docs) exec python "${ANSWERS:-/usr/local/lib/answers.py}" "$role" ;;
  *) exec claude-analytics config >/dev/null ;;
esac
