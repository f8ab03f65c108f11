#!/usr/bin/env bash
# Makes the pictures of the documents, docs/pictures, from a rehearsal: the same page gives the same
# pictures, but for the fonts and the browser of the machine.
source "$(dirname "$0")/lib.sh"

"$ROOT/scripts/test-tools.sh"

if ! command -v pngquant >/dev/null; then
  say "pngquant, which makes the pictures small (a few seconds)"
  apt_install pngquant
fi

say "pictures (about 1 minute)"
cd "$ROOT"
taken=$(mktemp -d)
trap 'rm -rf "$taken"' EXIT
cargo run --quiet -p tachograph-tests --bin pictures "$taken"
mkdir -p docs/pictures
rm -f docs/pictures/*.png
for picture in "$taken"/*.png; do
  pngquant --strip --speed 1 --output "docs/pictures/$(basename "$picture")" 128 "$picture"
done
