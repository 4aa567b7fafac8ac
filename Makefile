# `make help` lists what there is. PORT and DATA_DIR say where the local system listens and lives.

PORT ?= 8000
DATA_DIR ?= .local
MODE ?= standard
PROFILE ?= release
SEEDS ?= 5000
EMULATED_DIR ?= $(DATA_DIR)/emulated

TARGET := $(or $(CARGO_TARGET_DIR),target)
HALYARD := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/halyard
SERVE := --port $(PORT) --data-dir $(DATA_DIR) --mode $(MODE)

.PHONY: docker-up docker-down docker-restart test-docker test-containers backup restore package emulated-up emulated-down test-emulated
.PHONY: help run up down demo build check test simulate unit lint fmt bench audit sqlx-prepare deps watch

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PORT=$(PORT) DATA_DIR=$(DATA_DIR) MODE=$(MODE) (standard or managed) PROFILE=$(PROFILE) (release or dev)"

run: deps build ## Build, start, show a task over real data; Ctrl-C stops everything
	@$(HALYARD) serve $(SERVE) --demo

up: deps build ## Start in the background; prints the base URL when healthy
	@$(HALYARD) up $(SERVE)

down: ## Stop what `up` or `run` started
	@if [ -x $(HALYARD) ]; then $(HALYARD) down --data-dir $(DATA_DIR); else echo "nothing runs: it was never built"; fi

demo: build ## The demonstration against a system that is up
	@$(HALYARD) demo --url http://127.0.0.1:$(PORT)

build: ## Build the program
	@echo "building halyard ($(PROFILE)); the first time takes some minutes" >&2
	@cargo build $$([ -t 2 ] || echo --quiet) --locked --profile $(PROFILE) -p halyard-gateway --bin halyard

deps: ## Install PostgreSQL and Redis where they are missing
	@scripts/install-deps

check: ## The inner loop: format, lints, tests that need no server
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
	@$(MAKE) --no-print-directory unit

unit: ## Tests of everything but the integration crate
	scripts/cargo-tool nextest run --workspace --exclude halyard-tests

test: ## Everything: lints, the template, every test against real servers
	@scripts/test

simulate: ## Thousands of seeds of the simulation, and the faults that they must find (SEEDS=5000, SEED=17 replays one)
	@SIMULATION_SEEDS=$(if $(SEED),0,$(SEEDS)) SIMULATION_SEED=$(SEED) SIMULATION_MUTANTS=$(if $(SEED),,all) SKIP_LINT=1 \
		scripts/test --profile simulation

lint: ## Format, clippy, the template
	@scripts/lint

fmt: ## Format the code
	cargo fmt --all

audit: ## Licences, advisories, duplicate and forbidden crates (needs the network)
	scripts/cargo-tool deny --all-features check

bench: deps ## Measure; writes target/bench.json
	@scripts/bench

package: ## The functions as zips for Lambda, in target/lambda (ARCH=x86_64 or arm64)
	@scripts/package

emulated-up: ## The template deployed into an emulator of AWS, or updated there; prints the base URL
	@PROFILE=$(PROFILE) DATA_DIR=$(EMULATED_DIR) scripts/emulated up

emulated-down: ## Delete the emulated stack and stop everything
	@PROFILE=$(PROFILE) DATA_DIR=$(EMULATED_DIR) scripts/emulated down

test-emulated: ## The end-to-end suite, updates and faults against a stack in an emulator
	@PROFILE=dev scripts/emulated test

watch: deps ## The functions under `cargo lambda watch`, the gateway in front of them
	@scripts/watch

sqlx-prepare: deps ## Check the SQL against a real schema and write .sqlx
	@scripts/sqlx-prepare

docker-up: ## Everything in containers behind NGINX; prints the base URL when healthy
	@scripts/docker up

docker-down: ## Stop the containers; what they hold stays, unless VOLUMES=1
	@scripts/docker down $(if $(VOLUMES),--volumes)

docker-restart: ## Restart the nodes one after another, on what is built now; no request fails
	@scripts/docker restart

test-docker: ## The end-to-end suite and the faults against containers of their own
	@scripts/test-docker

test-containers: ## Store, contract and limits tests with their servers in containers
	@scripts/test-containers

backup: ## Back the database up (SOURCE=docker or embedded, or DATABASE_URL) into DIR
	@scripts/backup $(DIR)

restore: ## Restore FILE=NAME.dump; REPLACE=1 in place of what is there, INTO=NAME beside it
	@scripts/restore "$(FILE)" $(if $(INTO),--into $(INTO),$(if $(REPLACE),--replace))
