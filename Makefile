# The verbs of this project; each installs what it needs. The same ones run in CI.
#
#   make run      serve on 127.0.0.1:9000 with keys and data in .sealgate/   (LISTEN= DATA= ROOT= WORKERS=)
#   make test     everything that a change must pass
#   make quick    the fast tests alone
#   make fuzz     fuzz every parser, each for so long   (SECONDS=)
#   make bench    measure this gateway and the machine, into bench/results/   (BENCH=, see python -m bench --help)
#   make format   format and sort imports
#   make clean    remove what the verbs made, but never data

.POSIX:
.PHONY: run test quick fuzz bench format clean bootstrap bootstrap-dev

LISTEN =
DATA =
ROOT =
WORKERS =
PYTHON =
SECONDS = 60
BENCH =
BIN = .venv/bin

run: bootstrap
	@LISTEN='$(LISTEN)' DATA='$(DATA)' ROOT='$(ROOT)' WORKERS='$(WORKERS)' scripts/run.sh

# Three processes on two cores: tests wait for other processes a third of the time.
test: bootstrap-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 3 --dist loadfile -q

quick: bootstrap-dev
	$(BIN)/python -m pytest -n 3 --dist loadfile -q -m 'not slow'

fuzz: bootstrap-dev
	$(BIN)/python -m tests.fuzz all --seconds $(SECONDS)

bench: bootstrap-dev
	$(BIN)/python -m bench $(BENCH)

format: bootstrap-dev
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

bootstrap:
	@PYTHON='$(PYTHON)' scripts/bootstrap.sh

bootstrap-dev:
	@PYTHON='$(PYTHON)' scripts/bootstrap.sh dev
