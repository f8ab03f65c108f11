#!/usr/bin/env bash
# Formatting, clippy per package and target, and documentation, each with warnings denied.
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
say "formatting"
cargo fmt --all --check
say "clippy"
for package in tachograph-core microcontroller tachograph-web tachograph-tests; do
  cargo clippy --quiet -p "$package" --all-targets -- -D warnings
done
cargo clippy --quiet -p tachograph --all-features --all-targets -- -D warnings
# Each feature by itself, as an application may choose it.
for feature in "" ui live prometheus otlp metrics tracing process runtime; do
  cargo clippy --quiet -p tachograph --lib --no-default-features --features "$feature" -- -D warnings
done
cargo clippy --quiet -p tachograph-core --features std --all-targets -- -D warnings
cargo clippy --quiet -p tachograph-core --all-features --all-targets --target wasm32-unknown-unknown -- -D warnings
for package in tachograph-web wasm-streams; do
  cargo clippy --quiet -p "$package" --all-features --target wasm32-unknown-unknown -- -D warnings
done
(cd bench && cargo fmt --all --check)
(cd fuzz && cargo fmt --check)
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps -p tachograph-core -p tachograph --all-features --lib
say "scripts"
for script in scripts/*.sh; do bash -n "$script"; done
for script in scripts/*.mjs; do node --check "$script"; done
