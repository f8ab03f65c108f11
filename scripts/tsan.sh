#!/usr/bin/env bash
# Runs the core's threaded tests under ThreadSanitizer, with a standard library built for it.
source "$(dirname "$0")/lib.sh"

HOST=$(rustc -vV | sed -n 's/^host: //p')

cd "$ROOT"
"$ROOT/scripts/rust-src.sh"
say "core's threads under ThreadSanitizer (about 3 minutes the first time)"
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread" CARGO_TARGET_DIR="$CARGO_TARGET_DIR/tsan" \
  cargo test --release -p tachograph-core --features std --target "$HOST" -Zbuild-std --test threads
