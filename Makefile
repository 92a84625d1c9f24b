# A thin door onto the `alsnb` command. `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PROFILE ?= demo
RUN ?= $(PROFILE)
TOPIC ?=
# Peers of the benchmarks live apart: their pins contradict the package's.
PEERS := benchmarks/.venv/.ready

.DEFAULT_GOAL := help
.PHONY: help book pdf test lint format bench lab serve lock clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

book: $(READY)  ## Set up, simulate, run and render the demo (PROFILE=paper for all 654)
	$(BIN)/alsnb run --profile $(PROFILE) --name $(RUN)
	$(BIN)/alsnb book --run $(RUN)

pdf: $(READY)  ## Print the rendered book as one PDF, runs/RUN/book.pdf (needs Chromium)
	$(BIN)/alsnb pdf --run $(RUN)

test: $(READY) lint  ## Lint, check types and run every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(READY)  ## Check style, docstrings and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## Mend what style checks can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) $(PEERS)  ## Measure against peers, as ratios (TOPIC=radiomics for one)
	$(BIN)/python -m benchmarks $(TOPIC)

lab: $(READY)  ## Open the notebooks in JupyterLab
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks

serve: $(READY)  ## Serve the rendered book on this machine
	$(BIN)/alsnb serve --run $(RUN)

lock: $(READY)  ## Write requirements/lock.txt and environment.yml anew
	$(PYTHON) requirements/lock.py

clean:  ## Remove the virtual environment and built files; runs/ stays
	rm -rf $(VENV) benchmarks/.venv _build .pytest_cache .ruff_cache .mypy_cache .hypothesis

# Why three steps: see requirements/no-deps.txt.
$(READY): requirements/build.txt requirements/lock.txt requirements/no-deps.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "alsnb needs Python 3.11 (PyRadiomics 3.0.1 builds on no later one); found: $$("$(PYTHON)" --version 2>&1)."; \
	  echo "Give one with: make PYTHON=/path/to/python3.11"; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/pip install -q -r requirements/build.txt
	$(BIN)/pip install -q -r requirements/lock.txt
	$(BIN)/pip install -q --no-deps --no-build-isolation -r requirements/no-deps.txt
	$(BIN)/pip install -qq --no-deps --no-build-isolation -e .
	@touch $(READY)

$(PEERS): benchmarks/requirements.txt benchmarks/requirements-no-deps.txt
	"$(PYTHON)" -m venv benchmarks/.venv
	benchmarks/.venv/bin/pip install -q -r benchmarks/requirements.txt
	benchmarks/.venv/bin/pip install -q --no-deps -r benchmarks/requirements-no-deps.txt
	@touch $(PEERS)
