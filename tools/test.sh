# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The verb "test" of ./dev, which reads this file: C tests under sanitizers, then whole processes.

RESULTS=$ROOT/build/results

# A report of a sanitizer must end the test, not stand in a log that nobody reads.
export ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions=$ROOT/tools/tsan.supp"
export LSAN_OPTIONS="suppressions=$ROOT/tools/lsan.supp:print_suppressions=0"

# meson_tests DIRECTORY TITLE FILTER [OPTION…]: failures are counted later, not here.
meson_tests() {
    dir=$1
    title=$2
    filter=$3
    shift 3
    names=$(meson test -C "$ROOT/build/$dir" --list "$@" 2>/dev/null |
        sed -n 's|.* / ||; s|^\([^ ]*/[^ ]*\)$|\1|p' | grep -F -e "$filter" || true)
    [ -n "$names" ] || return 0
    # shellcheck disable=SC2086 # a list of words
    step "$title" "$(basename "${dir%/build}")-test" $RUNNER meson test -C "$ROOT/build/$dir" \
        --print-errorlogs --num-processes "$JOBS" "$@" $names || true
    result=${dir%/build}
    cp "$ROOT/build/$dir/meson-logs/testlog.json" "$RESULTS/${result#cross-}.json" 2>/dev/null || true
}

# ThreadSanitizer needs an address space laid out as it expects; some kernels randomise too much.
tsan_runner() {
    printf 'int main(void) { return 0; }\n' >"$LOGS/tsan-probe.c"
    "${CC:-cc}" -fsanitize=thread -o "$LOGS/tsan-probe" "$LOGS/tsan-probe.c" 2>/dev/null || return 1
    "$LOGS/tsan-probe" 2>/dev/null && return 0
    RUNNER="setarch -R"
    $RUNNER "$LOGS/tsan-probe" 2>/dev/null
}

thread_tests() {
    if ! tsan_runner; then
        printf '{"skipped": "ThreadSanitizer does not run on this machine"}\n' >"$RESULTS/tsan.json"
        return 0
    fi
    configure tsan "with ThreadSanitizer" --buildtype=debugoptimized -Db_sanitize=thread \
        -Db_lundef=false
    meson_tests tsan "tests with threads, under ThreadSanitizer" "$1" --suite threads
    step "compiling the programs with ThreadSanitizer" tsan-compile ninja -C "$ROOT/build/tsan" \
        -j "$JOBS" src/hub/gemel-hub src/agent/gemel-agent src/cli/gemel
    say "whole processes under ThreadSanitizer ..."
    node_tests tsan "$1" \
        scenario/mqtt-misbehaviour scenario/hub-killed scenario/agent-killed || true
}

# The agent for the architectures of small devices, its tests and then the whole program under
# user-mode emulation. (Suite "kernel": tests of what the emulation does not offer.)
cross_tests() {
    { meson test -C "$ROOT/build/asan" --list 2>/dev/null && echo scenario/agent-on-arm; } |
        grep -q -F -e "$1" || return 0
    for arch in arm64 armhf; do
        status=0
        step "building the agent for $arch" "cross-$arch" sh "$ROOT/tools/cross.sh" \
            "$ROOT/build/cross-$arch" "$arch" --buildtype=debugoptimized || status=$?
        if [ "$status" = 77 ]; then
            printf '{"skipped": "the libraries for %s cannot be fetched"}\n' "$arch" >"$RESULTS/$arch.json"
        elif [ "$status" != 0 ]; then
            printf '{"name": "the agent for %s is built", "result": "FAIL", "returncode": %s}\n' \
                "$arch" "$status" >"$RESULTS/$arch.json"
        else
            meson_tests "cross-$arch/build" "its tests under emulation" "$1" --no-suite kernel
        fi
    done
}

# The packages that scenario/packages installs on a machine of its own, which only root can make.
package_build() {
    test_name=scenario/packages
    case $test_name in
    *"$1"*) ;;
    *) return 0 ;;
    esac
    [ "$(id -u)" = 0 ] || return 0
    step "building the Debian packages" package sh "$ROOT/tools/package.sh" "$ROOT/build/packages" || true
    export GEMEL_PACKAGES="$ROOT/build/packages"
}

# node_tests BUILD FILTER [FILE…]: whole processes run in a network of their own where that is
# allowed: they get the ports 443 and 8883 and meet nothing else that runs here.
node_tests() {
    dir=$1
    shift
    set -- "$ROOT/test/harness/run.mjs" "$ROOT/build/$dir" "$RESULTS/node-$dir.json" "$@"
    if unshare -nm true 2>/dev/null; then
        own="unshare -nm"
    elif unshare -rnm true 2>/dev/null; then
        own="unshare -rnm"
    else
        # shellcheck disable=SC2086 # a list of words, or none
        $RUNNER node "$@"
        return
    fi
    # shellcheck disable=SC2016,SC2086 # the inner shell expands; lists of words
    $RUNNER $own sh -c 'ip link set lo up && GEMEL_OWN_NETWORK=1 exec node "$@"' sh "$@"
}

run_tests() {
    filter=${1:-}
    RUNNER=
    rm -rf "$RESULTS"
    mkdir -p "$RESULTS" "$LOGS"
    # What does not compile is a failure that the last line counts, too.
    if ! build_in asan "with AddressSanitizer and UBSan" --buildtype=debug -Doptimization=1 \
        -Db_sanitize=address,undefined -Db_lundef=false; then
        echo "0 passed, 1 failed, 0 skipped"
        return 1
    fi
    meson_tests asan "unit, contract and fuzz-corpus tests" "$filter"
    cross_tests "$filter"
    package_build "$filter"
    say "scenario and conformance tests ..."
    node_tests asan "$filter" || true
    if [ -z "$filter" ]; then
        node "$ROOT/test/harness/conformance-report.mjs" "$RESULTS/node-asan.json" || true
    fi
    thread_tests "$filter"
    node "$ROOT/test/harness/tally.mjs" "$RESULTS"
}
