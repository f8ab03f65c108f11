#!/usr/bin/env bash
# Tries every interleaving of the core's threads: hand-over of slabs, thread exit, snapshot.
set -euo pipefail
cd "$(dirname "$0")/.."
# A target folder's own corner: the flag would rebuild everything else.
RUSTFLAGS="--cfg model_check" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom" \
    cargo test --release -p tachograph-core --features std --lib "$@"
