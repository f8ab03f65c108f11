#!/usr/bin/env bash
# Builds the page into dist/, unless nothing it is made of has changed since.
source "$(dirname "$0")/lib.sh"

STAMP="$ROOT/dist/.built"

changed() {
  [ ! -f "$STAMP" ] || [ -n "$(find "$ROOT/web" "$ROOT/core/src" "$ROOT/core/Cargo.toml" "$ROOT/Cargo.toml" \
    "$ROOT/Cargo.lock" "$ROOT/index.html" "$ROOT/Trunk.toml" "$ROOT/scripts/page-size.mjs" -newer "$STAMP" -print -quit)" ]
}

if changed; then
  say "page (about 2 minutes the first time)"
  cd "$ROOT"
  # What is saved while the page is being built counts as changed after it.
  mkdir -p "$TOOLS" && touch "$TOOLS/page-begun"
  # trunk reads NO_COLOR as a flag of its own and stops at its usual value.
  env -u NO_COLOR trunk build --offline --quiet
  mv "$TOOLS/page-begun" "$STAMP"
fi
