# make demo   set everything up, train a small network, read five pictures with it
# make test   set everything up and pass the tests
# make lint   ruff, mypy --strict, the floors of the package
# make docs   write the generated pages: docs/recipe.md and docs/commands.md
# make lessons  execute the lessons with small budgets (some minutes)
# make bench  measure speed against the usual training loop (half an hour on 2 cores)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint docs lessons bench clean

demo: $(VENV)/installed
	@$(BIN)/featherweight demo

test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed-dev
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed
	$(BIN)/python docs/make_pages.py

lessons: $(VENV)/installed-lessons
	OMP_NUM_THREADS=1 $(BIN)/python lessons/execute.py --check

bench: $(VENV)/installed-bench
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/workbook.py
	$(BIN)/python benchmarks/pages.py
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/usual_loop.py

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (about a minute) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/installed-lessons: $(VENV)/installed
	@$(PIP) -e '.[lessons]'
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed
	@$(PIP) -e '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) runs
