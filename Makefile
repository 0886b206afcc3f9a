# Needs Python >= 3.10 and make; every target prepares its own virtual environment. Another Python: make PYTHON=python3.12 test
PYTHON ?= python3
# one more than there are cores, since many tests wait for processes
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else "auto")')
KILLS ?= 10000
TRIALS ?= 5000
BIN := .venv/bin
SOURCES := src runner observers configs tests benchmarks examples scripts

.PHONY: help demo test dev lint types bench torture clean
.NOTPARALLEL:

help:
	@echo "make demo      train the example twice, look at both runs, run one again"
	@echo "make test      everything a change has to pass: style, types, tests"
	@echo "make dev       prepare .venv for working on anew; again after adding a file"
	@echo "make lint      style alone; make types: types alone"
	@echo "make bench     measure what recording costs"
	@echo "make torture   kill $(KILLS) writers and look for lost points (KILLS=n); damage $(TRIALS) stores and read them (TRIALS=n)"
	@echo "make clean     remove what the targets above have made"

demo:
	@$(PYTHON) scripts/environment.py .venv-demo --requirements examples/digits/requirements.txt
	@sh scripts/demo.sh .venv-demo/bin build/demo

test: lint types
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q $(PYTEST_ARGS)

lint: dev
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { echo "To format: $(BIN)/ruff format $(SOURCES)" >&2; exit 1; }

types: dev
	@$(BIN)/mypy --strict -p anew

dev:
	@$(PYTHON) scripts/environment.py .venv --extra dev

bench: dev
	@$(BIN)/python -m benchmarks

torture: dev
	@$(BIN)/python -m tests.helpers.torture --kills $(KILLS)
	@ANEW_TRIALS=$(TRIALS) $(BIN)/python -m pytest -q tests/cli/test_hostile_stores.py

clean:
	rm -rf .venv .venv-demo build dist anew.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
