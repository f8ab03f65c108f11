#!/usr/bin/env bash
# Installs what counting instructions needs: valgrind, and gungraun's runner of exactly its version. With `page`
# as the argument what the page's benchmark needs instead: uPlot, of the version that bench/Cargo.toml states.
source "$(dirname "$0")/lib.sh"

if [ "${1:-}" = page ]; then
  version=$(sed -n 's/^uplot = "\(.*\)"/\1/p' "$ROOT/bench/Cargo.toml")
  if ! has_npm uplot "$version"; then
    say "uPlot $version, which the page's charts are measured beside (a few seconds)"
    install_npm uplot "$version"
  fi
  exit
fi

if ! command -v valgrind >/dev/null; then
  say "valgrind (about 20 s)"
  apt_install valgrind libc6-dbg
fi

version=$(sed -n '/^name = "gungraun"$/{n;s/version = "\(.*\)"/\1/p}' "$ROOT/bench/Cargo.lock")
if [ "$(gungraun-runner --version 2>/dev/null | awk '{print $NF}')" != "$version" ]; then
  say "gungraun-runner $version (about 5 minutes)"
  quietly gungraun cargo install gungraun-runner --version "$version" --locked --root "$TOOLS" --force
fi
