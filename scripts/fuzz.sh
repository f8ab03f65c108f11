#!/usr/bin/env bash
# Fuzzes each target for so many seconds (60 if not said). What it finds stays in fuzz/artifacts; what it learns, in
# target/fuzz-corpus. Writes what each did to target/fuzz.jsonl, an object a line.
#
# With RECORD=1 the run is written into docs/reliability.md, too. With KEEP=1 nothing is fuzzed: of what was learnt
# the fewest inputs that reach as much are kept in fuzz/corpus, which the core's tests replay.
source "$(dirname "$0")/lib.sh"

# All, or those that are named: make fuzz TARGETS="listener exposition".
read -ra TARGETS <<<"${TARGETS:-frames round_trip listener exposition}"
# An input of the frames' reader is a stream; the others are choices, of which few are enough.
declare -A LENGTH_MAX=([frames]=65536 [round_trip]=65536)
# Kept inputs are small and few, so that the tests are quick.
KEPT_LENGTH_MAX=1024
KEPT_MAX=60

SECONDS_EACH=${1:-60}
HOST=$(rustc -vV | sed -n 's/^host: //p')
SUMMARY="$ROOT/target/fuzz.jsonl"
RECORD_IN="$ROOT/docs/reliability.md"

install_what_is_missing() {
  if ! command -v g++ >/dev/null; then
    say "g++, for libFuzzer (about 20 s)"
    apt_install g++
  fi
  local version
  version=$(tool_version cargo-fuzz)
  if [ "$(cargo-fuzz --version 2>/dev/null | awk '{print $NF}')" != "$version" ]; then
    say "cargo-fuzz $version (about 2 minutes)"
    quietly cargo-fuzz cargo install cargo-fuzz --version "$version" --locked --root "$TOOLS" --force
  fi
}

# What is fuzzed has no unsafe code but in the registry's memory, which miri and ThreadSanitizer watch: a sanitizer
# would find nothing here and take most of the time.
build() {
  say "fuzz targets (the first build takes about 2 minutes)"
  quietly fuzz-build cargo fuzz build --fuzz-dir . --sanitizer none --target "$HOST"
}

program() { printf '%s/%s/release/%s' "$CARGO_TARGET_DIR" "$HOST" "$1"; }
learned() { printf '%s/target/fuzz-corpus/%s' "$ROOT" "$1"; }

# A figure that libFuzzer prints at its end; 0 where it did not come to it.
figure() { sed -n "s/^stat::$2: *//p" "$1" | tail -n 1 | grep . || echo 0; }

fuzz() {
  local target=$1 log="$TOOLS/log/fuzz-$1.log" artifacts="artifacts/$1" began=$SECONDS findings
  say "fuzzing $target for $SECONDS_EACH s"
  rm -rf "$artifacts"
  mkdir -p "$(learned "$target")" "$artifacts"
  # It ends at what it finds.
  "$(program "$target")" -artifact_prefix="$artifacts/" -max_total_time="$SECONDS_EACH" -timeout=20 \
    -max_len="${LENGTH_MAX[$target]:-4096}" -print_final_stats=1 "$(learned "$target")" "corpus/$target" 2>"$log" \
    || tail -n 40 "$log" >&2
  findings=$(find "$artifacts" -type f | wc -l)
  printf '{"target":"%s","seconds":%d,"executions":%d,"executions_per_second":%d,"peak_rss_mb":%d,"findings":%d}\n' \
    "$target" $((SECONDS - began)) "$(figure "$log" number_of_executed_units)" \
    "$(figure "$log" average_exec_per_sec)" "$(figure "$log" peak_rss_mb)" "$findings" | tee -a "$SUMMARY"
}

# Puts the summary as a table between the document's two marks.
record() {
  local begin='<!-- fuzz:begin, written by make fuzz RECORD=1 -->' end='<!-- fuzz:end -->' table
  [ -e "$RECORD_IN" ] || printf '# Reliability\n' >"$RECORD_IN"
  grep -qF "$begin" "$RECORD_IN" || printf '\n## Fuzzing\n\n%s\n%s\n' "$begin" "$end" >>"$RECORD_IN"
  table=$(mktemp)
  {
    printf 'Run of %s, one process at a time:\n\n' "$(date -u +%Y-%m-%d)"
    printf '| target | seconds | executions | a second | memory, MB | findings |\n| --- | ---: | ---: | ---: | ---: | ---: |\n'
    sed -E 's/^\{"target":"([^"]*)"(.*)\}$/| \1\2 |/; s/,"[a-z_]+":/ | /g' "$SUMMARY"
  } >"$table"
  awk -v begin="$begin" -v end="$end" -v table="$table" '
    $0 == end { within = 0 }
    !within { print }
    $0 == begin { within = 1; while ((getline line < table) > 0) print line }
  ' "$RECORD_IN" >"$table.whole"
  cat "$table.whole" >"$RECORD_IN"
  rm "$table" "$table.whole"
}

# The fewest inputs that reach every edge that was reached; of too many the longest, which reach most.
keep() {
  local target=$1 kept input
  kept=$(mktemp -d)
  mkdir -p "$(learned "$target")"
  "$(program "$target")" -set_cover_merge=1 -use_counters=0 -use_value_profile=0 -max_len="$KEPT_LENGTH_MAX" \
    "$kept" "corpus/$target" "$(learned "$target")" 2>"$TOOLS/log/fuzz-keep-$target.log" \
    || die "what $target learnt cannot be merged: $TOOLS/log/fuzz-keep-$target.log"
  # Those with a name of their own were written by hand, or found something once.
  find "corpus/$target" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
  find "$kept" -type f -printf '%s %p\n' | sort -rn | head -n "$KEPT_MAX" | while read -r _ input; do
    cp -n "$input" "corpus/$target/"
  done
  rm -r "$kept"
  say "$target keeps $(find "corpus/$target" -type f | wc -l) inputs of $(du -sb "corpus/$target" | cut -f1) bytes"
}

install_what_is_missing
mkdir -p "$TOOLS/log"
# cargo-fuzz gives the compiler flags that a stable one refuses without this.
export RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR="$CARGO_TARGET_DIR/fuzz"
cd "$ROOT/fuzz"
build
if [ "${KEEP:-}" = 1 ]; then
  for target in "${TARGETS[@]}"; do keep "$target"; done
  exit
fi
: >"$SUMMARY"
for target in "${TARGETS[@]}"; do fuzz "$target"; done
[ "${RECORD:-}" != 1 ] || record
! grep -qv '"findings":0}' "$SUMMARY" || die "fuzzing found something: see fuzz/artifacts"
