#!/usr/bin/env bash
# Builds the page into server/dist/, small, unless nothing it is made of has changed since.
source "$(dirname "$0")/lib.sh"

STAMP="$ROOT/server/dist/.built"
TARGET=wasm32-unknown-unknown
INPUTS=(web core/src core/Cargo.toml Cargo.toml Cargo.lock index.html Trunk.toml
  scripts/page.sh scripts/page-pack.mjs scripts/wasm-names.mjs scripts/lib.sh)

changed() {
  [ ! -f "$STAMP" ] || [ -n "$(cd "$ROOT" && find "${INPUTS[@]}" -newer "$STAMP" -print -quit)" ]
}

# The standard library is built along with the page: without the machinery of panics, which become
# traps, and for size, the first load is a sixth smaller. There is no fallback to the library that
# comes with the compiler: that page would pass no limit of this one, and its panics would differ.
# The settings reach cargo through trunk, and only this build.
with_own_std() {
  env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS \
    RUSTC_BOOTSTRAP=1 \
    CARGO_UNSTABLE_BUILD_STD=std,panic_abort \
    CARGO_UNSTABLE_BUILD_STD_FEATURES=optimize_for_size \
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-Zunstable-options -Cpanic=immediate-abort" \
    "$@"
}

if changed; then
  RUSTC_BOOTSTRAP=1 rustc -Zunstable-options -Cpanic=immediate-abort --print cfg >/dev/null 2>&1 \
    || die "$(rustc --version) cannot build the page, it has no -Cpanic=immediate-abort; update it with: rustup update"
  say "page (about 2 minutes the first time)"
  cd "$ROOT"
  # What is saved while the page is being built counts as changed after it.
  mkdir -p "$TOOLS" && touch "$TOOLS/page-begun"
  # Trunk fetches only the page's own dependencies, not those of the standard library.
  with_own_std cargo fetch --quiet --target "$TARGET" --target "$(rustc --print host-tuple)"
  # trunk reads NO_COLOR as a flag of its own and stops at its usual value.
  with_own_std env -u NO_COLOR trunk build --release --offline --quiet
  mv "$TOOLS/page-begun" "$STAMP"
fi
