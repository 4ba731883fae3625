#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Prints protocol/include/scanbridge/surface.h in QEMU's coding style, as the
# series holds it in include/ui/scanbridge-surface.h. "build.sh --check"
# compares the two, so that QEMU never speaks another version of the protocol
# than the rest of the project.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# QEMU wants braces around every statement of an if, a comment before a long
# line instead of after it, and one statement a line.
sed -E \
    -e '/clang-format (on|off)/d' \
    -e 's|^(/\* SPDX-License-Identifier:) .*|\1 GPL-2.0-or-later */|' \
    -e 's|^/\* (Surface protocol: .*)$|/*\n * \1|' \
    -e 's/^( *)if \((.*)\) return (.*);$/\1if (\2) {\nreturn \3;\n\1}/' \
    -e '/^ *min = /s/; /;\n/g' \
    -e 's|^( +)([^ ].*[;,]) /\* (.*) \*/$|\1/* \3 */\n\1\2|' \
    -e 's|^#define SCANBRIDGE_SB_H|#define UI_SCANBRIDGE_SURFACE_H|' \
    -e 's|^(#ifndef) SCANBRIDGE_SB_H|\1 UI_SCANBRIDGE_SURFACE_H|' \
    -e 's|^#endif /\* SCANBRIDGE_SB_H \*/|#endif|' \
    -e '/^#include </d' \
    -e 's/^#if defined\(__BYTE_ORDER__\).*/#if HOST_BIG_ENDIAN/' \
    -e 's/sizeof ([a-z]+)\b/sizeof(\1)/g' \
    ../protocol/include/scanbridge/surface.h |
    "${CLANG_FORMAT:-clang-format-14}" --style='{BasedOnStyle: LLVM, IndentWidth: 4, ColumnLimit: 80,
        BreakBeforeBraces: Linux, SortIncludes: false, AlignTrailingComments: false,
        AllowShortFunctionsOnASingleLine: None, AllowShortIfStatementsOnASingleLine: Never,
        AllowShortEnumsOnASingleLine: false, IndentCaseLabels: false, ContinuationIndentWidth: 4,
        ReflowComments: true, AlignConsecutiveMacros: false}' |
    perl -0777 -pe '
        # clang-format breaks a long /* comment */ over lines in the style of
        # the kernel networking code; QEMU opens it on a line of its own.
        s{^([ ]*)/\*[ ](?=[^\n]*\n[ ]*\*[ /])(?![^\n]*\*/)}{$1/*\n$1 * }mg;
        s{^([ ]*\*[ ][^\n]*?)[ ]\*/$}{ my $l = $1; my ($i) = $l =~ /^( *)/; "$l\n$i*/" }mge;'
