# Claude Code analytics. `make` alone lists what there is.
#
# Every target installs what it needs into .venv first; nothing is installed anywhere else. Settings are
# environment variables or lines of .env, also on the command line: make pipeline SOURCE=jsonl

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
INSTALLED := $(VENV)/.installed
TEST_INSTALLED := $(VENV)/.installed-test
SPARK_INSTALLED := $(VENV)/.installed-spark
RUN := $(VENV)/bin/python -m analytics.cli
# docker, or podman with podman-compose where there is no docker
ENGINE ?= $(if $(shell command -v docker),docker,podman)
COMPOSE ?= $(if $(filter podman,$(ENGINE)),podman-compose,docker compose)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

##@ Start here

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z-]*:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(INSTALLED) ## Install into .venv (needs Python 3.11, 3.12 or 3.13)

.PHONY: pipeline
pipeline: $(INSTALLED) ## Read your transcripts, build and publish the numbers, print them
	@$(RUN) pipeline $(ARGS)

.PHONY: demo
demo: $(INSTALLED) ## The same on a generated history, kept apart in data/demo
	@$(DEMO_ENV) $(RUN) demo $(ARGS)
	@$(DEMO_ENV) $(RUN) pipeline --deployment demo

# Nothing of the demo touches what is configured for the real thing; a MongoDB that is configured is not read either.
DEMO_DIR := data/demo
DEMO_ENV = DATA_DIR=$(DEMO_DIR) DUCKDB_PATH=$(DEMO_DIR)/analytics.db CLAUDE_PROJECTS_DIR=$(DEMO_DIR)/projects SOURCE=jsonl

.PHONY: demo-report
demo-report: ## Print the demo's numbers again
	@$(DEMO_ENV) $(MAKE) --no-print-directory report

.PHONY: demo-dashboards
demo-dashboards: ## The demo's dashboards in your browser
	@$(DEMO_ENV) $(MAKE) --no-print-directory dashboards

.PHONY: demo-lab
demo-lab: ## JupyterLab on the demo
	@$(DEMO_ENV) $(MAKE) --no-print-directory lab

.PHONY: demo-docs
demo-docs: ## dbt documentation of the demo
	@$(DEMO_ENV) $(MAKE) --no-print-directory docs

##@ Look at the results

.PHONY: report
report: $(INSTALLED) ## Print the numbers of the published database again
	@$(RUN) report $(ARGS)

.PHONY: lab
lab: $(INSTALLED) ## JupyterLab on the loopback (PORT=8888): exploration and pipeline notebooks, dashboards
	@JUPYTER_CONFIG_PATH=$(CURDIR)/lib/analytics/web/jupyter \
	  $(VENV)/bin/jupyter lab --ip 127.0.0.1 --port $(or $(PORT),8888) $(ARGS)

.PHONY: docs
docs: $(INSTALLED) ## dbt documentation of every table and column on the loopback (PORT=8080)
	@$(RUN) docs --port $(or $(PORT),8080) $(ARGS)

.PHONY: dashboards
dashboards: $(INSTALLED) ## The dashboards in your browser (PORT=8889; ARGS=html: one file to send; ARGS=provision: in Metabase)
	@$(if $(ARGS),,echo "The dashboards are pages of a local server now; the file that this target wrote before: make dashboards ARGS=html" >&2)
	@$(RUN) dashboards $(or $(ARGS),serve --port $(or $(PORT),8889))

##@ Run it regularly

.PHONY: deploy
deploy: $(INSTALLED) ## Write the schedules into your crontab (ARGS=--print shows them, ARGS=--remove removes them)
	@$(RUN) deploy $(ARGS)

.PHONY: status
status: $(INSTALLED) ## Schedules, next times and the last runs
	@$(RUN) status $(ARGS)

.PHONY: run-adhoc
run-adhoc: $(INSTALLED) ## One run now, by the name adhoc-analytics
	@$(RUN) worker adhoc-analytics

.PHONY: run-backfill
run-backfill: $(INSTALLED) ## Look at every document of the source again and add what is missing
	@$(RUN) worker full-backfill

.PHONY: run-daily
run-daily: $(INSTALLED) ## The nightly run now: look at everything again, rebuild every table
	@$(RUN) worker daily-full-refresh

.PHONY: worker-local
worker-local: $(INSTALLED) ## Run the schedules in the foreground, without cron
	@$(RUN) worker

##@ When one machine is not enough

.PHONY: setup-spark
setup-spark: $(SPARK_INSTALLED) ## Install Apache Spark into .venv, 0.5 GB (needs Java 17 and, once, Maven)

##@ Containers

.PHONY: env
env: $(INSTALLED) ## Write .env with random secrets for the containers (an existing .env is kept)
	@$(RUN) deploy --make-env

.PHONY: image
image: env ## Build the image of pipeline, JupyterLab, scheduler and documentation
	@$(VENV)/bin/python docker/build.py $(ENGINE) claude-code-analytics $(BUILD_ARGS)

.PHONY: up
up: image ## Start everything: MongoDB, scheduler, JupyterLab, Metabase, documentation
	$(COMPOSE) --profile full build metabase
	$(COMPOSE) --profile full up --detach

.PHONY: up-core
up-core: image ## Start scheduler and JupyterLab only
	CONTAINER_MONGO_URI= $(COMPOSE) up --detach

.PHONY: pin-images
pin-images: $(INSTALLED) ## Write the digests of the base images beside their tags (asks their registry)
	@$(VENV)/bin/python docker/pin_images.py

.PHONY: down
down: ## Stop the containers; data is kept
	$(COMPOSE) --profile full down

.PHONY: logs
logs: ## Follow the containers' logs
	$(COMPOSE) --profile full logs --follow

.PHONY: shell
shell: ## A shell in the scheduler's container
	$(COMPOSE) exec scheduler bash

##@ Develop

.PHONY: test
test: $(TEST_INSTALLED) ## Run all tests that need Python only (ARGS="-k lock" some of them)
	@$(VENV)/bin/python -m pytest -n $(or $(WORKERS),4) --dist worksteal $(ARGS)

.PHONY: test-browser
test-browser: $(TEST_INSTALLED) ## The pages as a reader sees them (needs Chromium)
	@$(VENV)/bin/python -m pytest tests/browser -n $(or $(WORKERS),2) --dist loadfile $(ARGS)

.PHONY: test-journeys
test-journeys: $(TEST_INSTALLED) ## What the README says, as a user does it: real commands, servers and browser
	@$(VENV)/bin/python -m pytest tests/journeys -n $(or $(WORKERS),2) --dist loadfile $(ARGS)

.PHONY: test-servers
test-servers: $(TEST_INSTALLED) ## Read from other MongoDB servers (needs Java 17 and Maven)
	@$(VENV)/bin/python -m pytest tests/servers -n 0 $(ARGS)

.PHONY: test-spark
test-spark: $(TEST_INSTALLED) ## Build the marts on Apache Spark and compare them with DuckDB's (needs Java 17; run `make setup-spark` first)
	@$(VENV)/bin/python -m pytest tests/spark -n 2 --dist loadfile $(ARGS)

.PHONY: test-containers
test-containers: $(TEST_INSTALLED) ## Build the image, start the stack and use it (needs podman; prepare it with tests/containers/prepare)
	@$(VENV)/bin/python -m pytest tests/containers -n 0 $(ARGS)

.PHONY: truth
truth: $(TEST_INSTALLED) ## Compare every figure of a history with an independent recount (PROJECTS=FOLDER)
	@$(VENV)/bin/python tests/truth.py $(or $(PROJECTS),$(HOME)/.claude/projects) $(ARGS)

.PHONY: lint
lint: $(TEST_INSTALLED) ## Check style of Python and SQL, types, and who imports whom
	@$(VENV)/bin/ruff check && $(VENV)/bin/ruff format --check
	@$(VENV)/bin/lint-imports --no-logo --no-cache
	@$(VENV)/bin/sqlfluff lint -q dbt/models dbt/tests
	@$(VENV)/bin/mypy

.PHONY: bench
bench: $(TEST_INSTALLED) ## Measure: benchmarks/ (takes minutes)
	@$(VENV)/bin/python -m benchmarks $(ARGS)

# what an unlucky world does to a source: these belong to chaos as well as to `make test`
UNLUCKY := tests/integration/test_late_arrivals.py tests/integration/test_reconcile.py tests/integration/test_unlucky_servers.py

.PHONY: chaos
chaos: $(TEST_INSTALLED) ## Kill, starve and confuse the pipeline for a long time (CHAOS_ROUNDS=10 FUZZ_EXAMPLES=200)
	@export CHAOS_ROUNDS=$${CHAOS_ROUNDS:-10} FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-200} CHAOS_SEED=$${CHAOS_SEED:-$$RANDOM}; \
	echo "CHAOS_SEED=$$CHAOS_SEED CHAOS_ROUNDS=$$CHAOS_ROUNDS FUZZ_EXAMPLES=$$FUZZ_EXAMPLES"; \
	$(VENV)/bin/python -m pytest tests/faults tests/fuzz $(UNLUCKY) --hypothesis-seed=$$CHAOS_SEED \
	  -n $(or $(WORKERS),4) --dist worksteal $(ARGS)

.PHONY: lock
lock: $(INSTALLED) ## Resolve the requirements*.lock files again from pyproject.toml
	@compile() { $(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-strip-extras --no-emit-index-url --no-header --annotation-style line "$$@"; }; \
	compile --extra build pyproject.toml --output-file requirements.lock && \
	compile --extra build --extra test -c requirements.lock pyproject.toml --output-file requirements-test.lock && \
	compile --extra spark -c requirements.lock pyproject.toml --output-file requirements-spark.lock && \
	echo 'uv>=0.9,<1' | compile - --output-file requirements-uv.lock
	@sed -i '1i # What users run, pinned with hashes, for Python 3.11 to 3.13. Made by `make lock`.' requirements.lock
	@sed -i '1i # The same and what tests need, pinned with hashes. Made by `make lock`.' requirements-test.lock
	@sed -i '1i # What users run and what Apache Spark needs, pinned with hashes. Made by `make lock`.' requirements-spark.lock
	@sed -i '1i # The installer. Made by `make lock`.' requirements-uv.lock

VENDOR := lib/analytics/web/static/vendor
VENDORED := htmx.org/dist/htmx.min.js vega/build/vega.min.js vega-lite/build/vega-lite.min.js vega-embed/build/vega-embed.min.js

.PHONY: vendor
vendor: ## Copy the pages' scripts from npm, as locked in the package (needs npm)
	@work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && \
	cp $(VENDOR)/package.json $(VENDOR)/package-lock.json $$work && (cd $$work && npm ci --silent --ignore-scripts) && \
	for file in $(VENDORED); do cp $$work/node_modules/$$file $(VENDOR)/; done && \
	for name in $(foreach file,$(VENDORED),$(firstword $(subst /, ,$(file)))); do \
	  echo "== $$name"; cat $$work/node_modules/$$name/LICENSE; done > $(VENDOR)/LICENSES.txt

.PHONY: clean
clean: ## Remove .venv and what tools left behind; data/ stays
	rm -rf $(VENV) build .pytest_cache .ruff_cache .mypy_cache .hypothesis dbt/target dbt/logs logs gx/uncommitted
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +
	rm -rf lib/*.egg-info

# What is installed depends on the locks and on the package's own metadata. uv installs in seconds what takes pip more
# than a minute; where it cannot be had (an index without its wheel), pip installs the same files.
$(INSTALLED): requirements.lock requirements-uv.lock pyproject.toml
	@supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'; \
	if ! $(VENV)/bin/python -c "$$supported" 2>/dev/null; then \
	  for python in python3.11 python3.12 python3.13 python3 none; do \
	    "$$python" -c "$$supported" 2>/dev/null && break; done; \
	  if [ $$python = none ]; then \
	    echo "error: no Python 3.11, 3.12 or 3.13 on the PATH (python3: $$(python3 --version 2>&1)); install one" >&2; \
	    exit 2; fi; \
	  echo "making $(VENV) with $$($$python --version) ..."; \
	  $$python -m venv --clear $(VENV) || { \
	    echo "error: $$python cannot make a virtual environment; Debian and Ubuntu: apt install $$python-venv" >&2; \
	    exit 2; }; \
	fi; \
	echo "installing into $(VENV) for $$($(VENV)/bin/python --version), once: half a minute with uv ..."
	@$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements-uv.lock || true
	@$(call install,requirements.lock)
	@$(call install,--no-deps --no-build-isolation --editable .)
	@$(VENV)/bin/python -m compileall -q lib
	@$(VENV)/bin/python -m analytics.warehouse.prepared_plan || echo "the first run will compile the models itself"
	@echo "installed; \`source $(VENV)/bin/activate\` puts claude-analytics on your PATH, make works without"
	@touch $@

$(TEST_INSTALLED): $(INSTALLED) requirements-test.lock
	@echo "installing what the tests need ..."
	@$(call install,requirements-test.lock)
	@touch $@

$(SPARK_INSTALLED): $(INSTALLED) requirements-spark.lock lib/analytics/spark/jars.lock
	@$(VENV)/bin/python -c 'import sys; from analytics.spark import jars; jars.require_java()' 2>/dev/null || { \
	  echo "error: Spark needs Java 17 or newer on the PATH; Debian and Ubuntu: apt install openjdk-17-jre-headless" >&2; \
	  exit 2; }
	@echo "installing Apache Spark into $(VENV), once ..."
	@$(call install,requirements-spark.lock)
	@$(VENV)/bin/python -m analytics.spark.jars
	@touch $@

# $(call install,WHAT): a lock file, or arguments of `pip install`. uv draws a bar on a terminal. It does not read pip's
# configuration: where only pip knows the index, pip installs. Both compile what they install, which else the first run
# would, and every run where PYTHONDONTWRITEBYTECODE is set.
define install
what="$(if $(filter %.lock,$(1)),--require-hashes -r $(1),$(1))"; quiet=; [ -t 2 ] || quiet=--quiet; \
VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install $$quiet --compile-bytecode $$what || { \
  echo "uv could not: pip installs the same, which takes a minute or two"; \
  $(VENV)/bin/python -m pip install --quiet $$what; }
endef
