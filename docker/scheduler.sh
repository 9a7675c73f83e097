#!/bin/sh
# The scheduler's container: cron as root, because that is what cron needs; every run as the user `analytics`.
#
# cron hands nothing of the container's environment on, so the settings go into a file in memory that only that user
# can read; `deploy` makes the script that reads it. The log of the runs is the container's log. The crontab lies in
# memory too: it is written anew at each start.
set -eu
umask 077
: "${DATA_DIR:?set DATA_DIR}"
: "${RUN_AS:=analytics}"
: "${ENVIRONMENT_DIR:=/run/analytics}"

mkdir -p "$ENVIRONMENT_DIR"
if [ "$(id -u)" = 0 ]; then
  chown "$RUN_AS" "$ENVIRONMENT_DIR"
  install --directory --mode=1730 --group=crontab "${CRONTABS:-/var/spool/cron/crontabs}"
  as_user() { setpriv --reuid "$RUN_AS" --regid "$(id -g "$RUN_AS")" --init-groups -- "$@"; }
else
  as_user() { "$@"; }
fi

# Cron notices a changed crontab by the second: the crontab first, then cron.
as_user claude-analytics deploy --cron-follows --environment-file "$ENVIRONMENT_DIR/environment"
# shellcheck disable=SC2016  # $0 is the argument
as_user sh -c 'umask 077 && mkdir -p "$0/logs" && touch "$0/logs/cron.log"' "$DATA_DIR"

# Nothing published yet: the first numbers need not wait for the hour.
if [ ! -e "${DUCKDB_PATH:-$DATA_DIR/analytics.db}" ]; then
  as_user "$DATA_DIR/cron/run" hourly-analytics &
fi

tail -n 0 -F "$DATA_DIR/logs/cron.log" &
exec cron -f
