#!/usr/bin/env bash
# Runs a command that may take long, and says so first.
# Usage: step.sh "what, and about how long" COMMAND…
source "$(dirname "$0")/lib.sh"

say "$1"
shift
exec "$@"
