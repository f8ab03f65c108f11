#!/usr/bin/env bash
# Licences, bans and sources of all dependencies; advisories where their database can be fetched.
source "$(dirname "$0")/lib.sh"

# A fetch that hangs must not keep whoever waits.
FETCH_SECONDS_MAX=60

version=$(tool_version cargo-deny)
if [ "$(cargo-deny --version 2>/dev/null | awk '{print $NF}')" != "$version" ]; then
  say "cargo-deny $version (about 4 minutes)"
  # Unoptimised: it is built in half the time, and runs for a second.
  quietly cargo-deny cargo install cargo-deny --version "$version" --locked --debug --root "$TOOLS" --force
fi

cd "$ROOT"
say "licences, bans and sources of dependencies"
for manifest in Cargo.toml bench/Cargo.toml fuzz/Cargo.toml; do
  cargo-deny --manifest-path "$manifest" --config "$ROOT/deny.toml" --log-level error check licenses bans sources
done
say "advisories"
if timeout "$FETCH_SECONDS_MAX" cargo-deny --log-level error fetch db >/dev/null 2>&1; then
  cargo-deny --log-level error check --disable-fetch advisories
else
  say "NOT RUN: the database of advisories cannot be fetched from here"
fi
