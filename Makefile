# `make run` and `make test` are all a newcomer needs; everything is installed below .venv.
PYTHON ?= python3
PYTHON312 ?= python3.12
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test test-unpassed test-quick test-durations test-faults lint hooks docs clean
.PHONY: test-lowest test-torch-only test-py312

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

# The floors of pyproject.toml: the lowest version of every package that it names.
test-lowest: export PATH := $(CURDIR)/.venv-lowest/bin:$(PATH)
test-lowest: .venv-lowest/installed
	$(PYTEST) $(IN_PARALLEL) -o filterwarnings=default  # old packages warn about newer ones

# tunable_models where torch is all there is. Left out are the files that compare with numpy, scipy and
# others; torch warns that numpy is missing, and sqlalchemy, which the configured filters name, is too.
REFERENCES := ^(import|from) (numpy|scipy|skimage|onnxruntime|safetensors|PIL)|\.numpy\(\)
test-torch-only: export PATH := $(CURDIR)/.venv-torch-only/bin:$(PATH)
test-torch-only: .venv-torch-only/installed
	$(PYTEST) -o filterwarnings=error -W "ignore:Failed to initialize NumPy:UserWarning" tests/tunable_models \
		$$(grep -rlE "$(REFERENCES)" tests/tunable_models --include=test_*.py | sed s/^/--ignore=/)

test-py312: export PATH := $(CURDIR)/.venv-py312/bin:$(PATH)
test-py312: .venv-py312/installed
	$(PYTEST) $(IN_PARALLEL)

lint: .venv/installed
	ruff check .
	ruff format --check .
	mypy

# Before each commit, what lint runs and the import contracts.
hooks: .venv/installed
	pre-commit install

# The manual as a site. Nothing is fetched from elsewhere, when it is built or when it is read.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict
	@echo "Open site/index.html; for its search: python -m http.server -d site"

clean:
	rm -rf .venv .venv-lowest .venv-torch-only .venv-py312 artifacts .state site

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

# uv knows how to take the lowest versions of what is asked for, and the newest of what that brings.
EXTRAS := $(addprefix --extra ,pipelines search fast serve export spandrel s3 dev)
.venv-lowest/installed: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct \
		-r pyproject.toml $(EXTRAS) -e .
	touch $@

.venv-torch-only/installed: constraints.txt
	$(PYTHON) -m venv .venv-torch-only
	.venv-torch-only/bin/python -m pip install --quiet -c constraints.txt torch pytest pytest-timeout hypothesis
	touch $@

.venv-py312/installed: pyproject.toml constraints.txt
	$(PYTHON312) -m venv .venv-py312
	.venv-py312/bin/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
