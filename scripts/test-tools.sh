#!/usr/bin/env bash
# Installs what only the tests need: Chromium with its driver, the WebSocket client in another
# language that speaks the protocol to the server, the rules of accessibility, and those who scrape metrics
# or have them pushed.
source "$(dirname "$0")/lib.sh"

"$ROOT/scripts/page-tools.sh"

if ! command -v chromedriver >/dev/null || ! command -v chromium >/dev/null; then
  say "Chromium and ChromeDriver (about 1 minute)"
  apt_install chromium chromium-driver
fi

if ! command -v systemd-analyze >/dev/null; then
  say "systemd, whose systemd-analyze reads the unit in packaging/ (about 30 seconds)"
  apt_install systemd
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

# Unpacked, not installed: nothing begins to serve on this machine.
if ! [ -x "$TOOLS/scrapers/usr/bin/prometheus" ] || ! [ -x "$TOOLS/scrapers/usr/bin/victoria-metrics" ]; then
  say "Prometheus and VictoriaMetrics, which scrape the server (about 30 seconds)"
  apt_unpack "$TOOLS/scrapers" prometheus victoria-metrics
fi

if ! compgen -G "$TOOLS/faketime/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null; then
  say "libfaketime, with which tests step a process's clock (a few seconds)"
  apt_unpack "$TOOLS/faketime" libfaketime
fi

# Is this version of the Python package installed?
has_python() { compgen -G "$TOOLS/python/lib/python3*/site-packages/$1-$2.dist-info" >/dev/null; }

# Those of Python, in an environment of their own.
install_python() {
  [ -x "$TOOLS/python/bin/pip" ] || python3 -m venv "$TOOLS/python" >/dev/null 2>&1 ||
    { apt_install python3-venv; python3 -m venv "$TOOLS/python"; }
  quietly "$1" "$TOOLS/python/bin/pip" install --quiet "$1==$2"
}

version=$(tool_version prometheus-client)
if ! has_python prometheus_client "$version"; then
  say "prometheus-client $version, whose parsers read the metrics (a few seconds)"
  install_python prometheus-client "$version"
fi

version=$(tool_version opentelemetry-proto)
if ! has_python opentelemetry_proto "$version"; then
  say "opentelemetry-proto $version, which reads what is pushed (a few seconds)"
  install_python opentelemetry-proto "$version"
fi
