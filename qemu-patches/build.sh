#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds QEMU 10.0.2 with the patches of series/. --help says how to use it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here

readonly version=10.0.2
readonly debian_file="qemu_$version+ds.orig.tar.xz"
readonly debian_sha256=0901da33844a331bf8b3602b9c1fbd178e60b737c8e3ade678255bd090c9b9f1
readonly release_url="https://download.qemu.org/qemu-$version.tar.xz"
# Meson and pycotap are pure Python, so those of this release run on Debian 12 too.
readonly tools_release=trixie
readonly python=/usr/bin/python3

usage() {
    cat <<EOF
Usage: qemu-patches/build.sh [--source DIR|TARBALL] [--asan] [--qtest] [--check]

Builds qemu-system-x86_64 $version with the patches of qemu-patches/series and
prints the path of the binary as the last line of standard output; progress
goes to standard error. The binary finds its firmware by itself (no -L).
The result is kept: a second call with the same series answers at once.

  --source X   a QEMU $version tree (it is copied) or tarball to use in place
               of Debian's source package or QEMU's release tarball
  --asan       with AddressSanitizer and UndefinedBehaviorSanitizer
  --qtest      also build the qtest programs of the series and run them
  --check      check every patch: scripts/checkpatch.pl, and a build after each
  --help       this text

Environment:
  SCANBRIDGE_CACHE   folder for everything that is kept
                     (default: \${XDG_CACHE_HOME:-~/.cache}/scanbridge)
  DEBIAN_MIRROR      mirror to take Debian's files from (default: apt's)
EOF
}

note() { printf 'qemu: %s\n' "$*" >&2; }
die() { printf 'qemu: error: %s\n' "$*" >&2; exit 1; }

source_from= asan=no qtest=no check=no
while [ $# -gt 0 ]; do
    case $1 in
        --source) [ $# -ge 2 ] || die '--source needs a folder or a tarball'
                  source_from=$(realpath -e -- "$2") || die "--source $2: no such file"
                  shift ;;
        --asan) asan=yes ;;
        --qtest) qtest=yes ;;
        --check) check=yes ;;
        --help | -h) usage; exit 0 ;;
        *) usage >&2; die "unknown argument: $1" ;;
    esac
    shift
done

shopt -s nullglob
readonly patches=("$here"/series/*.patch)
[ ${#patches[@]} -gt 0 ] || die "no patches in $here/series"

# A tree given by path may change without its name changing, so it gets a key
# of its own and is never taken from the cache.
variant=plain
[ $asan = no ] || variant=asan
[ -z "$source_from" ] || variant=$variant-own
key=$(cat "${patches[@]}" "$here/build.sh" "$here/devices.mak" | sha256sum | cut -c1-16)
readonly root=${SCANBRIDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/scanbridge}/qemu
readonly result=$root/$key-$variant
# Always the same folders whatever the series, so that ccache and ninja find
# what they built before.
readonly src=$root/work-$variant/src build=$root/work-$variant/build
readonly binary=$result/bin/qemu-system-x86_64
export CCACHE_DIR=$root/ccache CCACHE_MAXSIZE=2G CCACHE_BASEDIR=$root

if [ -x "$binary" ] && [ -z "$source_from" ] && [ $qtest = no ] && [ $check = no ]; then
    echo "$binary"
    exit 0
fi

install_packages() {
    local wanted missing=() package
    wanted=$(grep -v '^#' "$here/debian-packages.txt")
    command -v dpkg-query > /dev/null || {
        note "not a Debian system; these packages' counterparts are needed:" $wanted
        return 0
    }
    for package in $wanted; do
        dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local install=(apt-get install -y --no-install-recommends "${missing[@]}")
    if [ "$(id -u)" = 0 ]; then
        :
    elif sudo -n true 2> /dev/null; then
        install=(sudo -n "${install[@]}")
    else
        die "packages are missing, and this user may not install them. Run:
  sudo ${install[*]}"
    fi
    note "installing ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive "${install[@]}" > "$root/apt.log" 2>&1 ||
        die "could not install packages, see $root/apt.log; the command was:
  ${install[*]}"
}

debian_mirror() {
    local mirror=${DEBIAN_MIRROR:-}
    [ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' \
        'Created-By: Packages' 2> /dev/null | sed -n 's/^Debian //p' | head -1)
    printf '%s' "${mirror%/}"
}

# Sets $tarball to the checked source, fetched where it is not there yet.
fetch_source() {
    local mirror part
    mkdir -p "$root/download"
    if [ -n "$source_from" ]; then
        tarball=$source_from
        return
    fi
    tarball=$root/download/$debian_file
    [ ! -f "$tarball" ] || return 0
    mirror=$(debian_mirror)
    part=$tarball.part.$$
    if [ -n "$mirror" ]; then
        note "getting $debian_file from Debian"
        if curl -fsSL --retry 2 -o "$part" "$mirror/pool/main/q/qemu/$debian_file"; then
            echo "$debian_sha256  $part" | sha256sum -c --quiet - >&2 ||
                { rm -f "$part"; die "the mirror's $debian_file has a wrong checksum: it was not used"; }
            mv "$part" "$tarball"
            return
        fi
        rm -f "$part"
        note "the mirror has no $debian_file"
    fi
    tarball=$root/download/qemu-$version.tar.xz
    [ ! -f "$tarball" ] || return 0
    note "getting QEMU's release tarball"
    # Its checksum is not published beside it; the signature is, and a
    # tarball that nothing vouches for is not used.
    if curl -fsSL --retry 2 -o "$part" "$release_url" &&
        curl -fsSL --retry 2 -o "$part.sig" "$release_url.sig" &&
        gpg --verify "$part.sig" "$part" 2> "$root/gpg.log"; then
        rm -f "$part.sig"
        mv "$part" "$tarball"
        return
    fi
    rm -f "$part" "$part.sig"
    die "no source for QEMU $version: neither Debian's mirror nor $release_url gave a
file that could be verified (the release key of QEMU must be in your gpg key
ring). Get qemu-$version.tar.xz yourself and pass --source FILE."
}

# Undoes what was applied, from the first patch on that is another one now, so
# that only the files of these get a new time stamp; a tree that does not
# revert cleanly is unpacked again.
prepare_tree() {
    local applied=("$src"/.series/*.patch) i marker same=0
    marker="$source_from $debian_sha256"
    if [ -z "$source_from" ] && [ -f "$src/.unpacked" ] &&
        [ "$(cat "$src/.unpacked")" = "$marker" ]; then
        while [ $check = no ] && [ $same -lt ${#applied[@]} ] && [ $same -lt ${#patches[@]} ] &&
            [ "${applied[same]##*/}" = "${patches[same]##*/}" ] &&
            cmp -s "${applied[same]}" "${patches[same]}"; do
            same=$((same + 1))
        done
        for ((i = ${#applied[@]} - 1; i >= same; i--)); do
            patch -R -p1 -f -s -E -d "$src" -i "${applied[i]}" > /dev/null || break
            rm "${applied[i]}"
        done
        ((i >= same)) || return 0
        note 'the kept source tree was changed by hand: unpacking it again'
    fi
    rm -rf "$src"
    mkdir -p "$src/.series"
    if [ -d "$tarball" ]; then
        note "copying $tarball"
        tar -C "$tarball" --exclude=.git --exclude=./build -cf - . | tar -C "$src" -xf -
    else
        note "unpacking $(basename "$tarball")"
        tar -C "$src" --strip-components=1 --no-same-owner -xf "$tarball"
    fi
    [ "$(cat "$src/VERSION" 2> /dev/null)" = $version ] ||
        die "$tarball is not QEMU $version (its VERSION says '$(cat "$src/VERSION" 2> /dev/null)')"
    # Debian's tarball has no firmware; meson.build wants to see the names.
    local blob
    for blob in $(sed -n "s/^ *'\(edk2-[a-z0-9_-]*\.fd\)',$/\1/p" "$src/pc-bios/meson.build"); do
        [ -e "$src/pc-bios/$blob.bz2" ] || : > "$src/pc-bios/$blob.bz2"
    done
    printf '%s' "$marker" > "$src/.unpacked"
}

apply_patch() {
    local name
    name=$(basename "$1")
    [ ! -f "$src/.series/$name" ] || return 0
    patch -p1 -N -s -d "$src" -i "$1" >&2 ||
        die "$name does not apply to $(basename "$tarball"): see the .rej files in $src"
    cp "$1" "$src/.series/$name"
}

# QEMU's configure needs meson 1.5 and pycotap for the same Python.
python_tools() {
    local tools=$root/python-tools apt deb
    if $python -c '
import sys, pycotap
from mesonbuild.coredata import version
sys.exit(tuple(map(int, version.split(".")[:2])) < (1, 5))' 2> /dev/null; then
        return
    fi
    if [ ! -f "$tools/.done" ]; then
        note "getting meson and pycotap of Debian $tools_release"
        apt=$root/apt
        rm -rf "$apt" "$tools"
        mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/deb" "$tools"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $tools_release main" \
            > "$apt/sources.list"
        (
            cd "$apt/deb"
            options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=-
                -o "Dir::State::Lists=$apt/lists" -o "Dir::State::status=/dev/null"
                -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= -o Acquire::Languages=none)
            apt-get "${options[@]}" update && apt-get "${options[@]}" download meson python3-pycotap python3-distlib
        ) > "$root/apt-tools.log" 2>&1 ||
            die "could not get meson >= 1.5 and pycotap: see $root/apt-tools.log, or install them for $python"
        for deb in "$apt"/deb/*.deb; do
            dpkg-deb -x "$deb" "$apt/x"
        done
        cp -r "$apt"/x/usr/lib/python3/dist-packages/. "$tools/"
        rm -rf "$apt"
        touch "$tools/.done"
    fi
    export PYTHONPATH=$tools
}

# with_progress LABEL LOG COMMAND...: runs it with its output in LOG and shows
# where it is: rewritten in place on a terminal, a line every 10 s elsewhere.
with_progress() {
    local label=$1 log=$2 pid rc=0 seconds=0 at
    shift 2
    nice "$@" > "$log" 2>&1 &
    pid=$!
    while kill -0 $pid 2> /dev/null; do
        at=$(tail -n 1 "$log" 2> /dev/null | sed -n 's/^\(\[[0-9]*\/[0-9]*\]\).*/\1/p')
        if [ -t 2 ]; then
            printf '\rqemu: %s %s %ds ' "$label" "$at" $seconds >&2
        elif ((seconds % 10 == 0 && seconds > 0)); then
            note "$label $at ${seconds}s"
        fi
        sleep 1
        seconds=$((seconds + 1))
    done
    [ ! -t 2 ] || printf '\r\033[K' >&2
    wait $pid || rc=$?
    if [ $rc -ne 0 ]; then
        { grep -A 12 -m 3 -E '(^FAILED|error:|ERROR)' "$log" || tail -n 20 "$log"; } >&2
        die "$label failed (status $rc); everything it said is in $log"
    fi
}

configure_build() {
    local options=(
        --cc="ccache gcc" --python=$python --target-list=x86_64-softmmu
        --without-default-features --without-default-devices --with-devices-x86_64=scanbridge
        --enable-system --enable-tcg --enable-pixman --enable-opengl --enable-virglrenderer
        --enable-sdl --enable-gio --enable-dbus-display --enable-vnc --enable-png --enable-slirp
        --enable-virtfs --enable-attr --enable-cap-ng --enable-vhost-user
        --enable-trace-backends=log --with-pkgversion=scanbridge
        --disable-docs --disable-tools --disable-install-blobs --disable-download
    )
    if [ $asan = yes ]; then
        options+=(--enable-asan --enable-ubsan --enable-debug-info)
    else
        options+=(--disable-debug-info)
    fi
    # Devices of the series join the list by themselves when their patch is there.
    {
        cat "$here/devices.mak"
        ! grep -qs '^config VIRTIO_VSOCK_UNIX$' "$src/hw/virtio/Kconfig" || echo CONFIG_VIRTIO_VSOCK_UNIX=y
    } > "$src/.devices.mak"
    local mak=$src/configs/devices/x86_64-softmmu/scanbridge.mak
    cmp -s "$src/.devices.mak" "$mak" || cp "$src/.devices.mak" "$mak"
    # A changed list of devices makes ninja configure again by itself.
    local wanted="${options[*]} ${PYTHONPATH:-}"
    if [ -f "$build/build.ninja" ] && [ "$(cat "$build/.options" 2> /dev/null)" = "$wanted" ]; then
        return
    fi
    rm -rf "$build"
    mkdir -p "$build"
    (cd "$build" && with_progress configuring "$build/configure.log" "$src/configure" "${options[@]}")
    printf '%s' "$wanted" > "$build/.options"
}

compile() {
    with_progress compiling "$build/ninja.log" ninja -C "$build" qemu-system-x86_64
}

# The option ROM that -kernel needs is not in Debian's tarball; it is small
# enough to build. The other firmware is Debian's.
install_result() {
    local rom=$build/optionrom share=$result.part/share/qemu file
    rm -rf "$result.part"
    mkdir -p "$rom" "$result.part/bin" "$share"
    printf '%s\n' "TOPSRC_DIR=$src" TARGET_DIR= CC=gcc LD=ld OBJCOPY=objcopy "PYTHON=$python" EXTRA_CFLAGS= \
        > "$rom/config.mak"
    make -s -C "$rom" -f "$src/pc-bios/optionrom/Makefile" > "$build/optionrom.log" 2>&1 ||
        die "building the option ROMs failed: see $build/optionrom.log"
    cp "$rom"/*.bin "$share/"
    for file in /usr/share/seabios/*.bin /usr/lib/ipxe/qemu/*.rom; do
        ln -sf "$file" "$share/"
    done
    cp -r "$src/pc-bios/keymaps" "$share/"
    if [ $asan = yes ]; then
        cp "$build/qemu-system-x86_64" "$result.part/bin/"
    else
        strip -o "$result.part/bin/qemu-system-x86_64" "$build/qemu-system-x86_64"
    fi
    "$result.part/bin/qemu-system-x86_64" --version > /dev/null || die 'the built binary does not start'
    rm -rf "$result"
    mv "$result.part" "$result"
    # The five newest results are kept.
    local old
    for old in $(ls -dt "$root"/*-"$variant"/bin 2> /dev/null | tail -n +6); do
        rm -rf "$(dirname "$old")"
    done
}

run_qtests() {
    local program name
    for program in $(sed -n 's/^+++ b\/tests\/qtest\/\(.*-test\)\.c$/\1/p' "${patches[@]}" | sort -u); do
        name=$(basename "$program")
        with_progress "compiling $name" "$build/qtest-build.log" ninja -C "$build" "tests/qtest/$program"
        note "running $name"
        if [ $asan = no ]; then
            qtest "$program" 1
        else
            # SDL and Mesa leak; what is not drawn by them must not.
            qtest "$program" 1 -s "/x86_64/${name%-test}/gl"
            ! QTEST_QEMU_BINARY=$binary "$build/tests/qtest/$program" -l | grep -q '/gl$' ||
                qtest "$program" 0 -p "/x86_64/${name%-test}/gl"
        fi
    done
}

# qtest PROGRAM LEAKS ARGUMENTS...: runs a qtest program on the result.
qtest() {
    local program=$1 leaks=$2
    shift 2
    QTEST_QEMU_BINARY=$binary ASAN_OPTIONS=detect_leaks=$leaks \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        "$build/tests/qtest/$program" --tap -k "$@" >&2 ||
        die "$(basename "$program") failed"
}

check_series() {
    local patch name
    for patch in "${patches[@]}"; do
        name=$(basename "$patch")
        (cd "$src" && perl scripts/checkpatch.pl --no-tree --terse --no-summary "$patch" >&2) ||
            die "$name does not pass scripts/checkpatch.pl"
        apply_patch "$patch"
        configure_build
        compile
        note "$name: style ok, builds"
    done
    "$here/surface-header.sh" | cmp -s - "$src/include/ui/scanbridge-surface.h" ||
        die "include/ui/scanbridge-surface.h of the series is not what surface-header.sh makes
of protocol/include/scanbridge/surface.h: put its output into the patch"
}

mkdir -p "$root"
exec 9> "$root/lock-$variant"
flock -n 9 || { note 'another build is running: waiting for it'; flock 9; }
if [ -x "$binary" ] && [ -z "$source_from" ] && [ $qtest = no ] && [ $check = no ]; then
    echo "$binary"
    exit 0
fi

began=$SECONDS
install_packages
fetch_source
python_tools
prepare_tree
if [ $check = yes ]; then
    check_series
else
    for patch in "${patches[@]}"; do
        apply_patch "$patch"
    done
    configure_build
    compile
fi
install_result
[ $qtest = no ] || run_qtests
note "done in $((SECONDS - began)) s"
echo "$binary"
