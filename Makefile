PYTHON ?= python3
ARVIZ1_PYTHON ?= $(shell for v in 3.12 3.13 3.14; do python$$v -c '' >/dev/null 2>&1 && echo python$$v && break; done)

.PHONY: setup demo test check test-arviz1 notebooks notebooks-small notebooks-pair clean

setup: .venv/.installed

# the stamp is younger than pyproject.toml while the environment holds what it asks for
.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "scalebayes needs Python 3.11 to 3.14; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --editable ".[test,bench,dev,notebooks]"
	touch $@

demo: setup
	.venv/bin/scalebayes demo

test: setup
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest -q tests/test_architecture.py

# Python 3.11 gets ArviZ 0.8, later ones ArviZ 1.x; both are served
test-arviz1:
	@if [ -x .venv-arviz1/bin/python ] || [ -n "$(ARVIZ1_PYTHON)" ]; then \
	  $(MAKE) --no-print-directory .venv-arviz1/.installed && \
	  .venv-arviz1/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"; \
	else \
	  echo "test-arviz1: skipped, none of python3.12, python3.13 and python3.14 runs here"; \
	fi

.venv-arviz1/.installed: pyproject.toml
	[ -x .venv-arviz1/bin/python ] || $(ARVIZ1_PYTHON) -m venv .venv-arviz1
	.venv-arviz1/bin/python -m pip install --quiet --editable ".[test,bench]"
	touch $@

# small: every cell runs, no number is to be believed; two at a time, as compilation, which takes most of
# it, keeps one core busy, where the chains of a full run keep them all
notebooks: at_once := 1
notebooks-small: at_once := 2
notebooks-small: export SCALEBAYES_DRAWS := 100
notebooks-small: export SCALEBAYES_WARMUP := 150
notebooks-small: export SCALEBAYES_CHAINS := 2
# kernels talk over files: two that start at once can take each other's ports
notebooks notebooks-small: setup
	mkdir -p out/notebooks
	sockets=$$(mktemp -d) && cd notebooks && ls *.ipynb | xargs -P $(at_once) -I {} \
	  ../.venv/bin/python -m nbconvert --log-level WARN --execute --to notebook --output-dir ../out/notebooks \
	  --KernelManager.transport=ipc --KernelManager.ip=$$sockets/{} {}
	.venv/bin/python -m nbconvert --log-level WARN --to html out/notebooks/*.ipynb

# one edits the .py; the .ipynb is the same without outputs
notebooks-pair: setup
	.venv/bin/python -m jupytext --quiet --update --to ipynb notebooks/*.py
	.venv/bin/python -m nbconvert --log-level WARN --clear-output --inplace notebooks/*.ipynb

clean:
	rm -rf .venv .venv-arviz1 build dist out .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
