#!/usr/bin/env bash
# Installs what counting instructions needs: valgrind, and gungraun's runner of exactly its version.
source "$(dirname "$0")/lib.sh"

if ! command -v valgrind >/dev/null; then
  say "valgrind (about 20 s)"
  apt_install valgrind libc6-dbg
fi

version=$(sed -n '/^name = "gungraun"$/{n;s/version = "\(.*\)"/\1/p}' "$ROOT/bench/Cargo.lock")
if [ "$(gungraun-runner --version 2>/dev/null | awk '{print $NF}')" != "$version" ]; then
  say "gungraun-runner $version (about 5 minutes)"
  quietly gungraun cargo install gungraun-runner --version "$version" --locked --root "$TOOLS" --force
fi
