# `make run` and `make test` are all a newcomer needs; everything is installed below .venv.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test test-unpassed test-quick test-durations test-faults lint docs clean

run: .venv/installed
	dvc repro

# Two files at a time, on one thread each: most tests are small or wait for processes they started.
# In the order of their names: those with few tests, which are slow, would otherwise come last, and one
# core would wait for the other. A process that dies ends all: its substitute may wait for work for ever.
# Compiled tests are kept, whatever the environment says: compiling them is a third of collecting them.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 python -m pytest -q
IN_PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test: .venv/installed lint
	$(PYTEST) $(IN_PARALLEL)

# What did not pass, once more, alone and in order: for a check that a busy machine must not fail.
test-unpassed: .venv/installed
	$(PYTEST) --unpassed

# The inner loop: neither Ray, servers and processes nor anything slow.
test-quick: .venv/installed
	$(PYTEST) $(IN_PARALLEL) -m "not cluster and not server and not slow and not faults"

# The thirty slowest.
test-durations: .venv/installed
	$(PYTEST) $(IN_PARALLEL) --durations 30

# What takes minutes: a node that dies, kills at any moment.
test-faults: .venv/installed
	$(PYTEST) -m faults

lint: .venv/installed
	ruff check .
	ruff format --check .
	mypy

# The two packages, and the modules their pages point to.
docs: .venv/installed
	pdoc -d google -o docs/api tunable_models zoo zoo.pictures.planes zoo.storage tunable_models.bases \
		$(addprefix tunable_models.architectures.,drunet edsr nafnet stylenet swinir)
	@echo "Open docs/api/index.html"

clean:
	rm -rf .venv artifacts .state docs/api

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
