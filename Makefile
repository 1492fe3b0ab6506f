# Every target prepares what it needs: `make test` in a fresh clone is enough.

PYTHON ?= python3
PORT ?= 8000

VENV := .venv
PY := $(VENV)/bin/python
DEV := $(VENV)/.ready
DEMO := .venv-demo
DEMO_READY := $(DEMO)/.ready
CONFERENCES := .venv-conferences
CONFERENCES_READY := $(CONFERENCES)/.ready
LOCK := .venv-lock
LOCK_READY := $(LOCK)/.ready
PIP := -m pip --disable-pip-version-check --no-input

# Not the Python of an outer project, nor its settings.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV DJANGO_SETTINGS_MODULE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo conferences test lint types docs bench matrix lock suffixes clean FORCE

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(DEMO_READY)  ## Serve a fleet of countries on this machine (PORT=8000)
	@$(DEMO)/bin/python examples/countries/manage.py demo --port $(PORT)

conferences: $(CONFERENCES_READY)  ## Serve three conferences by Wafer on this machine (PORT=8000)
	@$(CONFERENCES)/bin/python examples/conferences/manage.py demo --port $(PORT)

test: $(DEV)  ## Run the tests, then those that start real servers, browsers and databases
	$(PY) -m pytest -n auto
	$(PY) -m pytest -m acceptance -n auto --dist loadfile

lint: types docs  ## Check style, floors, spelling, types and documentation
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/codespell

types: $(DEV)  ## Check the types of src and tests/typing
	$(PY) -m mypy

docs: $(DEV)  ## Build the documentation; a warning is an error
	$(PY) -m sphinx -W --keep-going -n -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(DEV)  ## Measure again what the documentation claims
	$(PY) -m benchmarks

matrix: $(DEV)  ## Run the tests on every supported Python and Django (TAG=corners: on three pairs)
	$(PY) -m nox $(addprefix --tags ,$(TAG))

lock: $(LOCK_READY)  ## Pin the newest development tools in requirements/dev.txt
	$(LOCK)/bin/uv --no-config pip compile --quiet --upgrade --universal --generate-hashes \
		--python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links \
		--extra postgres --group build --group test --group lint --group docs --group matrix \
		--output-file requirements/dev.txt pyproject.toml > /dev/null

suffixes: $(DEV)  ## Renew the list of public suffixes from the pinned publicsuffixlist
	$(PY) tools/update_public_suffixes.py

clean:  ## Remove everything that can be made again
	rm -rf $(VENV) $(DEMO) $(CONFERENCES) $(LOCK) .nox .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	rm -rf .hypothesis docs/_build build dist benchmarks/.envs benchmarks/.data
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} + 2> /dev/null || true

# --- set-up: one folder and one stamp each ------------------------------------

# Stops with a sentence instead of a traceback, and makes $(1) anew unless its Python still runs.
define venv
	@command -v "$(PYTHON)" > /dev/null || { \
		echo "'$(PYTHON)' was not found. Install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "sitefleet needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" -V 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2> /dev/null || { \
		echo "'$(PYTHON)' cannot create virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(1)/bin/python -m pip --version > /dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(1) || { \
		rm -rf $(1); \
		echo "'$(PYTHON)' could not create $(1). On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
endef

# A stamp counts only while the Python beside it runs (it may have been upgraded away).
runs = $(if $(shell $(1)/bin/python -c 'print(1)' 2> /dev/null),,FORCE)

$(DEV): requirements/dev.txt pyproject.toml $(call runs,$(VENV))
	$(call venv,$(VENV))
	$(PY) $(PIP) install --quiet --require-hashes -r requirements/dev.txt
	$(PY) $(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DEMO_READY): pyproject.toml $(call runs,$(DEMO))
	$(call venv,$(DEMO))
	@echo "Installing sitefleet and Django into $(DEMO) (once) ..."
	@$(DEMO)/bin/python $(PIP) install --quiet --editable .
	@touch $@

# Wafer has limits of its own for Django and others, so it does not share an environment.
$(CONFERENCES_READY): examples/conferences/requirements.txt pyproject.toml $(call runs,$(CONFERENCES))
	$(call venv,$(CONFERENCES))
	@echo "Installing sitefleet and Wafer into $(CONFERENCES) (once) ..."
	@$(CONFERENCES)/bin/python $(PIP) install --quiet --requirement $< --editable .
	@touch $@

$(LOCK_READY): $(call runs,$(LOCK))
	$(call venv,$(LOCK))
	$(LOCK)/bin/python $(PIP) install --quiet --upgrade uv
	@touch $@
