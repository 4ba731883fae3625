#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes a tree of UTM build with Scanbridge. --help says how to use it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# The patches have no context, so that they hold no line of UTM's: they fit this commit only.
readonly commit=e4a4c34b671284263fc69f81b607de494d7e9b65
readonly qemu=qemu-10.0.2-utm

usage() {
    cat << END
Usage: utm-patches/prepare.sh [--any-commit] FOLDER

Puts the QEMU series of qemu-patches/series and the changes of
utm-patches/series into the UTM tree in FOLDER, which must be a clean checkout
of commit ${commit:0:12}. Then build UTM as its documentation says:
scripts/build_dependencies.sh applies the QEMU series by itself.

  --any-commit  try it on another commit; look at the result before you build:
                patches without context go where their line numbers say
END
}

die() { printf 'utm-patches: error: %s\n' "$*" >&2; exit 1; }

any=no folder=
while [ $# -gt 0 ]; do
    case $1 in
        --any-commit) any=yes ;;
        -h | --help) usage; exit 0 ;;
        -*) usage >&2; die "unknown option: $1" ;;
        *) [ -z "$folder" ] || die 'name one folder'; folder=$1 ;;
    esac
    shift
done
[ -n "$folder" ] || { usage >&2; die 'no folder'; }
[ -f "$folder/scripts/build_dependencies.sh" ] || die "$folder is no UTM tree"

have=$(git -C "$folder" rev-parse HEAD) || die "$folder is no git checkout: clone UTM with git"
[ "$have" = "$commit" ] || [ $any = yes ] ||
    die "$folder is at ${have:0:12}, the patches are for ${commit:0:12}:
  git -C $folder checkout $commit
or try --any-commit"
[ -z "$(git -C "$folder" status --porcelain --untracked-files=no)" ] ||
    die "$folder has changes: commit them, or take a fresh checkout"

# All or nothing.
for patch in "$here"/series/*.patch; do
    git -C "$folder" apply --check --unidiff-zero "$patch" ||
        die "$(basename "$patch") does not fit: nothing was changed"
done
for patch in "$here"/series/*.patch; do
    git -C "$folder" apply --unidiff-zero "$patch"
done
rm -rf "$folder/patches/$qemu.d"
mkdir "$folder/patches/$qemu.d"
cp "$here"/../qemu-patches/series/*.patch "$folder/patches/$qemu.d/"
printf 'utm-patches: %s changes and %s patches of QEMU are in %s\n' \
    "$(find "$here/series" -name '*.patch' | wc -l | tr -d ' ')" \
    "$(find "$folder/patches/$qemu.d" -name '*.patch' | wc -l | tr -d ' ')" "$folder"
