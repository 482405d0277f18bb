# `make run` and `make test` are all a newcomer needs; everything is installed below .venv.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test test-faults lint docs clean

run: .venv/installed
	dvc repro

# Two files at a time, on one thread each: most tests are small or wait for processes they started.
# In the order of their names: those with few tests, which are slow, would otherwise come last, and one
# core would wait for the other. A process that dies ends all: its substitute may wait for work for ever.
test: .venv/installed lint
	OMP_NUM_THREADS=1 python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

# What takes minutes: a node that dies, kills at any moment.
test-faults: .venv/installed
	python -m pytest -q -m faults

lint: .venv/installed
	ruff check .
	ruff format --check .
	mypy

# The two packages, and the modules their pages point to.
docs: .venv/installed
	pdoc -d google -o docs/api tunable_models zoo zoo.planes zoo.storage tunable_models.bases \
		$(addprefix tunable_models.architectures.,edsr nafnet stylenet swinir unet)
	@echo "Open docs/api/index.html"

clean:
	rm -rf .venv artifacts .state docs/api

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
