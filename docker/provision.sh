#!/bin/sh
# Wait for the first publish, then create or update the dashboards in Metabase, once.
set -eu
umask 077
: "${DATA_DIR:?set DATA_DIR}"
: "${WAIT_SECONDS:=7200}"
waited=0
until [ -e "$DATA_DIR/serving/serving.duckdb" ]; do
  [ "$waited" -gt 0 ] || echo "waiting for the first publish: $DATA_DIR/serving/serving.duckdb"
  if [ "$waited" -ge "$WAIT_SECONDS" ]; then
    echo "error: nothing was published within $WAIT_SECONDS s; see: docker compose logs scheduler" >&2
    exit 1
  fi
  sleep 5
  waited=$((waited + 5))
done
exec claude-analytics dashboards provision
