# The verbs of the whole repository; each phase adds its own in its Makefile. `make` alone shows them.
# Written for GNU make 3.81, which is what macOS has.
.DEFAULT_GOAL := help

PHASES := $(patsubst %/Makefile,%,$(wildcard phase*/Makefile))
PROJECTS := $(PHASES) rehearsal
python := .venv/bin/python

# A .venv that was moved, or whose installation was killed, is installed again whatever the dates of its files say.
ifneq ($(shell tail -n 1 .venv/.made-for 2>/dev/null)$(wildcard .venv/.unfinished),$(CURDIR))
again := FORCE
endif

##@ Start here
.PHONY: help setup demo doctor
help: ## show this page
	@scripts/help.sh Makefile $(PROJECTS:=/Makefile)

setup: .venv/.installed-phase1_docker_api ## install what phase 1 needs into .venv (nothing outside this folder)

demo: setup ## serve five years of sales with and without retraining: reports/demo (2 minutes)
	@.venv/bin/phase1 replay --out reports/demo

doctor: ## check this computer for PHASE=1: versions, disk, memory, ports (PHASE=2, PHASE=rehearsal)
	@python3 scripts/doctor.py --phase "$(or $(PHASE),1)"

##@ Work on it
.PHONY: test test-slow test-exercises test-pipeline test-loop test-docker test-go test-cluster test-labs test-infra bench graph lint format lock clean
test: .venv/.installed-dev ## run the tests (PART=phase1_docker_api: those of one folder)
	@$(python) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(PART)

test-slow: .venv/.installed-dev ## run the slow tests: fuzzing, whole replays
	@$(python) -m pytest -m slow --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 8 tests phase*/tests rehearsal/tests

test-exercises: .venv/.installed-dev ## apply each exercise's solution to a copy: its check turns green, default tests stay so
	@$(python) -m pytest -m exercises --numprocesses 2

test-pipeline: .venv/.installed-dev ## kill the steps of phase 3's pipeline and its servers, and let many work at once
	@$(python) -m pytest -m pipeline

test-loop: .venv/.installed-dev ## land months under a real Airflow, and kill its tasks and its scheduler (10 minutes)
	@rm -f reports/test-loop.txt
	@$(python) -m pytest -m loop; code=$$?; cat reports/test-loop.txt; exit $$code

test-docker: .venv/.installed-dev ## build the image and test it on a real Docker engine (4 minutes)
	@scripts/checkov.sh --framework dockerfile --directory phase1_docker_api
	@scripts/checkov.sh --framework dockerfile --directory phase2_k8s_cicd --skip-path tests
	@$(python) -m pytest -m docker

test-go: ## check and test rollcheck, the Go tool (2 minutes)
	@phase2_k8s_cicd/rollcheck/check.sh

test-cluster: .venv/.installed-dev ## roll out good and bad versions on the Kubernetes that kubectl speaks to (15 minutes)
	@rm -f reports/test-cluster.txt
	@$(python) -m pytest -m cluster; code=$$?; cat reports/test-cluster.txt; exit $$code

test-labs: .venv/.installed-dev ## take things away from the service there, in a namespace of its own, and see them put back
	@$(python) -m pytest -m labs

test-infra: .venv/.installed-dev ## make and delete the cloud on a stand-in for AWS; needs terraform (4 minutes)
	@infra/aws/test.sh

bench: .venv/.installed-dev ## measure speed, memory and size beside seven other services: reports/bench (10 minutes)
	@$(python) -m benchmarks

graph: ## print which room imports which, the lines of each, the longest modules and functions
	@python3 scripts/import_graph.py

lint: .venv/.installed-dev ## check code, types, scripts, workflows and locks
	@scripts/lint.sh $(PROJECTS)

format: .venv/.installed-dev ## rewrite the code in the one format
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format --quiet .

lock: ## pin dependencies again after a change of a pyproject.toml (UPGRADE=1: move all to the newest)
	@scripts/lock.sh

clean: ## stop what runs and delete what was made; downloads and .venv stay (ALL=1: those too)
	@scripts/clean.sh

# What is installed has one stamp for each phase, and one for the tools; a phase's Makefile names its further locks.
.venv/.installed-%: %/pyproject.toml %/requirements.txt locks/uv.txt scripts/setup.sh $(again)
	@scripts/setup.sh $*

.venv/.installed-dev: locks/dev.txt $(PROJECTS:%=.venv/.installed-%)
	@scripts/setup.sh dev

.PHONY: FORCE
FORCE:

include $(PROJECTS:=/Makefile)
