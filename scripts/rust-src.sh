#!/usr/bin/env bash
# Puts the standard library's source, of exactly the compiler's version, where -Zbuild-std looks.
# Tries the rustup component first, then Debian's package of the same version.
source "$(dirname "$0")/lib.sh"

SYSROOT=$(rustc --print sysroot)
LIBRARY="$SYSROOT/lib/rustlib/src/rust/library"
VERSION=$(rustc --version | cut -d' ' -f2)

from_rustup() {
  command -v rustup >/dev/null && timeout 60 rustup component add rust-src >/dev/null 2>&1
}

# A private apt configuration reads one more suite and leaves the system's own alone.
from_debian() {
  local system suite
  system=$(ls /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
  [ -n "$system" ] || return 1
  for suite in trixie-backports trixie; do
    if from_suite "$system" "$suite"; then return 0; fi
  done
  return 1
}

# Inside a condition `set -e` is off: each step names the next.
from_suite() {
  local system=$1 suite=$2 work="$TOOLS/apt" package
  local stanza="$work/$suite.sources"
  rm -rf "$work" && mkdir -p "$work/lists/partial" "$work/cache/archives/partial" || return 1
  awk -v suite="$suite" '/^$/ && seen {exit} {seen=1} /^Suites:/ {$0="Suites: " suite} {print}' "$system" >"$stanza"
  local options=(-o "Dir::Etc::sourcelist=$stanza" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache")
  apt-get "${options[@]}" update -qq 2>/dev/null || return 1
  package=$(apt-cache "${options[@]}" madison rust-src | awk -v v="$VERSION" '$3 ~ "^"v"[+-]" {print $3; exit}')
  [ -n "$package" ] || return 1
  (cd "$work" && apt-get "${options[@]}" download "rust-src=$package" -qq 2>/dev/null) \
    && dpkg -x "$work"/rust-src_*.deb "$work/root" \
    && rm -rf "$LIBRARY" "$LIBRARY.new" \
    && mkdir -p "$(dirname "$LIBRARY")" \
    && cp -r "$work/root/usr/src/rustc-$VERSION/library" "$LIBRARY.new" \
    && mv "$LIBRARY.new" "$LIBRARY" \
    && rm -rf "$work"
}

present() { [ -f "$LIBRARY/Cargo.lock" ]; }

if ! present; then
  say "standard library source for rustc $VERSION (45 MB, about 20 s)"
  { from_rustup && present; } || { from_debian && present; } \
    || die "no source of the standard library for rustc $VERSION; add it with: rustup component add rust-src"
fi
