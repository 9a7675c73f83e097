# Metabase with the DuckDB driver. The official image is Alpine; the driver needs glibc.
#
# Which versions go together: docs/metabase.md. A download that is not the file named here is not built: for another
# version give METABASE_SHA256 or DRIVER_SHA256 too. Where the two below come from: docs/containers.md.
FROM eclipse-temurin:21-jre-jammy

ARG METABASE_VERSION=v0.63.18
ARG METABASE_SHA256=c957e670ad0b36da6999649315397e01b5a037918bb2fa222cb326815051598b
ARG DRIVER_VERSION=1.5.5.0
ARG DRIVER_SHA256=47a0d41ca52ff82a6ce78b0c52b2bdb58b32094405e446734cefc44eb1ddbd07
ARG DUCKDB_VERSION=1.5.5
ARG TARGETARCH=amd64

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends curl ca-certificates \
    && rm -rf /var/lib/apt/lists/*

RUN mkdir -p /opt/metabase/drivers \
    && curl --fail --silent --show-error --location --retry 3 --output /opt/metabase/metabase.jar \
       "https://downloads.metabase.com/${METABASE_VERSION}/metabase.jar" \
    && curl --fail --silent --show-error --location --retry 3 --output /opt/metabase/drivers/duckdb.metabase-driver.jar \
       "https://github.com/motherduckdb/metabase_duckdb_driver/releases/download/${DRIVER_VERSION}/duckdb.metabase-driver.jar" \
    && sha256sum /opt/metabase/metabase.jar /opt/metabase/drivers/duckdb.metabase-driver.jar \
    && printf '%s  %s\n' "$METABASE_SHA256" /opt/metabase/metabase.jar \
         "$DRIVER_SHA256" /opt/metabase/drivers/duckdb.metabase-driver.jar | sha256sum --check --strict - \
    # a jar that is not readable is silently skipped
    && chmod 0644 /opt/metabase/metabase.jar /opt/metabase/drivers/duckdb.metabase-driver.jar

# The driver sets a time zone when it connects, for which its DuckDB looks for the icu extension on disk. DuckDB checks
# the extension's own signature when it loads it.
RUN extensions="/opt/metabase/home/.duckdb/extensions/v${DUCKDB_VERSION}/linux_${TARGETARCH}" \
    && mkdir -p "$extensions" \
    && curl --fail --silent --show-error --location --retry 3 \
       "https://extensions.duckdb.org/v${DUCKDB_VERSION}/linux_${TARGETARCH}/icu.duckdb_extension.gz" \
       | gunzip > "$extensions/icu.duckdb_extension" \
    && chmod -R a+rX /opt/metabase \
    # the volume mounted here takes its rights from this folder
    && mkdir --mode=1777 /tmp/duckdb

RUN useradd --system --create-home --uid 2000 metabase
COPY --chmod=0755 docker/metabase.sh /usr/local/bin/metabase.sh

ENV HOME=/opt/metabase/home \
    MB_PLUGINS_DIR=/tmp/plugins \
    MB_JETTY_HOST=0.0.0.0 \
    MB_JETTY_PORT=3000

USER metabase
EXPOSE 3000
# /api/health is green before the other endpoints answer.
HEALTHCHECK --interval=15s --timeout=10s --start-period=180s --retries=10 \
  CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://localhost:3000/api/session/properties"]
ENTRYPOINT ["metabase.sh"]
