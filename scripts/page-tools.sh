#!/usr/bin/env bash
# Installs what building the page needs and is not there yet, into .tools:
# the standard library's source, wasm-bindgen, trunk, wasm-opt and esbuild, each at the version
# Cargo.toml states.
source "$(dirname "$0")/lib.sh"

command -v cargo >/dev/null || die "cargo is missing; install Rust with rustup first"
command -v npm >/dev/null || die "npm is missing; install Node 20 or later first"
mkdir -p "$TOOLS"

# Is this version of the tool on the PATH?
has() { command -v "$1" >/dev/null && "$1" --version 2>/dev/null | grep -qE "(^|[ v_])${2//./\\.}([^0-9.]|\$)"; }

# Tools are built for a short wait: unoptimised, except the parts that chew through wasm.
install_crate() {
  local name=$1 version=$2; shift 2
  local hot=()
  for package in walrus wasmparser wasm-encoder gimli wasm-bindgen-cli-support; do
    hot+=(--config "profile.dev.package.$package.opt-level=2")
  done
  CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_INCREMENTAL=false CARGO_TARGET_DIR="$TOOLS/build" \
    quietly "$name" cargo install "$name@$version" --debug --root "$TOOLS" --force "${hot[@]}" "$@"
}

"$ROOT/scripts/rust-src.sh"

version=$(wasm_bindgen_version)
[ -n "$version" ] || die "Cargo.toml does not pin wasm-bindgen"
if ! has wasm-bindgen "$version" || ! has wasm-bindgen-test-runner "$version"; then
  say "wasm-bindgen $version (about 3 minutes)"
  install_crate wasm-bindgen-cli "$version"
fi

version=$(tool_version trunk)
if ! has trunk "$version"; then
  say "trunk $version (about 3 minutes)"
  install_crate trunk "$version" --locked --no-default-features
fi
rm -rf "$TOOLS/build"

version=$(tool_version binaryen)
if ! has wasm-opt "${version%%.*}"; then
  say "wasm-opt ${version%%.*} (a few seconds)"
  install_npm binaryen "$version"
fi

version=$(tool_version esbuild)
if ! has_npm esbuild "$version"; then
  say "esbuild $version (a few seconds)"
  install_npm esbuild "$version"
fi
