# make demo: the shipped weights on real films. make quickstart: both trainings on phantom films.
# make test: everything that CI checks.
# They make .venv themselves and need only Python 3.11 or 3.12, make and PyPI.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
TESTS ?= tests
# Two processes; films of 64 px gain nothing from more threads each.
WORKERS ?= 2

# deptry cannot read setup.cfg.
define WRITE_REQUIREMENTS
from configparser import RawConfigParser
from pathlib import Path
setup = RawConfigParser()
setup.read("setup.cfg")
extras = dict(setup["options.extras_require"])
dev = extras.pop("docs").splitlines() + extras.pop("dev").splitlines()
dev = [line for line in dev if not line.startswith("pneumoloc[")]
Path("build/requirements-dev.txt").write_text("\n".join(dev))
Path("build/requirements.txt").write_text("\n".join([setup["options"]["install_requires"], *extras.values()]))
endef
export WRITE_REQUIREMENTS

# The readers of others live apart: their pins do not go with ours.
READERS ?= .venv-formats
LABELME = labelme==6.3.1
FORMAT_TESTS = tests/localize/formats/test_other_libraries.py \
  tests/localize/prediction/test_to_supervision.py \
  tests/localize/formats/tools/test_label_studio.py tests/localize/formats/tools/test_coco.py \
  tests/localize/viewing/live/test_label_studio_sdk.py

FUZZ ?= 3000

.PHONY: help demo quickstart test test-formats fuzz reliability lint format types docs install dev clean

help:
	@grep -E '^# make|^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/:/'

demo: install ## the package's weights on five real films: boxes, page, exports in demo/
	$(BIN)/pneumoloc demo --out demo

quickstart: install ## phantom films, both trainings, prediction, evaluation, page in quickstart/
	$(BIN)/pneumoloc quickstart --out quickstart

test: lint types docs test-formats ## lint, types, layers, dependencies, docs, then all tests (not for a GPU)
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not gpu" -n $(WORKERS) --dist loadfile --durations=15 $(TESTS)

lint: dev ## ruff, import layers, declared dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@mkdir -p build
	@$(BIN)/python -c "$$WRITE_REQUIREMENTS"
	$(BIN)/deptry .

types: dev ## mypy --strict
	$(BIN)/mypy

docs: dev ## the documentation site in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@! grep -rnoE --include='*.html' '<(script|link|img|iframe)[^>]* (src|href)="?(https?:)?//[^ >]*' build/site \
	  || { echo "the site must not load anything from elsewhere"; exit 1; }

test-formats: ## the formats with the readers of others (skips where they cannot be installed)
	@$(MAKE) --no-print-directory $(READERS)/.installed || { \
	  echo "SKIPPED: the readers of tests/localize/formats/readers.txt cannot be installed"; exit 0; }; \
	if [ -e $(READERS)/.installed ]; then \
	  $(READERS)/bin/python -m pytest $(FORMAT_TESTS); \
	fi

fuzz: dev ## long runs of the fuzzers, of which the tests run a few seeds: FUZZ=3000 changes each
	PNEUMOLOC_FUZZ=$(FUZZ) OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.matrix F6 F23

reliability: dev ## every row of the fault matrix; writes docs/reliability.md
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.matrix

format: dev ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.installed ## .venv with pneumoloc

dev: $(VENV)/.dev ## .venv with what the tests need

clean: ## remove what was made, but not .venv
	rm -rf build dist demo quickstart *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "pneumoloc needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch and torchvision in one command: only a pair that was built together can be imported.
$(VENV)/.torch: | $(BIN)/python
	$(BIN)/pip install "torch>=2.6" "torchvision>=0.21"
	@$(BIN)/python -c "import torchvision" || { \
	  echo "torch and torchvision do not fit together (a CPU-only torch from --find-links or"; \
	  echo "another index?): remove $(VENV), and run make with PIP_FIND_LINKS= PIP_EXTRA_INDEX_URL="; \
	  exit 1; }
	@touch $@

$(READERS)/.installed: tests/localize/formats/readers.txt
	$(PYTHON) -m venv $(READERS)
	$(READERS)/bin/pip install -q --no-compile -r $<
	$(READERS)/bin/pip install -q --no-compile --no-deps $(LABELME)
	@touch $@

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/.torch
	$(BIN)/pip install -e ".[cam]"
	@touch $@

$(VENV)/.dev: setup.cfg pyproject.toml | $(VENV)/.torch
	$(BIN)/pip install -e ".[dev]"
	@touch $@ $(VENV)/.installed
