#!/bin/sh
# Start Metabase. It wants to write into its plugins folder, so the driver is copied into a fresh one.
set -eu
umask 022
: "${MB_PLUGINS_DIR:=/tmp/plugins}"
: "${METABASE_HOME:=/opt/metabase}"
mkdir -p "$MB_PLUGINS_DIR" /tmp/duckdb
cp "$METABASE_HOME"/drivers/*.jar "$MB_PLUGINS_DIR"/
chmod 0644 "$MB_PLUGINS_DIR"/*.jar
# DuckDB works outside Java's heap: the container needs about twice as much memory.
# shellcheck disable=SC2086  # several options
exec java ${JAVA_OPTS:--Xmx1g} -jar "$METABASE_HOME/metabase.jar"
