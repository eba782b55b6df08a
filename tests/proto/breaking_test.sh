#!/bin/sh
# Compares the API with the newest tagged version: `buf breaking` finds what old clients would stumble over.
# Skipped (77) without buf, git or a tag.
set -eu
cd "$(dirname "$0")/../.."
skip() { echo "skipped: $1"; exit 77; }
command -v buf >/dev/null || skip "buf is not on the PATH"
git rev-parse --git-dir >/dev/null 2>&1 || skip "no git checkout"
tag=$(git describe --tags --abbrev=0 2>/dev/null) || skip "no tagged version to compare with"
git rev-parse --quiet --verify "$tag:proto" >/dev/null || skip "$tag has no folder proto"
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
git archive "$tag" proto | tar -x -C "$before"
buf breaking proto --against "$before/proto"
echo "compatible with $tag"
