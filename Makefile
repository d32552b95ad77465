# The commands of this project. Each makes .venv and installs what it needs; none wants root.
#   make demo     a shop of real services, traced, with its service map in the browser
#   make test     every test this machine can run; says what it skipped and why
#   make test-all the same, then the long matrices: oldest libraries, every Python, servers that fork (an hour)
#   make check    lint, types, architecture
#   make bench    what a span costs here, beside its peers (ten minutes)
#   make bench-store   what ten million spans cost the store, beside OpenTelemetry's table (half an hour, 6 GB; SPANS=…)
#   make clean    remove .venv and caches

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help demo test test-all check format bench bench-store wheel clean

help:
	@sed -n 's/^#   make /  make /p' Makefile

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("fluoro\047s dashboard needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ". Say which one to use: make PYTHON=python3.12 <target>")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	@echo "Installing fluoro and the demo into $(VENV) (once; about two minutes) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing fluoro and what its tests need into $(VENV) (once; about three minutes) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[dev]'
	@# It has no wheels: it is built against the C library of MariaDB or MySQL.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python 'mysqlclient>=2.2' 2>/dev/null || \
	  echo "mysqlclient could not be built, so its tests are skipped (Debian: apt-get install gcc pkg-config libmariadb-dev)"
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	@exec $(BIN)/fluoro demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)
	@if command -v node >/dev/null; then node --test tests/dashboard/js/*.test.mjs; else echo "SKIPPED tests/dashboard/js: node is not installed"; fi

test-all: test
	$(BIN)/python -m pytest -m matrix $(ARGS)
	$(BIN)/nox --error-on-missing-interpreters

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v node >/dev/null; then \
	  for file in $$(git ls-files 'dashboard/**.js' | grep -v /vendor/); do node --input-type=module --check < $$file || exit 1; done; echo "node --check: ok"; \
	else echo "SKIPPED node --check: node is not installed"; fi

format: $(VENV)/.dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Peers are kept out of .venv: ddtrace and the OpenTelemetry instrumentations change what the tests would see.
.venv-bench/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

bench: .venv-bench/.installed $(VENV)/.dev
	.venv-bench/bin/python tests/bench/bench_sdk.py
	.venv-bench/bin/python tests/bench/bench_collector.py
	$(BIN)/python -m pytest -m bench tests/dashboard -s -q

SPANS ?= 10000000
bench-store: $(VENV)/.dev
	$(BIN)/python tests/bench/bench_store.py --spans $(SPANS) $(ARGS)

wheel: $(VENV)/.dev
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) .venv-bench dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
