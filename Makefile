# The commands of the project; `make help` lists them. Needs make, git and Python 3.11 or newer; uv is used where it is there.
# VENV names the environment, PLACE a real host for the demo, TESTS and PYTEST_ARGS narrow a test run, WORKERS its processes.

VENV ?= .venv
PLACE ?= local://
TESTS ?= tests
WORKERS ?= 2
PYTEST_ARGS ?=

BIN := $(VENV)/bin
SOURCES := $(shell find src -name '*.py' -o -name '*.c' -o -name '*.h')

.DEFAULT_GOAL := help
.PHONY: help env demo tools tools-table test check lint docs suite nightly bench manual lock wheel packages clean

help: ## this list
	@sed -n 's/^\([a-z][a-z]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 12

env: $(VENV)/.dev ## the development environment in $(VENV), everything pinned by hash

$(VENV)/.dev: requirements/dev.txt tools/env.sh
	tools/env.sh $(VENV) requirements/dev.txt
	touch $@

$(VENV)/.demo: requirements/demo.txt tools/env.sh $(SOURCES) pyproject.toml hatch_build.py
	tools/env.sh $(VENV) requirements/demo.txt
	tools/install.sh $(VENV)
	touch $@

demo: $(VENV)/.demo ## all of afield in a minute, in a place of its own (PLACE=ssh://host: on that host)
	$(BIN)/afield demo $(PLACE)

wheel: env ## build the wheel into dist/
	rm -rf dist build
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

packages: ## the Debian packages that tests need (as root; nothing otherwise)
	tools/packages.sh

lint: env ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: env ## build the manual into site/; any warning fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir site

tools: .tools/.here .tools/.far ## the real tools of tests/tools, and the environment that stands on their far host, in .tools

.tools/.%: requirements/tools-%.txt tools/env.sh
	mkdir -p .tools
	tools/env.sh .tools/$* requirements/tools-$*.txt
	touch $@

tools-table: tools ## run every tool in every way and write docs/reference/tools.md
	$(BIN)/pytest -q -n $(WORKERS) --dist loadfile --ways all --tools-report .tools/report.json tests/tools || true
	$(BIN)/python tools/tools_table.py .tools/report.json

suite: ## the tests alone, against what is installed in $(VENV)
	AFIELD_INSTALLED=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS) $(TESTS)

test: packages wheel tools ## everything: wheel, lint, docs, and the whole suite against the installed wheel
	tools/install.sh $(VENV) dist/*.whl
	$(MAKE) --no-print-directory lint docs
	$(MAKE) --no-print-directory suite

nightly: packages wheel tools ## the suite with long state machines (AFIELD_STEPS, 10000 when it is not set)
	tools/install.sh $(VENV) dist/*.whl
	AFIELD_STEPS=$${AFIELD_STEPS:-10000} HYPOTHESIS_PROFILE=nightly AFIELD_LONG=1 $(MAKE) --no-print-directory suite

bench: packages wheel ## measure beside ssh, rsync and the like
	tools/install.sh $(VENV) dist/*.whl
	for part in connect exec link agent sync large envs shim jobs mirror; do $(BIN)/python bench/$$part.py || exit; done

manual: env ## write the reference pages that say what the code says
	$(BIN)/python tools/manual.py

lock: ## pin everything that comes from an index, with hashes (needs uv)
	uv pip compile pyproject.toml --group dev $(LOCK) --output-file requirements/dev.txt
	uv pip compile pyproject.toml --group build $(LOCK) --output-file requirements/demo.txt
	uv pip compile --group tools $(LOCK) --output-file requirements/tools-here.txt
	uv pip compile --group tools-far $(LOCK) --output-file requirements/tools-far.txt

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header $(UPGRADE)

clean: ## remove what the other commands made
	rm -rf $(VENV) dist build site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
