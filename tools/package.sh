#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian packages of what is in the working tree (what git knows or would add) for this
# machine's architecture:  package.sh FOLDER   puts them there.
set -eu
cd "$(dirname "$0")/.."
SOURCE=$(pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)

rm -rf "$out/gemel" "$out"/*.deb "$out"/*.buildinfo "$out"/*.changes
mkdir "$out/gemel"
git ls-files -co --exclude-standard -z | tar -c --null -T - --ignore-failed-read | tar -x -C "$out/gemel"
cd "$out/gemel"
ln -s packaging/debian debian
[ ! -d "$SOURCE/portal/node_modules" ] || cp -al "$SOURCE/portal/node_modules" portal/
dpkg-buildpackage -us -uc -b -j"$(getconf _NPROCESSORS_ONLN)"
rm -rf "$out/gemel"
ls "$out"/*.deb
