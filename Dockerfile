# The pipeline, JupyterLab, the scheduler and the documentation: one image, several commands.
#
#   make image        hands on to the build what this machine knows of package indexes (docker/build.py)
#
# What runs is requirements.lock, every file checked against its hash; it resolves the same on 3.11, 3.12 and 3.13.
FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    UV_NO_CACHE=1 \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    PYTHONDONTWRITEBYTECODE=1

WORKDIR /app
COPY --chmod=0755 docker/install.sh /usr/local/bin/
COPY requirements-uv.lock requirements.lock ./
# Secrets are seen by this one step and stay in no layer; each may be absent.
RUN --mount=type=secret,id=installer --mount=type=secret,id=ca --mount=type=secret,id=uv.toml \
    install.sh /opt/venv requirements-uv.lock requirements.lock

ENV PATH=/opt/venv/bin:$PATH
COPY pyproject.toml README.md LICENSE ./
COPY lib ./lib
RUN pip install --no-deps --no-build-isolation --no-index --editable . \
    && python -m compileall -q lib


FROM python:3.11-slim-bookworm

# cron: the scheduler. tini: reaps what cron starts. tzdata: ANALYTICS_TZ for cron.
# Debian's archive keeps only the newest version of each package: pinning them would break the build, not secure it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cron tini tzdata \
    && rm -rf /var/lib/apt/lists/* /etc/cron.d/* /etc/cron.daily/* \
    # sets the audit user of a login, which containers may not
    && sed --in-place '/pam_loginuid/d' /etc/pam.d/cron

ARG HOST_UID=1000
ARG HOST_GID=1000
# In the group crontab: crontab(1) would be set-group-id to it, which no-new-privileges forbids.
RUN groupadd --gid "$HOST_GID" --non-unique analytics \
    && useradd --uid "$HOST_UID" --gid "$HOST_GID" --non-unique --create-home --shell /bin/bash \
       --groups crontab analytics

COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
COPY pipeline.yaml env.yaml schedules.yaml ./
COPY dbt ./dbt
COPY gx ./gx
COPY metabase ./metabase
COPY notebooks ./notebooks
COPY --chmod=0755 docker/scheduler.sh docker/jupyter.sh docker/provision.sh docker/healthcheck.sh /usr/local/bin/
COPY docker/docs_site.py docker/answers.py /usr/local/lib/

# Caches of tools go to memory; nothing may phone home.
ENV PATH=/opt/venv/bin:$PATH \
    ANALYTICS_PROJECT_ROOT=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/tmp/cache \
    IPYTHONDIR=/tmp/ipython \
    JUPYTER_PREFER_ENV_PATH=1 \
    DO_NOT_TRACK=1 \
    PLOOMBER_STATS_ENABLED=false \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    GX_ANALYTICS_ENABLED=false

# what `make setup` does: a first run does not wait for dbt
RUN python -m analytics.warehouse.prepared_plan && chmod 0644 /opt/venv/claude-analytics-plan.json

USER analytics
HEALTHCHECK --interval=60s --timeout=20s --start-period=30s --retries=3 CMD ["healthcheck.sh"]
ENTRYPOINT ["tini", "--"]
CMD ["claude-analytics", "--help"]
