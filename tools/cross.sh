#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds what runs on a device for another architecture, in a folder of its own, and says how to run
# it here:
#
#   cross.sh BUILD-FOLDER ARCH [MESON-OPTION…]        ARCH: arm64 or armhf
#
# The compiler is Debian's; the libraries are this Debian's for ARCH, unpacked into
# BUILD-FOLDER/root without touching what is installed. Exit status 77: they cannot be fetched.

set -eu
cd "$(dirname "$0")/.."
SOURCE=$(pwd)
folder=$1
arch=$2
shift 2

case $arch in
arm64) triplet=aarch64-linux-gnu cpu=aarch64 family=aarch64 emulator=qemu-aarch64 ;;
armhf) triplet=arm-linux-gnueabihf cpu=armv7l family=arm emulator=qemu-arm ;;
*)
    echo "cross.sh: arm64 or armhf, not $arch" >&2
    exit 2
    ;;
esac
PACKAGES="libc6-dev linux-libc-dev libssl-dev libpaho-mqtt-dev libsystemd0 libcmocka-dev"

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
root=$folder/root

# A package list and cache of its own: this machine's stay as they are.
apt_for_arch() {
    apt-get -q -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o Debug::NoLocking=1 \
        -o "Dir::State=$folder/apt" -o "Dir::State::status=$folder/apt/status" \
        -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User= "$@"
}

unpack_libraries() {
    rm -rf "$folder/apt" "$root"
    mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$root"
    : >"$folder/apt/status"
    apt_for_arch update || echo "cross.sh: not every list of packages could be read; trying with the others"
    # shellcheck disable=SC2086 # a list of words
    if ! apt_for_arch -y --no-install-recommends --download-only install $PACKAGES; then
        echo "cross.sh: the libraries for $arch cannot be fetched" >&2
        return 77
    fi
    for package in "$folder"/apt/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    rm -rf "$folder/apt"
    # Links that lead to this machine's root lead to that one's; Debian 12's /lib is a folder there.
    find "$root" -type l -lname '/*' | while read -r link; do
        ln -sfn "$root$(readlink "$link")" "$link"
    done
    echo "$PACKAGES" >"$root/.complete"
}

[ "$(cat "$root/.complete" 2>/dev/null)" = "$PACKAGES" ] || unpack_libraries

cat >"$folder/cross.ini" <<INI
[binaries]
c = '$triplet-gcc'
ar = '$triplet-gcc-ar'
strip = '$triplet-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['$emulator', '-L', '$root']

[properties]
sys_root = '$root'
pkg_config_libdir = '$root/usr/lib/$triplet/pkgconfig:$root/usr/share/pkgconfig'

[built-in options]
c_args = ['--sysroot=$root']
c_link_args = ['--sysroot=$root']

[host_machine]
system = 'linux'
cpu_family = '$family'
cpu = '$cpu'
endian = 'little'
INI

[ -f "$folder/build/build.ninja" ] ||
    meson setup "$folder/build" "$SOURCE" --cross-file "$folder/cross.ini" -Ddevice=true "$@"
ninja -C "$folder/build"

# A program of that architecture that starts as if it were one of this machine's. With the variable
# set it does not begin anew, which without the emulator would be another program.
cat >"$folder/gemel-agent" <<RUN
#!/bin/sh
GLIBC_TUNABLES=glibc.malloc.tcache_count=0 exec $emulator -L '$root' '$folder/build/src/agent/gemel-agent' "\$@"
RUN
chmod +x "$folder/gemel-agent"
echo "$folder/gemel-agent"
