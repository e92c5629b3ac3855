# Each target creates the virtual environment that it needs, and updates it when setup.py changes.
PYTHON ?= $(shell for name in python3.11 python3.10 python3 python; do \
	$$name -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 12))' 2>/dev/null && echo $$name && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
# The demo keeps everything here, including the SDK's caches, and changes nothing outside of this folder.
DEMO := $(CURDIR)/.demo
IN_DEMO = HOME=$(DEMO)/user AZUREML_WRAPPER_HOME=$(DEMO)/service
# More than the cores of a small machine, because tests mostly wait for processes and files. A worker and the processes
# that it starts take up to 1 GB.
JOBS ?= 4
ARGS ?=
KILLS ?= 100
N ?= 20000
# Container images often set it; then hundreds of processes compile the same modules, a seventh of the tests' time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo stop test faults fuzz mutants check format bench clean

help:
	@echo "make demo    start the local Azure ML and run examples/quickstart on it"
	@echo "make stop    stop the demo's service"
	@echo "make test    all tests; the fast part: make test ARGS='-m \"not slow\"'"
	@echo "make faults  kill services, their helpers and steps at random and count what is lost, let every point meet every"
	@echo "             error of the machine, damage every kind of file: make faults KILLS=1000"
	@echo "make mutants write one defect at a time into a copy of the source, and see that its tests fail: ARGS=NAME for some"
	@echo "make fuzz    send malformed requests to every route, and report what breaks: make fuzz N=1000000 ARGS='--seed 7'"
	@echo "make check   ruff, formatting and types"
	@echo "make format  let ruff format everything"
	@echo "make bench   measure everything beside other tools, and write docs/performance.md; one: make bench ARGS=chain"
	@echo "make clean   remove the virtual environments, the demo's folder and the data of benchmarks"

demo: $(VENV)/.user
	@mkdir -p $(DEMO)/user
	@# The service of an earlier demo may run in another network namespace and be out of reach.
	@$(IN_DEMO) $(BIN)/aml local down >/dev/null
	$(IN_DEMO) $(BIN)/python examples/quickstart/run.py
	@echo "The service keeps its state in $(DEMO)/service; it leaves after 15 minutes without work, or with: make stop"

stop:
	[ ! -x $(BIN)/aml ] || $(IN_DEMO) $(BIN)/aml local down

test: $(VENV)/.developer
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

faults: $(VENV)/.developer
	$(BIN)/python -m tests.faults.kills $(KILLS)
	$(BIN)/python -m tests.faults.errors
	$(BIN)/python -m tests.faults.damages

mutants: $(VENV)/.developer
	$(BIN)/python -m tests.faults.mutants $(ARGS)

fuzz: $(VENV)/.developer
	$(BIN)/python -m tests.faults.fuzzing $(N) $(ARGS)

check: $(VENV)/.developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.developer
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(VENV)/.user
	$(BIN)/python -m benchmarks $(ARGS)

clean: stop
	rm -rf $(VENV) $(DEMO) benchmarks/.envs benchmarks/.work

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.10 or 3.11 is needed (make PYTHON=/path/to/python3.11)."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# uv is fast, but does not read pip's configuration: if it fails (because of a company's own index, say), pip takes
# over. Unlike pip, uv trusts the system's certificates only if UV_SYSTEM_CERTS is set.
define install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	UV_SYSTEM_CERTS=true $(BIN)/uv pip install --quiet --python $(BIN)/python --editable $(1) || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable $(1)
	@touch $@
endef

$(VENV)/.user: setup.py | $(BIN)/python
	$(call install,.)

$(VENV)/.developer: setup.py | $(BIN)/python
	$(call install,'.[dev]')
	@touch $(VENV)/.user
