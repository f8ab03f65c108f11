#!/usr/bin/env bash
# Counts the instructions of the core's hot path under valgrind; fails where one takes more than its limit.
source "$(dirname "$0")/lib.sh"

"$ROOT/scripts/bench-tools.sh"
cd "$ROOT/bench"
say "instructions of the hot path (about 2 minutes the first time)"
CARGO_TARGET_DIR="$CARGO_TARGET_DIR/bench" cargo bench --quiet --bench instructions
