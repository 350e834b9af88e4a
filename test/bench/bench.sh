#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Measures hub and agent beside their yardsticks, in one run: bench.sh BUILD [--rounds N] [--write]
set -eu
build=$1
shift
GEMEL_BUILD=$build exec node "$(dirname "$0")/run.mjs" "$@"
