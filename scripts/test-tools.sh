#!/usr/bin/env bash
# Installs what only the tests need: Chromium with its driver, the WebSocket client in another
# language that speaks the protocol to the server, and the rules of accessibility.
source "$(dirname "$0")/lib.sh"

"$ROOT/scripts/page-tools.sh"

if ! command -v chromedriver >/dev/null || ! command -v chromium >/dev/null; then
  say "Chromium and ChromeDriver (about 1 minute)"
  apt_install chromium chromium-driver
fi

version=$(tool_version ws)
if ! has_npm ws "$version"; then
  say "ws $version, a WebSocket client for Node (a few seconds)"
  install_npm ws "$version"
fi

version=$(tool_version axe-core)
if ! has_npm axe-core "$version"; then
  say "axe-core $version, which the browser tests run on the page (a few seconds)"
  install_npm axe-core "$version"
fi
