#!/usr/bin/env bash
# The stores of the cache against real servers: SeaweedFS (S3), Azurite (Azure), Apache (WebDAV).
#
#   tests/peers/stores.sh            every test of the stores, and none may be skipped
#   tests/peers/stores.sh s3         those of SeaweedFS alone
#   tests/peers/stores.sh speed      how fast SeaweedFS is reached, beside rclone
#
# The servers listen on loopback, are installed where they are missing (see servers/), and stop in the end.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
chmod a+x "$work" # Apache reads as another user
servers=(seaweedfs azurite apache-dav)
[[ -z ${1:-} ]] || servers=(seaweedfs)
finish() {
    for server in "${servers[@]}"; do
        tests/peers/servers/"$server".sh stop "$work/$server" || true
    done
    if [[ -n ${KEEP:-} ]]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap finish EXIT
for server in "${servers[@]}"; do
    tests/peers/servers/"$server".sh start "$work/$server" > /dev/null
    source "$work/$server/environment"
done

if [[ ${1:-} != speed ]]; then
    [[ -n ${1:-} ]] || export DAG_TEST_ALL=1
    cargo test --locked -p dag-cache --features cloud --test it -- stores
    exit
fi

unset AWS_CA_BUNDLE # rclone of Debian does not start with it
command -v rclone > /dev/null || apt-get install -y -qq rclone
cargo build --locked --release -p dag-cache --features cloud --example store_speed
speed=${CARGO_TARGET_DIR:-target}/release/examples/store_speed
cat > "$work/rclone.conf" <<CONF
[s3]
type = s3
provider = Other
env_auth = true
endpoint = ${DAG_TEST_S3#*endpoint=}
CONF
mkdir -p "$work/large" "$work/small"
head -c $((1 << 30)) /dev/urandom > "$work/large/file"
python3 - "$work/small" <<'PY'
import os, sys

for index in range(10_000):
    folder = f"{sys.argv[1]}/{index % 256:02x}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{index}", "wb") as file:
        file.write(os.urandom(10_000))
PY
timed() { # what, its command line
    local start=$EPOCHREALTIME what=$1
    shift
    "$@"
    awk -v what="$what" -v start="$start" -v end="$EPOCHREALTIME" \
        'BEGIN { printf "%s: %.2f s\n", what, end - start }'
}
rclone() { command rclone --config "$work/rclone.conf" "$@"; }
# In turns, since the machine may have other work.
for round in 1 2 3; do
    echo "== round $round"
    "$speed" "$DAG_TEST_S3" 1024 0
    timed "rclone, 1 GiB there" rclone copy "$work/large" s3:dag-test/rclone/large
    timed "rclone, 1 GiB back" rclone copy s3:dag-test/rclone/large "$work/back/large"
    "$speed" "$DAG_TEST_S3" 0 10000 32
    timed "rclone, 10,000 x 10 kB there" rclone copy "$work/small" s3:dag-test/rclone/small
    timed "rclone, 10,000 x 10 kB back" rclone copy s3:dag-test/rclone/small "$work/back/small"
    rclone purge s3:dag-test/rclone
    rm -rf "$work/back"
done
