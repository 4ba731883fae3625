#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds and runs the fuzzer of virtio-vsock-unix under AddressSanitizer and
# UndefinedBehaviorSanitizer. --help says how.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ "${1:-}" = --help ] || [ $# -lt 2 ]; then
    cat <<EOF
Usage: qemu-patches/fuzz/vsock-unix-fuzz.sh SOURCE BUILD [libFuzzer arguments]

  SOURCE   QEMU's source tree with the patches of qemu-patches/series
  BUILD    a build folder of it: its generated headers

For example, ten minutes that keep what they learn:
  mkdir -p corpus
  qemu-patches/fuzz/vsock-unix-fuzz.sh SOURCE BUILD -max_total_time=600 corpus
EOF
    [ "${1:-}" = --help ] && exit 0 || exit 2
fi

src=$(realpath -e "$1") build=$(realpath -e "$2")
shift 2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# QEMU's tracing would pull in half of QEMU; here its calls are nothing.
mkdir "$scratch/trace"
sed -n 's/^\(vsock_unix_[a-z_]*\)(.*/#define trace_\1(...) ((void)0)/p' "$src/hw/virtio/trace-events" \
    > "$scratch/trace/trace-hw_virtio.h"

read -ra glib <<< "$(pkg-config --cflags --libs glib-2.0)"
clang-14 -std=gnu11 -g -O1 -Wall -Werror -Wno-missing-field-initializers -Wno-initializer-overrides \
    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    -I"$scratch" -I"$src" -I"$src/include" -I"$build" -I"$build/qapi" -I"$src/host/include/generic" \
    -iquote "$src" -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_LARGEFILE_SOURCE \
    -o "$scratch/fuzz" "$here/vsock-unix-fuzz.c" \
    "$src/hw/virtio/vsock-unix-conn.c" "$src/hw/virtio/vsock-unix-mux.c" \
    "$src/util/iov.c" "$src/util/cutils.c" "${glib[@]}" -lm
# A seed, in the language of guest_packet() and the actions of vsock-unix-fuzz.c: the guest connects, sends
# eight packets of 64 KiB, reads, and closes.
mkdir "$scratch/seeds"
printf '\60\0\1\1\1\0\0\0\77\0''\60\10\5\1\1\377\0\0\77\7''\63\7\0\0\0\0\0\0\0\0''\66''\60\0\4\1\1\0\3\0\77\0''\63\7' \
    > "$scratch/seeds/abuse"

# The first folder that is named is the one that libFuzzer writes to.
[ $# -gt 0 ] && [ -d "${!#}" ] || set -- "$@" "$scratch/seeds"
"$scratch/fuzz" -max_len=2048 -timeout=10 -print_final_stats=1 "$@" "$scratch/seeds"
