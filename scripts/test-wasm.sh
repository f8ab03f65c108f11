#!/usr/bin/env bash
# Runs the core's test suite in headless wasm: in Node, then in Chromium.
source "$(dirname "$0")/lib.sh"

"$ROOT/scripts/wasm-target.sh"
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=wasm-bindgen-test-runner
SUITE=(cargo test -p tachograph-core --features wasm --target wasm32-unknown-unknown --test suite)

cd "$ROOT"
say "core in wasm, in Node"
"${SUITE[@]}"
say "core in wasm, in Chromium"
CHROMEDRIVER=$(command -v chromedriver) WASM_BINDGEN_USE_BROWSER=1 "${SUITE[@]}"
