#!/usr/bin/env bash
# Fuzzes the readers of bytes from outside, each target for so many seconds (60 unless told), on the stable toolchain:
#
#   fuzz/run.sh [SECONDS [TARGET…]]
#
# Needs a C++ compiler for libFuzzer; neither clang nor cargo-fuzz. What was found is left in fuzz/artifacts, and the
# program's last lines say how to repeat it; what was learned stays in fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- json protobuf recordio resources

# Coverage for libFuzzer, as cargo-fuzz asks for it; no address sanitizer: the readers are safe code.
export RUSTFLAGS="--cfg fuzzing -Cdebug-assertions -Ccodegen-units=16 -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
host=$(rustc -vV | sed -n 's/^host: //p')
# With a target named the flags are not for build scripts, which could not be linked with them.
[ -e Cargo.lock ] || cp ../Cargo.lock .
cargo build --target "$host" --bins

for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    echo "== $target, $seconds s"
    "target/$host/debug/$target" "corpus/$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 -artifact_prefix="artifacts/$target/"
done
