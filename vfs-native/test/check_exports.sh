#!/bin/sh
# check_exports.sh LIBRARY: it exports its entry points alone, and needs libc, libnghttp2 and liblz4 alone.
set -eu
exported=$(nm -D --defined-only "$1" | awk '{print $NF}' |
  grep -vxE 'sqlite3_grpsqlitevfs_init|grpsqlite_(named_init|register|stats)' || true)
needed=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' |
  grep -vxE 'libc\.so\..*|libnghttp2\.so\..*|liblz4\.so\..*|libpthread\.so\..*|libdl\.so\..*|ld-linux.*' || true)
[ -z "$exported" ] || { echo "exported, but should not be: $exported"; exit 1; }
[ -z "$needed" ] || { echo "needed, but should not be: $needed"; exit 1; }
