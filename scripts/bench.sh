#!/usr/bin/env bash
# Measures the core beside other metrics libraries and writes docs/benchmarks.md. Arguments go to the bench.
source "$(dirname "$0")/lib.sh"

cd "$ROOT/bench"
say "benchmarks (2 minutes to build the first time, 2 to run); leave the machine alone meanwhile"
CARGO_TARGET_DIR="$CARGO_TARGET_DIR/bench" cargo run --release --quiet -- --write "$ROOT/docs/benchmarks.md" "$@"
