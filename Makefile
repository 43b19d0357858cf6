# Verbs of the project; `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin

PIP := $(BIN)/pip --quiet --disable-pip-version-check install

DATA ?= folds.csv
.PHONY: setup setup-dev demo test test-fast test-slow coverage bench bench-flow bench-inference bench-training bench-idt bench-timeline bench-ablations docs \
	lint format lock clean

setup: $(VENV)/ready
setup-dev: $(VENV)/ready-dev

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(PIP) --no-deps --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

# All extras too, and the tools: what the tests need.
$(VENV)/ready-dev: $(VENV)/ready requirements-dev.lock
	$(PIP) --no-deps --require-hashes -r requirements-dev.lock
	touch $@

demo: setup
	$(BIN)/stresnet demo --out demo

test: setup-dev
	$(BIN)/pytest --numprocesses auto --dist loadfile

# The same, slower, and how many lines it reaches.
coverage: setup-dev
	$(BIN)/pytest --numprocesses auto --dist loadfile --cov --cov-report=
	@echo "coverage: $$($(BIN)/coverage report) % of lines"

test-fast: setup-dev
	$(BIN)/pytest -m 'law and not slow' --numprocesses auto --dist worksteal

test-slow: setup-dev
	$(BIN)/pytest -m slow

bench: bench-flow bench-inference bench-training bench-idt

bench-flow: setup-dev
	$(BIN)/python benchmarks/flow.py
	$(BIN)/python benchmarks/flow_accuracy.py
	$(BIN)/python benchmarks/flow_roofline.py
	$(BIN)/python benchmarks/flow_stages.py

bench-inference: setup-dev
	$(BIN)/python benchmarks/inference.py

bench-training: setup-dev
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/memory.py

bench-idt: setup-dev
	$(BIN)/python benchmarks/idt.py

# Need labelled clips: make bench-timeline DATA=folds.csv
bench-timeline: setup-dev
	$(BIN)/python benchmarks/timeline.py $(DATA) fight --fold 1 --seeds 0 1 2 --fast

bench-ablations: setup-dev
	$(BIN)/python benchmarks/ablations.py $(DATA) runs/ablations --folds 1 --seeds 3

docs: setup-dev
	$(BIN)/python -m sphinx -W -E -q -b html docs build/docs

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:
	tools/lock

clean:
	rm -rf $(VENV) demo
