#!/usr/bin/env bash
# Runs a command that may take long: says so first, unless it has nothing to do.
# Usage: step.sh "what, and about how long" COMMAND…
source "$(dirname "$0")/lib.sh"

say "$1"
shift
exec "$@"
