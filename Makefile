# `make` alone lists the targets. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all lint types bench figures tensorboard clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/installed ## Create .venv and install the locked dependencies (once)

.venv/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=requirements.lock $(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

train: setup ## Train the lab sheet's network, or another with ARGS="key=value ..."
	$(BIN)/python src/train.py $(ARGS)

test: setup ## Run the tests, one process per core
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal $(ARGS)

test-all: setup ## Run all tests, the slow ones and those of the extras too
	PIP_CONSTRAINT=requirements.lock $(BIN)/pip install --quiet --editable '.[dev,mlflow,wandb]'
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal -m '' $(ARGS)

lint: setup ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Check types
	$(BIN)/mypy

bench: setup ## Measure the figures of docs/benchmarks.md and docs/reliability.md (an hour)
	PIP_CONSTRAINT=requirements.lock $(BIN)/pip install --quiet --editable '.[bench,dev]'
	$(BIN)/python tests/bench/against_sheet.py $(ARGS)
	$(BIN)/python tests/bench/ensembles.py $(ARGS)
	$(BIN)/python tests/bench/sweeps.py $(ARGS)
	$(BIN)/python tests/bench/reproducibility.py

figures: setup ## Remake the pictures of docs/ (5 minutes); cost.png is drawn by tests/bench/ensembles.py
	rm -rf logs/figures
	for name in lab linear population; do \
		$(BIN)/python src/train.py experiment=$$name callbacks=loss_surface hydra.run.dir=logs/figures/$$name || exit 1; \
	done
	for name in lr_sweep lr_by_width; do \
		$(BIN)/python src/train.py experiment=$$name hydra.sweep.dir=logs/figures/$$name || exit 1; \
	done
	cp logs/figures/lab/*.png logs/figures/lab/*.gif docs
	cp logs/figures/linear/hidden_units.png docs/linear.png
	cp logs/figures/population/loss_curve.png docs/population.png
	cp logs/figures/population/examples.png docs
	cp logs/figures/lr_sweep/sweep.png docs/lr_sweep.png
	cp logs/figures/lr_by_width/sweep.png docs/lr_by_width.png

tensorboard: setup ## Show the runs in logs/ on http://127.0.0.1:6006
	$(BIN)/tensorboard --logdir logs --host 127.0.0.1 --samples_per_plugin images=1000,scalars=10000 $(ARGS)

clean: ## Remove .venv, caches and everything in logs/
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache src/*.egg-info logs/*/
	find src tests -name __pycache__ -prune -exec rm -rf {} +
