#!/usr/bin/env bash
# Another language's client speaks the protocol to the built program. The longest case, overload and
# recovery, takes about 4 minutes; the others run beside it.
source "$(dirname "$0")/lib.sh"

cd "$ROOT"
say "protocol tests with a client in Node (about 4 minutes)"
node --test --test-concurrency=16 --test-reporter=spec tests/protocol/*.test.mjs
