# Each target sets up what it needs in .venv, once; Python >= 3.11 and a package index will do.
#   make test ARGS="-k dcgan -x"    passes arguments on
#   make test PYTHON=python3.13     chooses the Python of .venv
PYTHON ?=
JOBS ?= 2
ARGS ?=
DEMO ?= -m experiments.demo

python := .venv/bin/python
setup = PYTHON="$(PYTHON)" sh scripts/setup.sh

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-slow test-reference tables tables-quick docs notebooks lint format clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20

demo: ## train a projected GAN on photographs of flowers and draw new ones
	@$(setup) features,report
	@$(python) $(DEMO) $(ARGS)

test: ## run the suite
	@$(setup) test
	@$(python) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-slow: ## run the tests that take minutes
	@$(setup) test
	@JAXGAN_TESTS_OPTIMIZED=1 $(python) -m pytest -n $(JOBS) --dist worksteal -m slow $(ARGS)

test-reference: ## run the tests that compare with other implementations
	@$(setup) reference
	@$(python) -m pytest -n $(JOBS) --dist worksteal -m reference -rs $(ARGS)

tables: ## run what is missing of the papers' tables (hours) and write docs/results.md
	@$(setup) test
	@$(python) -m experiments.tables $(ARGS)

tables-quick: ## prove in minutes that every table runs
	@$(setup) test
	@$(python) -m experiments.tables --quick $(ARGS)

docs: ## build the site of the documents and the reference in build/site
	@$(setup) docs
	@DISABLE_MKDOCS_2_WARNING=true $(python) -m mkdocs build --strict --quiet
	@echo "build/site/index.html"

notebooks: ## execute docs/notebooks and keep the outputs in them
	@$(setup) notebooks
	@$(python) scripts/run_notebooks.py

lint: ## check style, format, the order of the rooms, spelling and types
	@$(setup) dev
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .
	@$(python) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"
	@$(python) -m codespell_lib $$(git ls-files)
	@$(python) -m pyright --pythonpath $(python)

format: ## fix style and format
	@$(setup) dev
	@$(python) -m ruff check --fix .
	@$(python) -m ruff format .

clean: ## remove the environment and all caches, never the runs
	rm -rf .venv .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
