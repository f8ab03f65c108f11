#!/usr/bin/env bash
# Tries every interleaving of the core's threads: hand-over of slabs, thread exit, snapshot.
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
say "core under loom (about a minute the first time)"
# A corner of its own in the target folder: the flag would have everything else built anew.
RUSTFLAGS="--cfg model_check" CARGO_TARGET_DIR="$CARGO_TARGET_DIR/loom" \
  cargo test --release -p tachograph-core --features std --lib
