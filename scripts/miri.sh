#!/usr/bin/env bash
# Runs the core's unit tests of its memory under miri, where the toolchain has it; says so where not.
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
if cargo miri --version >/dev/null 2>&1; then
  say "core's memory under miri"
  cargo miri test -p tachograph-core --features std --lib
else
  say "NOT RUN: miri is not part of this toolchain ($(rustc --version)); it comes with a nightly one"
fi
