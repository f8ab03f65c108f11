# Shared by the scripts beside it: where things are, which versions, how to say what goes on.
# Source it; it runs nothing.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOLS="$ROOT/.tools"
export PATH="$TOOLS/bin:$TOOLS/binaryen/node_modules/.bin:$PATH"
# The Makefile and the tests look for the program there.
export CARGO_TARGET_DIR="$ROOT/target"

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The version of a tool, from the one place that states it: Cargo.toml.
tool_version() {
  sed -n "/^\[workspace.metadata.tools\]/,/^\[/s/^$1 = \"\(.*\)\"/\1/p" "$ROOT/Cargo.toml"
}

# wasm-bindgen's tool must be of exactly the library's version, which is pinned.
wasm_bindgen_version() {
  sed -n 's/^wasm-bindgen = .*version = "=\([0-9.]*\)".*/\1/p' "$ROOT/Cargo.toml"
}

# Runs a command as root: apt needs it.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "root is needed for: $*"; fi
}

apt_install() {
  command -v apt-get >/dev/null || die "install by hand, then try again: $*"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Unpacks Debian packages into a folder, without what they depend on and without installing them.
apt_unpack() {
  local folder=$1 package; shift
  command -v apt-get >/dev/null || die "put these on the PATH by hand, then try again: $*"
  as_root apt-get update -qq
  mkdir -p "$folder" "$TOOLS/download"
  (cd "$TOOLS/download" && apt-get download -qq "$@" 2>/dev/null) || die "apt-get could not download: $*"
  for package in "$@"; do dpkg -x "$TOOLS/download/$package"_*.deb "$folder"; done
  rm -r "$TOOLS/download"
}

# npm packages live apart, each in .tools/NAME (axe-core's in .tools/axe).
npm_folder() { printf '%s/%s' "$TOOLS" "${1%-core}"; }

# Is this version of the npm package installed?
has_npm() { grep -qs "\"version\": \"$2\"" "$(npm_folder "$1")/node_modules/$1/package.json"; }

install_npm() {
  quietly "$1" npm install --prefix "$(npm_folder "$1")" --no-audit --no-fund --no-save "$1@$2"
}

# Runs a command with its output in a log; shows the log's end only when it fails.
quietly() {
  local log="$TOOLS/log/$1.log"; shift
  mkdir -p "$TOOLS/log"
  "$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "failed: $* (whole log: $log)"; }
}
