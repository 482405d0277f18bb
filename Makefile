# `make run` and `make test` are all a newcomer needs; everything is installed below .venv.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test lint clean

run: .venv/installed
	dvc repro

test: .venv/installed lint
	python -m pytest -q

lint: .venv/installed
	ruff check .
	ruff format --check .
	mypy

clean:
	rm -rf .venv artifacts .state

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
