# `make run` serves, `make test` checks everything; both build what they need in .venv first.
# TORCH=cuda takes the CUDA build of torch instead of the CPU build. PYTHON names the interpreter to build with.
# PROCESSES is how many files of tests run at a time; with 0 they run one after another in pytest's own process.

TORCH ?= cpu
PYTHON ?= python3
PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
BYTECODE := $(BIN)/python -m compileall -qq -j 0 -x '/tests/|py312' $(VENV)/lib
PARALLEL := --numprocesses $(PROCESSES) --dist loadfile
COMPILE := $(BIN)/pip-compile --quiet --no-emit-index-url --no-emit-find-links --no-emit-options --strip-extras --no-header --allow-unsafe

.PHONY: help run test check unit coverage kernels slow clients soak browser container lock clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

run: $(VENV)/runtime-$(TORCH) kernels  ## build the environment and serve on 127.0.0.1:8080
	@exec $(BIN)/python -m service serve

test: check unit  ## lint, types and tests: some minutes

check: $(VENV)/development kernels  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/development kernels  ## the tests, two files at a time
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not soak and not container and not browser"

coverage: $(VENV)/development kernels  ## the same with coverage, one file at a time
	$(BIN)/python -m pytest -m "not slow and not soak and not container and not browser" --cov --cov-report=term

kernels: $(VENV)/kernels  ## compile service/regression/kernels.c; the other targets do it where it has changed

slow: $(VENV)/development kernels  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

clients:  ## environments of other servers' clients for the slow tests, which make them otherwise
	$(PYTHON) -m tests.operations.foreign

soak: $(VENV)/development kernels  ## five minutes of mixed load on one service
	$(BIN)/python -m pytest -m soak tests/operations

browser: $(VENV)/development kernels  ## the page in chromium; needs it installed
	$(BIN)/python -m pytest -m browser tests/browser

container: $(VENV)/development kernels  ## build and run the image for real; needs Docker or podman
	$(BIN)/python -m pytest -m container tests/container

lock: $(VENV)/development  ## compile the pinned requirements anew
	$(COMPILE) -o requirements.txt requirements.in
	$(COMPILE) -o requirements-dev.txt requirements-dev.in
	sed -i 's/^torch==\([0-9.]*\).*/torch==\1/' requirements.txt requirements-dev.txt

clean:  ## remove the environment; models in var/ stay
	rm -rf $(VENV)

# torch comes first and alone, from the index that offers the build asked for, so that a CUDA build of several gigabytes
# is never taken by accident; the pin in requirements.txt is satisfied by either build. Bytecode is made by all processors at once,
# where pip would use one, but not of the packages' own tests.
$(VENV)/runtime-%: deploy/torch-%.txt requirements.txt | $(BIN)/python
	$(PIP) --no-deps -r deploy/torch-$*.txt
	$(PIP) -r requirements.txt
	$(BYTECODE)
	@touch $@

$(VENV)/development: $(VENV)/runtime-$(TORCH) requirements-dev.txt
	$(PIP) -r requirements-dev.txt
	$(BYTECODE)
	@touch $@

$(VENV)/kernels: service/regression/kernels.c deploy/compile.py deploy/compiler.txt | $(BIN)/python
	$(PIP) -r deploy/compiler.txt
	$(BIN)/python deploy/compile.py
	@touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
