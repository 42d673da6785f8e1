# Every target sets up what it needs in .venv; a machine needs only Python 3.11+ with pip, and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
export JAX_PLATFORMS ?= cpu
export MPLBACKEND    ?= Agg

.PHONY: demo test test-oldest lint format docs bench tables clean

demo: $(STAMP)-examples ## train the digits classifier with six optimizers; prints a table, saves a figure
	$(BIN)/python examples/digits.py

test: $(STAMP)-interop ## the whole test suite
	$(BIN)/python -m pytest -n auto --dist worksteal -q

lint: $(STAMP)-lint $(STAMP)-interop ## formatting, rules, types (of the examples, too)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright

format: $(STAMP)-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

tables: $(STAMP) ## regenerate the tables in README and docs, and the snapshot of public names
	$(BIN)/python docs/tables.py

docs: $(STAMP)-docs ## build the site into docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(STAMP)-interop ## side by side with peers, as ratios
	$(BIN)/python benchmarks/run.py

test-oldest: $(VENV)-oldest/.installed ## core, contract and oracles on the oldest supported jax
	$(VENV)-oldest/bin/python -m pytest -n auto --dist worksteal -q tests/core tests/transforms tests/optimizers tests/schedules

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(VENV)/bin/python pyproject.toml
	$(PIP) install -e ".[test]"
	@touch $@

$(STAMP)-%: $(STAMP) pyproject.toml
	$(PIP) install -e ".[test,$*]"
	@touch $@

$(VENV)-oldest/.installed: pyproject.toml tests/oldest.txt
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip --quiet --disable-pip-version-check install -e ".[test]" -c tests/oldest.txt
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-oldest docs/_build docs/gallery .pytest_cache .ruff_cache build dist
