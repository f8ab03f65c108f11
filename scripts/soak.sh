#!/usr/bin/env bash
# Soaks the built program for so many minutes (60 if not said) by a seed (a new one if not said), and writes what came
# out into docs/reliability.md when all is as it must be.
source "$(dirname "$0")/lib.sh"

minutes=${1:-60} seed=${2:-}
[ -x "${TACHOGRAPH_BIN:-$CARGO_TARGET_DIR/release/tachograph}" ] || die "the program is not there: make build"

cd "$ROOT"
say "soak of $minutes minutes, and 3 to warm up and settle"
cargo run --release --quiet -p tachograph-tests --bin soak -- --minutes "$minutes" ${seed:+--seed "$seed"} \
  --date "$(date -u +%F)" --write docs/reliability.md
