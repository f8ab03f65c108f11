#!/usr/bin/env bash
# Installs what only the tests need: Chromium with its driver, and the WebSocket client
# in another language that speaks the protocol to the server.
source "$(dirname "$0")/lib.sh"

"$ROOT/scripts/page-tools.sh"

if ! command -v chromedriver >/dev/null || ! command -v chromium >/dev/null; then
  say "Chromium and ChromeDriver (about 1 minute)"
  apt_install chromium chromium-driver
fi

version=$(tool_version ws)
if ! grep -qs "\"version\": \"$version\"" "$TOOLS/ws/node_modules/ws/package.json"; then
  say "ws $version, a WebSocket client for Node (a few seconds)"
  quietly ws npm install --prefix "$TOOLS/ws" --no-audit --no-fund --no-save "ws@$version"
fi
