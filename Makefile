# Each target makes what it needs, from nothing but Python 3.11 or newer, git and make.
PYTHON ?= python3
DEMO ?= demo
RUN = .venv/bin

.PHONY: demo test lint docs clean

demo: .venv/installed
	$(RUN)/tomosoup demo $(DEMO) --overwrite

test: .venv/installed
	$(RUN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

lint: .venv/installed
	$(RUN)/ruff check
	$(RUN)/ruff format --check
	$(RUN)/mypy

docs: .venv/installed
	$(RUN)/zensical build --clean --strict

.venv: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(RUN)/python -m pip install --quiet --upgrade 'pip>=25'  # older ones take ten minutes to find versions that fit
	$(RUN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv demo build dist site src/*.egg-info
