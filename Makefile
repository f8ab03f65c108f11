# What people and CI call. `make help` lists it.

SHELL := bash
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/.tools/binaryen/node_modules/.bin:$(PATH)
export CARGO_TARGET_DIR := $(CURDIR)/target
.DEFAULT_GOAL := help
SECONDS := 60
MINUTES := 60
.PHONY: help run build page watch test test-core test-threads test-wasm test-server test-protocol test-whole bench bench-stream bench-page pictures instructions size fuzz soak lint bare deny clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## install what is missing, build, and start the demo
	@./target/release/tachograph demo

build: page ## the program with its page, in target/release/tachograph
	@scripts/step.sh "server, release build (about 3 minutes the first time, seconds after that)" cargo build --release -p tachograph --features cli

page: ## the page alone, in server/dist/
	@scripts/page-tools.sh
	@scripts/page.sh

watch: ## the page while you change it, with a server that `tachograph serve` runs
	@scripts/page-tools.sh
	@scripts/wasm-target.sh
	@env -u NO_COLOR trunk serve

test: test-core test-threads test-wasm test-server build test-protocol test-whole ## install what is missing and run everything

test-core: ## the core, natively
	cargo test -p tachograph-core --all-features

test-threads: ## the core's threads: every interleaving under loom, ThreadSanitizer, and miri where it is
	@scripts/loom.sh
	@scripts/tsan.sh
	@scripts/miri.sh

test-wasm: ## the core in headless wasm, in Node and in Chromium
	@scripts/test-tools.sh
	scripts/test-wasm.sh

test-server: ## the server's and the page's own parts, natively
	cargo test -p tachograph --all-features
	cargo test -p tachograph-web

test-protocol: build ## another language's client against the built program
	@scripts/test-tools.sh
	scripts/test-protocol.sh

test-whole: build ## the built program: command line, load, browser
	@scripts/test-tools.sh
	cargo test -p tachograph-tests

bench: ## the core beside other metrics libraries; writes docs/benchmarks.md
	@scripts/bench.sh

bench-stream: build ## the stream beside other formats, and thousands of viewers; writes docs/stream-benchmarks.md
	@scripts/bench.sh stream

bench-page: page ## the page in a browser, and its charts beside uPlot's; writes docs/page-benchmarks.md
	@scripts/bench.sh page

pictures: page ## the documents' pictures, of a rehearsed service; installs pngquant
	@scripts/pictures.sh

instructions: ## instructions of the core's hot path, each with its limit; installs valgrind
	@scripts/instructions.sh

size: ## what the core adds to a wasm build
	@scripts/core-size.sh

fuzz: ## looks for exceptions to the core's laws, SECONDS (60) for each target; RECORD=1 writes docs/reliability.md
	@scripts/fuzz.sh $(SECONDS)

soak: build ## the program for MINUTES (60) among sessions that flood, stall and die, by SEED; writes docs/reliability.md
	@scripts/soak.sh $(MINUTES) $(SEED)

lint: bare deny ## formatting, clippy, documentation
	scripts/lint.sh

deny: ## licences, bans and sources of dependencies, advisories where they can be had
	@scripts/deny.sh

bare: ## the core without std: on wasm32 and on a bare target, one package at a time
	@scripts/wasm-target.sh
	scripts/bare.sh

clean: ## what was built; tools stay
	rm -rf target server/dist
