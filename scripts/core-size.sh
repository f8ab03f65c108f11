#!/usr/bin/env bash
# How much the core, with the session model, adds to a wasm build, before compression. Fails above 60 KB.
source "$(dirname "$0")/lib.sh"

LIMIT=60000

cd "$ROOT"
"$ROOT/scripts/page-tools.sh"
"$ROOT/scripts/wasm-target.sh"
cargo build --quiet -p tachograph-core --profile page --config 'profile.page.strip=true' \
  --target wasm32-unknown-unknown --example size_with --example size_without
# As the page is built: by wasm-opt too.
bytes_of() {
  local built="$CARGO_TARGET_DIR/wasm32-unknown-unknown/page/examples/size_$1.wasm"
  wasm-opt -Oz --enable-bulk-memory --enable-mutable-globals --enable-nontrapping-float-to-int \
    --enable-sign-ext "$built" -o "$built.opt"
  stat -c %s "$built.opt"
}
with=$(bytes_of with)
without=$(bytes_of without)
say "the core adds $((with - without)) bytes to a wasm build of $without (limit $LIMIT)"
[ $((with - without)) -le "$LIMIT" ] || die "the core is too large"
