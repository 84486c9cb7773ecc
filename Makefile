# Torc for its contributors. `make` alone lists what there is.
#
# Everything needs Go, git and make, nothing else; the race detector needs a C
# compiler too. Linters and generators are pinned in tools/go.mod, a module of
# their own, so that no user of the library inherits them. The Go toolchain
# builds them at their first use (some minutes) and keeps them in its cache.

GO       ?= go
TOOL     := $(GO) tool -modfile=tools/go.mod
CONSUL   := bin/consul
BUF      := $(TOOL) buf
LINT     := $(TOOL) golangci-lint

# TESTFLAGS reaches every `go test` below: make test TESTFLAGS='-run Claim -v'.
TESTFLAGS ?=
# SOAKTIME is how long `make soak` simulates.
SOAKTIME  ?= 10m
# FUZZTIME is how long `make fuzz` tries each fuzz target.
FUZZTIME  ?= 10s

# CHECKS are the steps of `make check`, the cheap and the telling ones first.
CHECKS := tools check-format vet check-proto check-generated lint consul test race

.DEFAULT_GOAL := help

## Use

.PHONY: run
run: ## Start a development cluster of three members (HTTP on 127.0.0.1:4000)
	$(GO) run ./cmd/node

.PHONY: build
build: ## Compile everything, and the node program to bin/node
	$(GO) build ./...
	$(GO) build -o bin/ ./cmd/node

.PHONY: agent
agent: $(CONSUL) ## Run a Consul dev agent on 127.0.0.1:8500 until ^C; it forgets all
	$(CONSUL) agent -dev -bind=127.0.0.1 -client=127.0.0.1 -log-level=info -hcl='disable_update_check = true'

## Test

.PHONY: test
test: $(CONSUL) ## Run all tests, in random order
	$(GO) test -shuffle=on $(TESTFLAGS) ./...

.PHONY: race
race: $(CONSUL) ## Run all tests with the race detector
	$(GO) test -race -shuffle=on $(TESTFLAGS) ./...

.PHONY: cover
cover: $(CONSUL) ## Measure coverage: a line for each function, and build/cover.html
	@mkdir -p build
	$(GO) test -coverpkg=./... -coverprofile=build/cover.out $(TESTFLAGS) ./...
	$(GO) tool cover -html=build/cover.out -o build/cover.html
	$(GO) tool cover -func=build/cover.out

.PHONY: fuzz
fuzz: ## Try every fuzz target for FUZZTIME (10s)
	@targets=$$($(GO) test -list '^Fuzz' ./...); \
	echo "$$targets" | awk '/^Fuzz/ { names[n++] = $$1 } \
		/^ok/ { for (i = 0; i < n; i++) print $$2, names[i]; n = 0 }' | \
	while read -r package name; do \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

.PHONY: soak
soak: ## Simulate clusters, one seed after the other, for SOAKTIME (10m)
	$(GO) run ./internal/sim/cmd/simulate -for $(SOAKTIME) -from $$(date +%s)

# BENCHFLAGS reaches the program: make bench BENCHFLAGS='-quick -run store'.
BENCHFLAGS ?=
.PHONY: bench
bench: ## Measure all kinds of work beside plain-Go twins (some fifteen minutes)
	$(GO) run ./internal/bench/cmd/bench $(BENCHFLAGS)

# The membership tests run against the real Consul, built from its published
# module at the version in tools/consul/go.mod. It takes some eight minutes on 2
# cores the first time; the Go cache keeps its packages, so that a build after
# `make clean` only links (20 s). It is for tests and development, and never part
# of what this repository publishes. -s -w leaves out what a debugger needs.
.PHONY: consul
consul: $(CONSUL) ## Build the real Consul to bin/consul (8 min once, then cached)

$(CONSUL): tools/consul/go.mod tools/consul/go.sum
	$(GO) -C tools/consul build -ldflags='-s -w' -o $(CURDIR)/$@ github.com/hashicorp/consul
	@touch $@

## Change

.PHONY: generate
generate: ## Regenerate the Go of proto/ (kept in the repository)
	$(BUF) generate

.PHONY: fmt
fmt: ## Format Go and protobuf
	$(LINT) fmt
	$(BUF) format -w

.PHONY: tidy
tidy: ## Bring go.mod and go.sum, here and in tools/, in line with the imports
	$(GO) mod tidy
	$(GO) -C tools mod tidy

.PHONY: clean
clean: ## Remove what the targets above have built
	rm -rf bin build

## Check

.PHONY: check
check: ## Everything that a change must pass: all of the steps below
	@set -e; for step in $(CHECKS); do \
		echo "== $$step"; \
		began=$$(date +%s); \
		$(MAKE) --no-print-directory $$step; \
		echo "   $$step: $$(($$(date +%s) - began)) s"; \
	done

.PHONY: tools
tools: ## Compile the pinned linters and generators (the toolchain caches them)
	@$(BUF) --version >/dev/null
	@$(LINT) version --short >/dev/null

.PHONY: check-format
check-format: ## Is everything formatted?
	@$(LINT) fmt --diff && $(BUF) format --diff --exit-code || \
		{ echo 'not formatted: run make fmt'; exit 1; }

.PHONY: vet
vet: ## Run go vet
	$(GO) vet ./...

.PHONY: check-proto
check-proto: ## Run buf lint
	$(BUF) lint

# The code is generated afresh into another directory and compared, so that the
# answer is the same in a clean clone and in the middle of a change.
.PHONY: check-generated
check-generated: ## Is the generated code that of the .proto files?
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	$(BUF) generate --output "$$fresh" && \
	if ! diff --recursive --brief --exclude='*.proto' proto "$$fresh/proto"; then \
		echo 'proto/ and its generated Go differ: run make generate'; exit 1; \
	fi

.PHONY: lint
lint: ## Run golangci-lint
	$(LINT) run

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } \
		/^## / { printf "%s%s\n", sep, substr($$0, 4); sep = "\n" } \
		/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
