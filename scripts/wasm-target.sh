#!/usr/bin/env bash
# Makes `cargo build --target wasm32-unknown-unknown` work: by rustup, else by building the
# target's standard library from its source and placing it in the toolchain.
source "$(dirname "$0")/lib.sh"

TARGET=wasm32-unknown-unknown
LIBDIR=$(rustc --print target-libdir --target "$TARGET")

present() { compgen -G "$LIBDIR/libcore-*.rlib" >/dev/null; }

from_rustup() {
  command -v rustup >/dev/null || return 1
  say "wasm target by rustup (at most 1 minute)"
  timeout 60 rustup target add "$TARGET" >/dev/null 2>&1 && present
}

from_source() {
  "$ROOT/scripts/rust-src.sh"
  say "wasm target from source (about 1 minute)"
  local empty="$TOOLS/empty-crate"
  rm -rf "$empty" && mkdir -p "$empty/src"
  printf '[package]\nname = "empty_crate"\nedition = "2021"\n[workspace]\n' >"$empty/Cargo.toml"
  : >"$empty/src/lib.rs"
  # Bitcode is what a later link with fat LTO needs.
  (cd "$empty" && CARGO_TARGET_DIR="$empty/target" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
    quietly wasm-target cargo build --release -Zbuild-std=std,panic_abort,test --target "$TARGET")
  rm -f "$empty/target/$TARGET/release/deps/"libempty_crate-*
  # Whole or not at all: half a standard library would pass for one.
  rm -rf "$LIBDIR" "$LIBDIR.new" && mkdir -p "$LIBDIR.new"
  cp "$empty/target/$TARGET/release/deps/"*.rlib "$LIBDIR.new/"
  mv "$LIBDIR.new" "$LIBDIR"
  # Cargo does not notice that the standard library changed.
  rm -rf "$empty" "$CARGO_TARGET_DIR/$TARGET"
}

present || from_rustup || from_source
