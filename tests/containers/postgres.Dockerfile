# A stand-in for the image of `metabase-db` where no registry is reached: Debian's PostgreSQL behind an entrypoint that
# does what the official one does at a first start. For tests/containers only.
FROM python:3.11-slim-bookworm

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/*
COPY --chmod=0755 postgres.sh /usr/local/bin/
ENTRYPOINT ["postgres.sh"]
