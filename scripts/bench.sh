#!/usr/bin/env bash
# Measures the core beside other metrics libraries and writes docs/benchmarks.md; with `stream` as the first
# argument the stream beside other formats, and docs/stream-benchmarks.md. The other arguments go to the bench.
source "$(dirname "$0")/lib.sh"

BENCH="$CARGO_TARGET_DIR/bench"

# The loops for the browser. No RUSTFLAGS: without SIMD, which not every browser has.
build_wasm() {
  "$ROOT/scripts/page-tools.sh"
  (cd "$ROOT/bench/wasm" && CARGO_TARGET_DIR="$BENCH" cargo build --release --quiet --target wasm32-unknown-unknown)
  wasm-bindgen --target web --no-typescript --out-dir "$BENCH/wasm" \
    "$BENCH/wasm32-unknown-unknown/release/tachograph_bench_wasm.wasm"
}

program=bench document=benchmarks.md minutes=2
if [ "${1:-}" = stream ]; then
  shift
  program=stream document=stream-benchmarks.md minutes=20
  [ -x "$CARGO_TARGET_DIR/release/tachograph" ] || die "the program is not there: make build"
  "$ROOT/scripts/test-tools.sh"
  say "the stream's loops for the browser (a minute the first time)"
  build_wasm
fi

cd "$ROOT/bench"
say "benchmarks (5 minutes to build the first time, $minutes to run); leave the machine alone meanwhile"
CARGO_TARGET_DIR="$BENCH" cargo run --release --quiet --bin "$program" -- --write "$ROOT/docs/$document" "$@"
