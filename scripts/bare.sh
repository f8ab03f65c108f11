#!/usr/bin/env bash
# Proves that the core needs no std: on wasm32, and on a bare target without an operating system.
# One package at a time: a build of the workspace would unify features and hide a leak.
source "$(dirname "$0")/lib.sh"

BARE=thumbv7em-none-eabihf

cd "$ROOT"
say "core for wasm32, and it and a device for $BARE"
cargo build -p tachograph-core --target wasm32-unknown-unknown
if compgen -G "$(rustc --print target-libdir --target "$BARE")/libcore-*.rlib" >/dev/null \
  || (command -v rustup >/dev/null && timeout 60 rustup target add "$BARE" >/dev/null 2>&1); then
  bare=()
else
  "$ROOT/scripts/rust-src.sh"
  export RUSTC_BOOTSTRAP=1
  bare=(-Zbuild-std=core,alloc)
fi
for package in tachograph-core microcontroller; do
  cargo build -p "$package" --lib --target "$BARE" "${bare[@]}"
done
