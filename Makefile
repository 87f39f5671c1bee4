# `make` alone lists the targets. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALL := PIP_CONSTRAINT=requirements.lock $(BIN)/pip install --quiet --editable
ARGS ?=
ATLAS := grid grid_momentum grid_tanh grid_relu grid_adam grid_headlines rate_conventions local_minima width_law \
	momentum_speed initial_range saddle_escape parity_range parity_bits plateaus plateaus_by_init

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all lint types bench figures atlas tensorboard clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/core ## Create .venv and install what a run needs, locked (once)

.venv/core: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(INSTALL) .
	touch $@

.venv/dev: .venv/core
	$(INSTALL) '.[dev]'
	touch $@

.venv/all: .venv/dev
	$(INSTALL) '.[dev,mlflow,wandb]'
	touch $@

.venv/bench: .venv/core
	$(INSTALL) '.[bench]'
	touch $@

train: setup ## Train the lab sheet's network, or another with ARGS="key=value ..."
	$(BIN)/python src/train.py $(ARGS)

test: .venv/dev ## Run the tests, one process per core; .ci/run runs further ones too
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal $(ARGS)

test-all: .venv/all ## Run all tests, the slow ones and those of the extras too
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal -m '' $(ARGS)

lint: .venv/dev ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev ## Check types
	$(BIN)/mypy

bench: .venv/bench ## Measure the figures of docs/benchmarks.md and docs/reliability.md (an hour)
	$(BIN)/python tests/bench/against_sheet.py $(ARGS)
	$(BIN)/python tests/bench/ensembles.py $(ARGS)
	$(BIN)/python tests/bench/sweeps.py $(ARGS)
	$(BIN)/python tests/bench/reproducibility.py

figures: setup ## Remake the pictures of docs/ (7 minutes); cost.png is drawn by tests/bench/ensembles.py
	rm -rf logs/figures
	for name in lab linear population; do \
		$(BIN)/python src/train.py experiment=$$name callbacks=loss_surface hydra.run.dir=logs/figures/$$name || exit 1; \
	done
	for name in lr_sweep lr_by_width; do \
		$(BIN)/python src/train.py experiment=$$name hydra.sweep.dir=logs/figures/$$name || exit 1; \
	done
	$(BIN)/python src/train.py experiment=lr_map hydra.run.dir=logs/figures/lr_map
	$(BIN)/python src/train.py experiment=lr_map optimizer.hidden=[60,600] optimizer.output=[4,40] \
		hydra.run.dir=logs/figures/lr_map_zoom
	$(BIN)/python src/train.py networks=1000 seed=0 model.hidden=[2] model.init=8 optimizer.lr=1 trainer.max_epochs=10000 \
		hydra.run.dir=logs/figures/plateaus
	cp logs/figures/plateaus/examples.png docs/plateau_examples.png
	cp logs/figures/lab/*.png logs/figures/lab/*.gif docs
	cp logs/figures/linear/hidden_units.png docs/linear.png
	cp logs/figures/population/loss_curve.png docs/population.png
	cp logs/figures/population/examples.png docs
	cp logs/figures/lr_sweep/sweep.png docs/lr_sweep.png
	cp logs/figures/lr_by_width/sweep.png docs/lr_by_width.png
	cp logs/figures/lr_map/lr_map.png docs/lr_map.png
	cp logs/figures/lr_map_zoom/lr_map.png docs/lr_map_zoom.png

atlas: .venv/dev ## Compute the tables and pictures of docs/atlas, on all cores (45 minutes on 2), resumed where it was
	for name in $(ATLAS); do \
		$(BIN)/python src/train.py experiment=$$name hydra/launcher=joblib hydra.sweep.dir=logs/atlas/$$name || exit 1; \
	done
	$(BIN)/python src/atlas.py

tensorboard: setup ## Show the runs in logs/ on http://127.0.0.1:6006
	$(BIN)/tensorboard --logdir logs --host 127.0.0.1 --samples_per_plugin images=1000,scalars=10000 $(ARGS)

clean: ## Remove .venv, caches and everything in logs/
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache src/*.egg-info logs/*/
	find src tests -name __pycache__ -prune -exec rm -rf {} +
