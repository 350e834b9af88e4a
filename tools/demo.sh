#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ./dev demo: a hub and an agent on this machine, and a change on its way through both.
#
#   demo.sh BUILD-DIRECTORY [--once]
#
# Everything lives in one temporary folder and on free ports of the loopback interface, and is gone
# at the end. --once (or DEMO_ONCE=1) ends after the story, with 0 if it went as told.

# shellcheck disable=SC2317 # functions that are called by traps and by until_true
# shellcheck disable=SC2016 # $version and $metadata are names in JSON

set -eu

build=$1
once=${DEMO_ONCE:-}
[ "${2:-}" != --once ] || once=1
DEVICE=cooler-7
MODULE=DefenderIotMicroAgent

dir=$(mktemp -d "${TMPDIR:-/tmp}/gemel-demo.XXXXXX")
hub_pid=
agent_pid=

end() {
    trap - EXIT INT TERM
    for pid in $agent_pid $hub_pid; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap end EXIT
trap 'printf "\n"; say "stopping, and removing $dir"; exit 0' INT
trap 'exit 143' TERM

if [ -t 1 ]; then
    bold=$(printf '\033[1m')
    plain=$(printf '\033[0m')
else
    bold=
    plain=
fi
chapter() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$*"; }

fail() {
    printf '\ndemo: %s\n' "$*" >&2
    for log in hub agent; do
        [ ! -s "$dir/$log.log" ] || sed "s/^/  $log: /" "$dir/$log.log" | tail -n 15 >&2
    done
    exit 1
}

# until_true SECONDS WHAT COMMAND…
until_true() {
    tries=$(($1 * 10))
    what=$2
    shift 2
    while ! "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "this did not happen: $what"
        sleep 0.1
    done
}

gemel() { "$build/src/cli/gemel" "$@"; }

# field NAME <JSON: the text, number or object of the first member of that name, on one line.
field() {
    tr '\n' ' ' | sed -n 's/\\"/'"'"'/g; s/.*"'"$1"'" *: *\("[^"]*"\|{[^}]*}\|[^,} ]*\).*/\1/p' |
        sed 's/^"//; s/"$//'
}

twin() { gemel module-twin show -d $DEVICE -m $MODULE; }
# The reported section on one line, and the values of its settings, which come first in it.
reported() { twin | tr '\n' ' ' | sed 's/.*"reported" *: */"reported":/; s/"\$metadata".*//'; }

setting() { reported | sed 's/"latest_state".*//' | field "$1"; }

# ---- the hub ------------------------------------------------------------------------------------

chapter "1. A hub"
"$build/src/hub/gemel-hub" init --data-dir "$dir/hub" --output json >"$dir/init.json" 2>"$dir/hub.log" ||
    fail "gemel-hub init failed"
"$build/src/hub/gemel-hub" serve --data-dir "$dir/hub" --listen 127.0.0.1 --mqtt-port 0 \
    --https-port 0 >"$dir/hub.log" 2>&1 &
hub_pid=$!
hub_is_ready() { kill -0 "$hub_pid" 2>/dev/null && grep -q '^ready' "$dir/hub.log"; }
until_true 30 "the hub says that it is ready" hub_is_ready
mqtt_port=$(sed -n 's/^ready .*mqtts:[^ ]*:\([0-9]*\).*/\1/p' "$dir/hub.log")
https_port=$(sed -n 's/^ready .*https:[^ ]*:\([0-9]*\).*/\1/p' "$dir/hub.log")
owner=$(field connectionString <"$dir/init.json")
GEMEL_LOGIN="HostName=localhost:$https_port;${owner#*;}"
GEMEL_CA=$dir/hub/ca.pem
export GEMEL_LOGIN GEMEL_CA
say "gemel-hub keeps its data in $dir/hub, with a certificate authority of its own."
say "It serves MQTT over TLS on port $mqtt_port, REST over HTTPS on port $https_port."

# ---- the agent ----------------------------------------------------------------------------------

chapter "2. A device with its agent"
gemel device-identity create -d $DEVICE >/dev/null || fail "the device could not be created"
gemel module-identity create -d $DEVICE -m $MODULE >/dev/null || fail "the module could not be created"
mkdir "$dir/config" "$dir/state"
(
    umask 077
    gemel module-identity connection-string show -d $DEVICE -m $MODULE | field connectionString |
        sed "s/^HostName=[^;]*/HostName=localhost:$mqtt_port/" >"$dir/config/connection_string.txt"
)
cp "$dir/hub/ca.pem" "$dir/config/"
"$build/src/agent/gemel-agent" run --config-dir "$dir/config" --state-dir "$dir/state" \
    --first-delay 0 >"$dir/agent.log" 2>&1 &
agent_pid=$!
say "The device $DEVICE and its module $MODULE are registered; gemel-agent runs for them."
if [ "$(id -u)" = 0 ]; then
    say "It runs as root: the kernel tells it of every process (netlink)."
else
    say "It does not run as root, so it looks for processes ten times a second; as root it would"
    say "hear of every one from the kernel."
fi

verdict_is_in() {
    kill -0 "$agent_pid" 2>/dev/null || fail "the agent ended"
    [ "$(reported | field latest_desired_version)" = "$1" ]
}
until_true 30 "the agent reports" verdict_is_in 1
count=$(reported | grep -o '"[A-Z][A-Za-z]*_[A-Za-z]*"' | wc -l)
say "Its first report: $count settings with their values, latest_state \"$(reported | field latest_state)\"."

# ---- changes ------------------------------------------------------------------------------------

# desire JSON: changes the twin by REST and waits for the agent's verdict.
desire() {
    say "desired  $1"
    version=$(gemel module-twin update -d $DEVICE -m $MODULE --desired "$1" | tr '\n' ' ' |
        sed 's/.*"desired" *: *//; s/"reported".*//' | field '\$version')
    until_true 30 "a verdict on version $version" verdict_is_in "$version"
}

chapter "3. A valid change"
desire '{"Process_MessageFrequency": "High", "Process_CacheSize": 1000}'
say "reported latest_state \"$(reported | field latest_state)\"," \
    "Process_MessageFrequency \"$(setting Process_MessageFrequency)\"," \
    "Process_CacheSize $(setting Process_CacheSize)"
[ "$(reported | field latest_state)" = success ] || fail "the valid change was not applied"

chapter "4. An invalid change"
desire '{"Process_CacheSize": 0, "Process_Mod": 2, "Heartbeat_Disabled": true}'
say "reported latest_state \"$(reported | field latest_state)\"," \
    "latest_invalid_fields \"$(reported | field latest_invalid_fields)\""
reported | field latest_errors | sed 's/^{//; s/}$//; s/", *"/"\n"/g' |
    sed 's/^ *"//; s/" *: *"/: /; s/" *$//; s/^/           /'
    printf '\n'
say "Nothing of it was applied: Process_CacheSize is still $(setting Process_CacheSize)," \
    "Heartbeat_Disabled still $(setting Heartbeat_Disabled)."
[ "$(reported | field latest_state)" = failed ] || fail "the invalid change was not refused"
[ "$(setting Process_CacheSize)" = 1000 ] || fail "the invalid change was half applied"

# ---- an event -----------------------------------------------------------------------------------

chapter "5. What the device saw"
ln -s "$(command -v sleep)" "$dir/visitor-$$"
say "A process is started: $dir/visitor-$$ 1"
"$dir/visitor-$$" 1
say "The next change puts the document right; what was seen is sent before it is applied."
desire '{"Process_CacheSize": null, "Process_Mod": null, "Heartbeat_Disabled": null}'
[ "$(reported | field latest_state)" = success ] || fail "the document was not put right"
event_came() {
    gemel monitor-events -d "$DEVICE" --from earliest --timeout 1 >"$dir/events" 2>"$dir/events.err" || true
    grep -q "visitor-$$ 1" "$dir/events"
}
until_true 20 "the event of the process arrives" event_came
message=$(grep "visitor-$$ 1" "$dir/events" | head -n 1)
say "gemel monitor-events shows it, in message $(printf '%s\n' "$message" | field sequenceNumber)" \
    "of device $(printf '%s\n' "$message" | field deviceId):"
printf '%s\n' "$message" | sed 's/{"/\n{"/g' | grep "visitor-$$ 1" | head -n 1 |
    sed 's/}}*[],}]*$/}/; s/^/           /'

chapter "That was the journey."
[ -z "$once" ] || exit 0
say "Hub and agent run on. From another terminal, in this folder:"
cat <<TELL

    export GEMEL_LOGIN='$GEMEL_LOGIN'
    export GEMEL_CA='$GEMEL_CA'
    $build/src/cli/gemel module-twin show -d $DEVICE -m $MODULE
    $build/src/cli/gemel module-twin update -d $DEVICE -m $MODULE --desired '{"Process_Mode": 3}'
    $build/src/cli/gemel monitor-events
    $build/src/agent/gemel-agent status --state-dir $dir/state

TELL
say "The portal:  ${bold}https://localhost:$https_port/$plain"
say "Sign in as $(tr ',' '\n' <"$dir/init.json" | field user) with the one-time password" \
    "$(field password <"$dir/init.json"); the portal asks for one of your own."
say "The certificate is signed by the hub's own authority, $dir/hub/ca.pem: trust it, or accept the"
say "browser's warning. Then IoT hubs > $(field hub <"$dir/init.json") > Devices > $DEVICE > $MODULE >"
say "Module Identity Twin."
say "Ctrl-C ends it and removes everything."
while kill -0 "$hub_pid" 2>/dev/null && kill -0 "$agent_pid" 2>/dev/null; do
    sleep 1
done
fail "the hub or the agent ended by itself"
