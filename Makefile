# Verbs of the project; `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin

PIP := $(BIN)/pip --quiet --disable-pip-version-check install

DATA ?= folds.csv
PYTHONS ?= $(PYTHON)
.PHONY: setup setup-dev demo test test-fast test-slow test-gpu bench-gpu coverage fuzz bench bench-flow bench-inference bench-training bench-idt bench-timeline bench-ablations docs \
	pictures lint format lock wheel wheel-oldest clean

setup: $(VENV)/ready
setup-dev: $(VENV)/ready-dev

# Versions are those of requirements.lock. torch is not in it: which build is right depends on the
# machine.
$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(PIP) --constraint requirements.lock --editable .
	touch $@

# All extras too, and the tools: what the tests need.
$(VENV)/ready-dev: $(VENV)/ready
	$(PIP) --no-deps --requirement requirements.lock
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

# Damaged videos, and damaged files of every other kind; hours. Figures: docs/reliability.md
fuzz: setup-dev
	$(BIN)/python tools/fuzz.py --videos 10000 --others 10000

# On a machine with a GPU: what nothing else can test. Then: make bench-gpu
test-gpu: setup-dev
	$(BIN)/pytest -m gpu

bench-gpu: setup-dev
	$(BIN)/python benchmarks/gpu.py

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
	$(BIN)/python benchmarks/timeline.py $(DATA) fight --fold 1 --seeds 0,1,2

bench-ablations: setup-dev
	$(BIN)/python benchmarks/ablations.py $(DATA) runs/ablations --folds 1 --seeds 0,1,2

docs: setup-dev
	$(BIN)/python -m sphinx -W -E -q -b html docs build/docs

# The pictures in docs/pictures; needs Chromium.
pictures: setup-dev
	$(BIN)/python tools/pictures/diagrams.py
	$(BIN)/python tools/pictures/clips.py
	$(BIN)/python tools/pictures/screens.py build/pages

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: setup-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# One lock for every Python and platform.
lock: setup-dev
	$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --all-extras --group dev --universal \
		--python-version 3.11 --no-emit-package torch --no-annotate \
		--custom-compile-command "make lock" --output-file requirements.lock

# What users get: built, checked, and used in an empty environment. PYTHONS="python3.11 python3.12"
wheel: setup-dev
	TORCH="$(TORCH)" tools/try-wheel $(PYTHONS)

# The same with the oldest versions that pyproject.toml allows; TORCH=torch==2.10.0 for the oldest torch.
wheel-oldest: setup-dev
	mkdir -p build
	$(BIN)/uv pip compile pyproject.toml --quiet --resolution lowest-direct --python-version 3.11 \
		--output-file build/oldest.txt
	PIP_CONSTRAINT=build/oldest.txt TORCH="$(TORCH)" tools/try-wheel $(PYTHONS)

clean:
	rm -rf $(VENV) demo
