# `make help` says what there is. Everything installed goes into .venv, everything kept into DATA_DIR.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Debian's own where it can make a .venv: its build was half as fast again as one from source.
PYTHON ?= $(shell for python in /usr/bin/python3.11 python3.11; do \
	$$python -c 'import ensurepip, venv' 2>/dev/null && exec echo $$python; done; echo python3.11)
PY := .venv/bin/python
# --use-pep517: Debian's pip 23.0 would warn about its own older way of building.
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --use-pep517
OFFLINE := "Installing failed, see above. Is this machine online, and is there room on the disk?"

HTTPS_PORT ?= 8444
HTTP_HOST ?= 127.0.0.1
HTTP_PORT ?= 8000
MTLS_PORT ?= 8443
DEMO ?= 1
ifdef DATA_DIR
export DATA_DIR
endif

.PHONY: run stack test browser servers venv lint fmt clean help bench faults security

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@echo
	@echo "Options of make run: HTTP_HOST=$(HTTP_HOST) HTTP_PORT=$(HTTP_PORT) MTLS_PORT=$(MTLS_PORT) DATA_DIR=./var"
	@echo "DEMO=0 leaves out the simulated devices. Settings: .env.example"

run: venv ## start the house with simulated devices (DEMO=0: without)
	@$(PY) manage.py bootstrap
	@exec $(PY) manage.py serve --http $(HTTP_HOST):$(HTTP_PORT) --mtls 0.0.0.0:$(MTLS_PORT) \
		$(if $(filter-out 0,$(DEMO)),--demo)

# Every other setting reaches it by the environment or the command line of make.
stack: venv ## start a production house: nginx, PostgreSQL, two Redis (docs/operations.md)
	@HTTPS_PORT=$(HTTPS_PORT) MTLS_PORT=$(MTLS_PORT) exec $(PY) -m smarthome.stack

venv: .venv/installed ## make .venv and install what the house needs

# Some machines forbid it, and then each of some hundred processes compiles everything again.
unexport PYTHONDONTWRITEBYTECODE

# The checks and tests have a folder of their own, so that they never touch a house.
lint test: export DATA_DIR := $(CURDIR)/.venv/test-data

lint: .venv/installed-dev ## run every check that is not a test
	@echo "Format, lint, types, layers …"
	@$(PY) -m ruff format --check --quiet . || { echo "Run: make fmt" >&2; exit 1; }
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy .
	@$(PY) .venv/bin/lint-imports --no-cache >.venv/layers.txt || { cat .venv/layers.txt; exit 1; }
	@echo "Migrations, settings, requirements …"
	@mkdir -p "$$DATA_DIR"
	@$(PY) -W error manage.py makemigrations --check --dry-run
	@ALLOWED_HOSTS=house.example DEBUG=0 $(PY) manage.py check --deploy --fail-level WARNING
	@$(PY) -m pip check --disable-pip-version-check

# The browser tests drive Debian's Chromium. Elsewhere they are skipped and say so.
browser:
	@if ! command -v chromium >/dev/null && { [ "$$(id -u)" = 0 ] || [ -n "$$CI" ]; } \
		&& command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the browser tests …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; fi

# The production pass needs the servers themselves, which start in folders of the tests.
servers:
	@if ! { command -v redis-server && command -v nginx && command -v strace && \
		ls /usr/lib/*/faketime/libfaketime.so.1 /usr/lib/postgresql/*/bin/postgres; } \
		>/dev/null 2>&1 && { [ "$$(id -u)" = 0 ] || [ -n "$$CI" ]; } && command -v apt-get >/dev/null; then \
		echo "Installing PostgreSQL, Redis, nginx, strace and libfaketime for the production pass …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq postgresql redis-server nginx strace libfaketime >/dev/null; fi

# The short faults wait most of their time, so they run beside the checks and the first tests.
test: .venv/installed-dev browser servers ## run every check and every test, embedded and in production mode
	@QUICK=1 TIMED=0 $(PY) -m tests.faults >.venv/faults.txt 2>&1 & faults=$$!; \
		trap 'kill $$faults' INT TERM; \
		$(MAKE) lint && echo "Tests, and beside them the short faults …" && \
		$(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -p tests.measured_once \
			--cov --cov-report= --cov-fail-under=0; tests=$$?; \
		[ $$tests = 0 ] || kill $$faults 2>/dev/null; \
		wait $$faults || tests=1; cat .venv/faults.txt; exit $$tests
	@$(PY) -m tests.production --cov --cov-append --cov-report=term-missing:skip-covered

fmt: .venv/installed-dev ## format the code and mend what can be mended
	@$(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format .

# All of them, even when one has missed a goal.
bench: .venv/installed-dev servers ## measure both houses under load (QUICK=1: shorter)
	@missed=0; for benchmark in embedded production house_size page; do \
		$(PY) -m benchmarks.$$benchmark || missed=1; done; exit $$missed

# It kills, freezes, cuts and fills; some rows need root, strace or libfaketime, and say so.
faults: .venv/installed-dev servers ## show that nothing is lost (QUICK=1, CONTROLS=1, SEEDS=3, SOAK=30; docs/reliability.md)
	@$(PY) -m tests.faults $(ROWS)

# Its rows need the machine to themselves: timing is a part of some.
security: .venv/installed-dev servers ## show that nobody gets in (docs/threat-model.md; ROWS=tokens,logs: some)
	@$(PY) -m tests.security $(if $(ROWS),$(shell echo '$(ROWS)' | tr , '\n'))

clean: ## remove .venv and caches; the house's data stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis htmlcov .coverage*
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 is missing. On Debian 12: apt install python3.11 python3-venv." \
			"Elsewhere: make venv PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is missing. On Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Installing into .venv (a minute the first time) …"
	@$(PYTHON) -m venv .venv
	@$(PIP) -r requirements.txt || { echo $(OFFLINE) >&2; exit 1; }
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	@echo "Installing what the checks and tests need …"
	@$(PIP) -r requirements-dev.txt || { echo $(OFFLINE) >&2; exit 1; }
	@touch $@
