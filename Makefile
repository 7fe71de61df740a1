# `make tour` and `make test` do everything on a fresh machine: the first call makes .venv, later ones reuse it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup tour test lint slow clean

help:
	@echo "make tour    set up and run the tour; says where its page lies"
	@echo "make test    set up, check style and types, run the tests"
	@echo "make slow    run the tests that take minutes"
	@echo "make setup   only make $(VENV)"
	@echo "make clean   remove $(VENV)"

setup: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test]'
	@touch $@

tour: setup
	$(BIN)/pixelry tour --out tour

lint: setup
	$(BIN)/ruff check src tests examples benchmarks tools
	$(BIN)/ruff format --check src tests examples benchmarks tools
	$(BIN)/mypy

test: lint
	@# Two workers of one thread each: most tests are too small for two threads.
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

slow: setup
	$(BIN)/pytest -m slow

clean:
	rm -rf $(VENV)
