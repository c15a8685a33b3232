# Everything below needs make and Python 3.11 or newer, nothing else. `make help` lists the targets.
# Other Python: make PYTHON=python3.13 …   One test, in this process: make test WORKERS=0 ARGS="-k bounce -x"

PYTHON ?= python3
ARGS ?=
# Processes that tests are shared out among.
WORKERS ?= logical
BENCH ?= send_memory

# The Airflow that `make test`, `make demo` and `make airflow` run on, and the older ones of `make test-compat`.
AIRFLOW := 3.3
COMPAT := 3.1 3.2
# What `make constraints` resolves; the exact pins of all the others are in constraints/.
RELEASES := 3.3.2 3.2.2 3.1.8

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv

# Airflow starts some ten processes: without bytecode each one compiles its thousand modules anew.
unexport PYTHONDONTWRITEBYTECODE
# An activated environment or a foreign PYTHONPATH must not leak in.
unexport VIRTUAL_ENV
unexport PYTHONPATH
export UV_NO_PROGRESS := 1

.SHELLFLAGS := -euc
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

# ---------------------------------------------------------------------------------------------- environments

.PHONY: venv
venv: $(VENV)/.stamp ## .venv with Airflow, the package (editable) and all tools

$(VENV)/.stamp: pyproject.toml constraints/airflow-$(AIRFLOW).txt constraints/overrides.txt
	@$(PYTHON) dev/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints/airflow-$(AIRFLOW).txt uv
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python \
	    --constraint constraints/airflow-$(AIRFLOW).txt --override constraints/overrides.txt --editable '.[dev]'
	@touch $@

.venv-%/.stamp: pyproject.toml constraints/airflow-%.txt constraints/overrides.txt | $(VENV)/.stamp
	@test -x .venv-$*/bin/python || $(UV) venv --quiet --python $(BIN)/python .venv-$*
	$(UV) pip install --quiet --compile-bytecode --python .venv-$*/bin/python \
	    --constraint constraints/airflow-$*.txt --override constraints/overrides.txt --editable '.[test]'
	@touch $@

# The site is built from text: this one has no Airflow.
.venv-docs/.stamp: pyproject.toml constraints/docs.txt | $(VENV)/.stamp
	@test -x .venv-docs/bin/python || $(UV) venv --quiet --python $(BIN)/python .venv-docs
	$(UV) pip install --quiet --compile-bytecode --python .venv-docs/bin/python \
	    --constraint constraints/docs.txt --group docs
	@touch $@

# ---------------------------------------------------------------------------------------------------- checks

.PHONY: test
test: $(VENV)/.stamp ## the whole suite, end-to-end tests on a real Airflow included
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

# In the order of tests/conftest.py, which begins with what takes longest and shares tests out by module.
PARALLEL = --numprocesses $(WORKERS) --no-loadscope-reorder

# The import contracts keep Airflow out of what these test, so an older one makes no difference to them. The oldest of the
# libraries, which constraints/ has beside 3.1, do.
LEFT_OUT_3.1 := dev
LEFT_OUT_3.2 := core delivery dev sandbox transport vendors

.PHONY: test-compat
test-compat: $(COMPAT:%=test-compat-%) ## the unit tests on older releases of Airflow, and with the oldest libraries allowed

.PHONY: $(COMPAT:%=test-compat-%)
$(COMPAT:%=test-compat-%): test-compat-%: .venv-%/.stamp
	.venv-$*/bin/python -m pytest $(PARALLEL) -m "not e2e and not slow" $(LEFT_OUT_$*:%=--ignore tests/%) $(ARGS)

.PHONY: lint
lint: $(VENV)/.stamp ## ruff, import contracts, forbidden text
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python dev/check_text.py

.PHONY: format
format: $(VENV)/.stamp ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: $(VENV)/.stamp ## mypy --strict
	$(BIN)/mypy

.PHONY: docs
docs: .venv-docs/.stamp ## the documentation as a site, in .site; a broken link or a wrong docstring fails
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build
	@echo "read it: python3 -m http.server --bind 127.0.0.1 --directory .site 8000"

.PHONY: bench
bench: $(VENV)/.stamp ## one benchmark of tests/benchmarks (BENCH=feedback_extraction ARGS="…"); by default the memory of sends
	$(BIN)/python -m tests.benchmarks.$(BENCH) $(ARGS)

# --------------------------------------------------------------------------------------------- a real Airflow

.PHONY: demo
demo: $(VENV)/.stamp ## sandbox and Airflow, one campaign through all four vendors, a summary
	$(BIN)/python -m dev.demo

.PHONY: airflow
airflow: $(VENV)/.stamp ## sandbox and Airflow with the example DAGs, until Ctrl-C
	@exec $(BIN)/python -m dev.demo --serve

.PHONY: kills
kills: $(VENV)/.stamp ## enqueue 20,000 contacts in tries that are killed again and again: nobody twice, everybody accounted for
	$(BIN)/python -m tests.operators.enqueue_kills --contacts 20000 --kills 20 $(ARGS)

.PHONY: webhooks
webhooks: $(VENV)/.stamp ## post 100,000 events while the receiver is killed three times: each acknowledged one is landed, once
	$(BIN)/python -m tests.webhooks.kills --events 100000 --kills 3 $(ARGS)

.PHONY: backfill
backfill: $(VENV)/.stamp ## 30 days of hourly feedback by backfill on a real Airflow, a third of the runs killed or run twice
	$(BIN)/python -m dev.backfill $(ARGS)

# Celery, an S3 client and an S3 server. What they need of python-dateutil is older than what the constraints pin.
.venv-scale/.stamp: pyproject.toml constraints/airflow-$(AIRFLOW).txt constraints/overrides.txt | $(VENV)/.stamp
	@test -x .venv-scale/bin/python || $(UV) venv --quiet --python $(BIN)/python .venv-scale
	@grep -v '^python-dateutil' constraints/airflow-$(AIRFLOW).txt > .venv-scale/constraints.txt
	$(UV) pip install --quiet --compile-bytecode --python .venv-scale/bin/python \
	    --constraint .venv-scale/constraints.txt --override constraints/overrides.txt --editable '.[test,scale]'
	@touch $@

.PHONY: scale
scale: .venv-scale/.stamp ## a sharded send on Celery, Redis and PostgreSQL; one of two workers is killed (ARGS="--messages 1000000")
	.venv-scale/bin/python -m dev.scale $(ARGS)

.PHONY: chaos
chaos: $(VENV)/.stamp ## kill workers in the middle of sends, on a real Airflow: nothing twice, nothing lost (ARGS="--seeds 24")
	$(BIN)/python -m dev.chaos $(ARGS)

# --------------------------------------------------------------------------------------------------- releases

.PHONY: build
build: $(VENV)/.stamp ## wheel and sdist in dist/
	rm -rf dist
	$(UV) build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist
	@ls -l dist/*.whl dist/*.tar.gz

.PHONY: constraints
constraints: $(VENV)/.stamp ## resolve constraints/ anew
	$(BIN)/python -m dev.make_constraints $(RELEASES)

.PHONY: test-install
test-install: $(VENV)/.stamp ## install the wheel beside official providers on each release of Airflow, and ask Airflow what it sees
	$(BIN)/python -m dev.check_install $(RELEASES) $(ARGS)

.PHONY: clean
clean: ## remove everything that the targets above made
	rm -rf .venv .venv-* .airflow .demo .install .site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
