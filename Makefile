# Everything runs in .venv, which is made when it is first needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
RAY := $(VENV)/ray

.DEFAULT_GOAL := help
.PHONY: help install run ui test slow lint types wheel check size audit bench results clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1	\2/' | expand -t 12

install: $(INSTALLED) ## Make .venv with sweep and all that its development needs

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(RAY): $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt ray
	@touch $@

run: $(INSTALLED) ## Search with the softmax loss: 50 trials on the embedded images
	$(BIN)/sweep run --loss softmax --trials 50

ui: $(INSTALLED) ## Browse the trials
	$(BIN)/sweep ui

test: $(INSTALLED) ## Run the tests that need no processes, servers or signals
	$(BIN)/pytest -n auto --dist worksteal -m "not slow"

slow: $(INSTALLED) $(RAY) ## Run the slow tests: processes, servers, browsers, signals, full disks
	$(BIN)/pytest -n auto --dist loadfile -m slow

lint: $(INSTALLED) ## Check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(INSTALLED) ## Check the types
	$(BIN)/mypy

wheel: $(INSTALLED) ## Install the built wheel alone and run the README's first session
	.ci/wheel $(PYTHON)

check: lint types test slow wheel ## What CI runs: lint, types, all tests, the wheel

size: ## Print lines and modules
	$(PYTHON) .ci/size

audit: ## Look the pinned packages up among known vulnerabilities
	.ci/audit

bench: $(INSTALLED) ## Measure speed, each benchmark in its small form (under five minutes)
	$(BIN)/python benchmarks/efficiency.py --small
	$(BIN)/python benchmarks/peers.py --small
	$(BIN)/python benchmarks/study.py --small
	$(BIN)/python benchmarks/scaling.py --small
	$(BIN)/python benchmarks/search.py --small

results: $(INSTALLED) ## Remake the README's result table (CIFAR-10, half an hour)
	$(BIN)/python benchmarks/results.py

clean: ## Remove .venv and caches; mlruns/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
