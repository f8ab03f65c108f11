#!/usr/bin/env bash
# Fuzzes the readers of the core's stream, each target for so many seconds (60 if not said). What it finds
# stays in fuzz/artifacts; what it learns, in target/fuzz-corpus.
source "$(dirname "$0")/lib.sh"

SECONDS_EACH=${1:-60}
HOST=$(rustc -vV | sed -n 's/^host: //p')

if ! command -v g++ >/dev/null; then
  say "g++, for libFuzzer (about 20 s)"
  apt_install g++
fi

version=$(tool_version cargo-fuzz)
if [ "$(cargo-fuzz --version 2>/dev/null | awk '{print $NF}')" != "$version" ]; then
  say "cargo-fuzz $version (about 2 minutes)"
  quietly cargo-fuzz cargo install cargo-fuzz --version "$version" --locked --root "$TOOLS" --force
fi

# cargo-fuzz gives the compiler flags that a stable one refuses without this.
export RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR="$CARGO_TARGET_DIR/fuzz"

cd "$ROOT/fuzz"
for target in frames round_trip; do
  say "fuzzing $target for $SECONDS_EACH s (the first build takes about 2 minutes)"
  learned="$ROOT/target/fuzz-corpus/$target"
  mkdir -p "$learned"
  # What reads has no unsafe code, so that a sanitizer would find nothing and take most of the time.
  cargo fuzz run "$target" --fuzz-dir . --sanitizer none --target "$HOST" "$learned" "corpus/$target" -- \
    -max_total_time="$SECONDS_EACH" -max_len=65536 -timeout=20 -print_final_stats=1 2>"$TOOLS/log/fuzz-$target.log" \
    || { tail -n 40 "$TOOLS/log/fuzz-$target.log" >&2; die "fuzzing $target found something: see fuzz/artifacts/$target"; }
  grep -E '^stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)' "$TOOLS/log/fuzz-$target.log" >&2
done
