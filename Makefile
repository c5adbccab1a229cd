# Everything sets itself up: the first target makes .venv with pinned packages; all are safe to run again.
# Needs Python 3.11 or newer and make.   make help

SHELL := /bin/sh
VENV  := .venv
READY := $(VENV)/.ready
RUN   := $(VENV)/bin
DATA  := runs/demo-data
DEMO  := runs/demo

# The first Python that is new enough and can make virtual environments; PYTHON=... on the command line wins.
CANDIDATES := python3.11 python3.12 python3.13 python3.14 python3 python
FITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.PHONY: help demo demo-data test lint format types contracts unit prove bench-peers bench-training bench-decoding clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

# ---- the environment ------------------------------------------------------------------------------------------------

$(READY): constraints.txt pyproject.toml
	@set -e; chosen="$(PYTHON)"; \
	if [ -z "$$chosen" ]; then \
	  for one in $(CANDIDATES); do \
	    if command -v $$one >/dev/null 2>&1 && $$one -c '$(FITS)' >/dev/null 2>&1; then chosen=$$one; break; fi; \
	  done; \
	fi; \
	if [ -z "$$chosen" ] || ! $$chosen -c '$(FITS)' >/dev/null 2>&1; then \
	  echo "make: Headway needs Python 3.11 or newer with its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; \
	  echo "make: looked for: $${chosen:-$(CANDIDATES)}. To name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; \
	fi; \
	if ! $(RUN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	  echo "make: new environment in $(VENV) with $$($$chosen --version)"; \
	  rm -rf $(VENV); $$chosen -m venv $(VENV); \
	fi; \
	echo "make: installing the pinned packages"; \
	$(RUN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[all,dev]"; \
	touch $(READY)

# ---- the main job on data that is made on the spot -------------------------------------------------------------------

demo: demo-data ## make sample data, check, train, evaluate, report, translate, explain (about 5 minutes on 2 cores)
	$(RUN)/headway check examples/demo.yaml
	$(RUN)/headway train examples/demo.yaml
	$(RUN)/headway evaluate $(DEMO)
	$(RUN)/headway report $(DEMO)
	head -n 5 $(DATA)/test.en | $(RUN)/headway predict $(DEMO)
	$(RUN)/headway explain $(DEMO) "$$(head -n 1 $(DATA)/test.en)" -o $(DEMO)/explanation.html

demo-data: $(READY)
	$(RUN)/headway sample translation $(DATA)

# ---- what must hold --------------------------------------------------------------------------------------------------

test: lint types contracts unit ## linter, types, import contract and the test suite (under 10 minutes)

lint: $(READY)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: $(READY)
	$(RUN)/mypy

contracts: $(READY)
	$(RUN)/lint-imports

# Threads of two workers that wait awake for each other's cores make the suite take several times as long.
unit: $(READY)
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(RUN)/pytest -n 2

format: $(READY) ## put the code into its form
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

prove: $(READY) ## the long proofs: kills, fuzzing, real data
	$(RUN)/pytest -m slow

# ---- side by side with peers -----------------------------------------------------------------------------------------

PEERS := .peers

bench-peers: ## the other toolkits, each in an environment of its own (about 4.5 GB)
	sh benchmarks/setup_peers.sh $(PEERS)

bench-training: $(READY) bench-peers ## training speed beside other toolkits: make bench-training DATA=path/to/multi30k
	$(RUN)/python benchmarks/training.py --data "$(DATA)" --peers $(PEERS)

bench-decoding: $(READY) bench-peers ## decoding speed beside other toolkits: make bench-decoding DATA=path/to/multi30k
	$(RUN)/python benchmarks/decoding.py --data "$(DATA)" --peers $(PEERS)

clean: ## remove the environment and what tools cached; runs stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info
