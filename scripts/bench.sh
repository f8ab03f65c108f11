#!/usr/bin/env bash
# Measures the core beside other metrics libraries and writes docs/benchmarks.md; with `stream` as the first
# argument the stream beside other formats, and docs/stream-benchmarks.md; with `page` the page in a browser, and
# docs/page-benchmarks.md. The other arguments go to the bench.
source "$(dirname "$0")/lib.sh"

BENCH="$CARGO_TARGET_DIR/bench"

# The loops for the browser. No RUSTFLAGS: without SIMD, which not every browser has.
build_wasm() {
  "$ROOT/scripts/page-tools.sh"
  (cd "$ROOT/bench/wasm" && CARGO_TARGET_DIR="$BENCH" cargo build --release --quiet --target wasm32-unknown-unknown)
  wasm-bindgen --target web --no-typescript --out-dir "$BENCH/wasm" \
    "$BENCH/wasm32-unknown-unknown/release/tachograph_bench_wasm.wasm"
}

# The page's charts without the page, small as it is, in one script with uPlot.
build_plot() {
  local out="$BENCH/plot"
  (cd "$ROOT/bench" && CARGO_TARGET_DIR="$BENCH" cargo build --profile page --quiet -p tachograph-bench-plot \
    --target wasm32-unknown-unknown)
  wasm-bindgen --target web --no-typescript --out-dir "$out" \
    "$BENCH/wasm32-unknown-unknown/page/tachograph_bench_plot.wasm"
  # As scripts/page-pack.mjs does.
  wasm-opt -Os --converge --strip-debug --strip-producers --strip-target-features \
    "$out/tachograph_bench_plot_bg.wasm" -o "$out/tachograph_bench_plot_bg.wasm"
  node "$ROOT/bench/page/js/build.mjs" "$out"
}

package=tachograph-bench program=bench document=benchmarks.md minutes=2
if [ "${1:-}" = page ]; then
  shift
  package=tachograph-bench-page program=page document=page-benchmarks.md minutes=20
  [ -f "$ROOT/server/dist/index.html" ] || die "the page is not there: make page"
  "$ROOT/scripts/test-tools.sh"
  "$ROOT/scripts/bench-tools.sh" page
  "$ROOT/scripts/wasm-target.sh"
  say "the page's charts without the page (half a minute the first time)"
  build_plot
fi
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
CARGO_TARGET_DIR="$BENCH" cargo run --release --quiet -p "$package" --bin "$program" -- --write "$ROOT/docs/$document" "$@"
