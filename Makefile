# make search              set up .venv once, then search on synthetic faces (BUDGET=, ARGS= to change)
# make test                set up .venv once, then run the tests; make test-slow for the minutes-long ones
# make fuzz                the property tests, each with thousands of new examples
# make lint | notebook | bench
# make api                 an API reference from the docstrings, in build/api

PYTHON ?= python3
BUDGET ?= 5.1GFLOPs
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python
# Packages that say what they hand on would hide their files from pdoc, so those are named.
HIDING := space proxy_tasks/jmlr/pnp proxy_tasks/jmlr/synthetic
HIDDEN := $(filter-out %/__init__.py %/__main__.py,$(wildcard $(HIDING:%=%/*.py)))
# Those that need nothing said; bench_overhead.py and bench_replay.py say what they take.
BENCHES := $(filter-out %/bench_overhead.py %/bench_replay.py,$(wildcard tests/bench/bench_*.py))
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: search test test-slow fuzz lint notebook bench api clean
.DELETE_ON_ERROR:

search: $(VENV)/.installed
	@$(RUN) -m nas.search --budget $(BUDGET) $(ARGS)

test: $(VENV)/.installed-dev
	$(RUN) -m pytest -q -n 2 --dist loadfile

test-slow: $(VENV)/.installed-dev
	$(RUN) -m pytest -q -m slow

fuzz: $(VENV)/.installed-dev
	JMLR_NAS_EXAMPLES=fuzz $(RUN) -m pytest -q -n 2 $$(grep -l '@given' tests/test_*.py)

lint: $(VENV)/.installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy space proxy_tasks nas reports

api: $(VENV)/.installed-dev
	$(RUN) -m pdoc --output-directory build/api space proxy_tasks nas reports $(subst /,.,$(HIDDEN:.py=)) '!.*__main__'
	@echo "open build/api/index.html"

notebook: $(VENV)/.installed-notebooks
	$(RUN) -m notebook reports/notebooks

bench: $(VENV)/.installed-dev
	@for script in $(BENCHES); do echo "== $$script"; $(RUN) $$script || exit 1; done

$(VENV)/bin/python:
	@echo "Setting up $(VENV) with $$($(PYTHON) --version), once"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing jmlr-nas and what it needs, once (minutes, mostly torch and ray)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the test tools, once"
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.installed-notebooks: $(VENV)/.installed
	@$(PIP) --editable '.[notebooks]'
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
