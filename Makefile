# hftkit: two commands on a fresh machine. `make demo` runs the whole story, `make test` passes every test.
# Both set up .venv first; nothing else is needed before either. `make help` lists the rest.

SHELL := /bin/sh
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
DEMO   := $(VENV)/.demo
# Two workers: one per core of the smallest machine we test on. A file's tests stay on one worker, so its kernels compile once.
WORKERS ?= 2
PIP    := $(PY) -m pip install --quiet --disable-pip-version-check --no-input
PYTEST := $(PY) -m pytest
PARALLEL := -n $(WORKERS) --dist loadfile
# Every test that compiles a kernel lives in one of these; they run a second time with every index checked. Nothing is compiled ahead for that,
# so the order counts: in this one, and kept, the two workers seldom compile the same kernel at the same time (a quarter of the stage's time).
KERNEL_TESTS := $(wildcard tests/properties tests/parity tests/unit/kernels)
IN_ORDER := --no-loadscope-reorder
NOTEBOOKS := $(sort $(wildcard notebooks/[0-9]*.ipynb))

.DEFAULT_GOAL := help
CLIENTS := .venv-clients
CLIENTS_PYTHON ?= $(PYTHON)
AUDIT := .venv-audit
DOCS := .venv-docs
LOWEST := .venv-lowest
.PHONY: help setup demo test test-lowest check docs docs-serve lint browser survive notebooks bench clean test-clients audit hashes

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

# Every file is held against its sha256 (hashes.txt), the build backend first: it builds what comes as source, and hftkit itself, so that nothing
# unchecked is fetched for that.
define new-venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
  echo "hftkit needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo not found)." >&2; \
  echo "Install one and name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
@$(PY) -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV) || { \
  echo "cannot create $(VENV); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
@grep '^setuptools==' hashes.txt > $(VENV)/backend.txt
@$(PIP) --require-hashes --requirement $(VENV)/backend.txt
endef

# Done once, and again when the requirements change.
$(STAMP): pyproject.toml constraints.txt hashes.txt
	$(new-venv)
	@echo "installing into $(VENV) (once; minutes on a slow line)"
	@$(PIP) --require-hashes --no-build-isolation --requirement hashes.txt
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

# What the demo needs, a quarter of it all: the names in .ci/demo.txt (tests/structure/test_repository.py keeps them complete).
$(DEMO): pyproject.toml constraints.txt hashes.txt .ci/demo.txt
	$(new-venv)
	@echo "installing what the demo needs into $(VENV) (once)"
	@sed -n 's/^\([a-z].*\)/^\1==/p' .ci/demo.txt > $(VENV)/demo-names.txt
	@grep -f $(VENV)/demo-names.txt hashes.txt > $(VENV)/demo.txt
	@$(PIP) --require-hashes --no-build-isolation --no-deps --requirement $(VENV)/demo.txt
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

setup: $(STAMP) ## create .venv with the tested versions

demo: $(if $(wildcard $(STAMP)),$(STAMP),$(DEMO)) ## the whole story: find pairs, calibrate, freeze, trade, replay, report
	@$(VENV)/bin/hftkit demo

lint: setup ## ruff (rules and format) and mypy
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

# While working: what needs no engine. Which tests those are is computed (tests/structure/quick.py), so a new one is in as soon as it is written.
check: lint ## lint, types, rules, and the quick unit tests: while working
	$(PYTEST) $(PARALLEL) tests/structure $$($(PY) -m tests.structure.quick)

# Browser tests need a browser. Only a throw-away CI machine gets one installed; elsewhere those tests skip and say why.
browser: setup
	@if [ "$$CI" = true ] && ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing chromium for the browser tests"; \
	  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1 \
	    || echo "chromium could not be installed: the browser tests will skip"; fi

# Kernels are compiled once, before the workers start: two workers would compile the same ones at the same time.
test: setup lint browser ## lint, every test, kernel tests with bounds checks, notebooks
	$(VENV)/bin/hftkit warmup
	$(PYTEST) $(PARALLEL)
	NUMBA_BOUNDSCHECK=1 $(PYTEST) $(PARALLEL) $(IN_ORDER) $(KERNEL_TESTS)
ifneq ($(NOTEBOOKS),)
	$(PYTEST) --nbmake --nbmake-timeout=300 $(NOTEBOOKS)
endif

# An environment of its own, with the floor of each requirement: what a user with an old environment has.
test-lowest: ## every test with the oldest versions that pyproject.toml admits
	@test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	@$(PYTHON) .ci/lowest.py > $(LOWEST)/lowest.txt
	@$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --requirement $(LOWEST)/lowest.txt
	@$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --editable .
	$(LOWEST)/bin/python -m pytest $(PARALLEL)

survive: setup ## the survival campaign; HFTKIT_SURVIVE_KILLS and HFTKIT_SURVIVE_EACH are its counts
	$(PY) -m pytest -m slow -s tests/campaigns

notebooks: setup ## execute the notebooks in place, with small static pictures
	$(VENV)/bin/hftkit notebook run

bench: setup ## measure everything beside its reference, into data/runs/bench.json
	@mkdir -p data/runs
	$(VENV)/bin/hftkit bench --json data/runs/bench.json

# Whole bots have requirements of their own: each lives in a folder of $(CLIENTS). Network and minutes are needed, so this is not part of `make test`.
test-clients: setup ## whole bots (freqtrade, nautilus_trader) trade against the simulator; results go into docs/binance-dialect.md
	@for name in freqtrade nautilus_trader; do \
	  test -x $(CLIENTS)/$$name/bin/python || $(CLIENTS_PYTHON) -m venv $(CLIENTS)/$$name; \
	  $(CLIENTS)/$$name/bin/python -m pip install --quiet --disable-pip-version-check --no-input --upgrade $$name \
	    || echo "$$name cannot be installed here: its test will skip"; done
	$(PYTEST) -m clients -s -rs tests/clients

# The tools of the site are in an environment of their own: `make setup` stays without them.
$(DOCS)/.installed: docs/site/requirements.txt
	@test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	@echo "installing the tools of the documentation into $(DOCS) (once)"
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --requirement $<
	@touch $@

docs: setup $(DOCS)/.installed ## build the documentation site into site/; a broken link fails it
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict
	@echo "site/index.html"

docs-serve: setup $(DOCS)/.installed ## the same at http://127.0.0.1:8000, built again as you write
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs serve

audit: ## ask the advisory database for known holes in the tested versions and in the floors
	@test -x $(AUDIT)/bin/python || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --upgrade pip-audit
	@$(AUDIT)/bin/python .ci/audit.py

hashes: ## write hashes.txt anew, for the versions of constraints.txt
	@test -x $(AUDIT)/bin/python || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python .ci/hashes.py

clean: ## remove .venv, build leftovers and tool caches; data/ stays
	rm -rf $(VENV) $(CLIENTS) $(AUDIT) $(DOCS) $(LOWEST) site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
