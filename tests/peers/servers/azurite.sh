#!/usr/bin/env bash
# Azurite, Microsoft's own stand-in for Azure Blob Storage, on loopback.
#
#   eval "$(tests/peers/servers/azurite.sh start DIR)"      sets DAG_TEST_AZURE and AZURE_STORAGE_*
#   tests/peers/servers/azurite.sh stop DIR
#
# It comes from the npm package `azurite`. Account and key are those that Azurite has for everybody.
source "$(dirname "$0")/loopback.sh"

start_it() {
    local azurite=$peers/azurite/node_modules/.bin/azurite-blob port
    if [[ ! -x $azurite ]]; then
        mkdir -p "$peers/azurite"
        npm install --silent --no-audit --no-fund --prefix "$peers/azurite" azurite@3.37.0 >&2
    fi
    read -r port < <(free_ports 1)
    local account=devstoreaccount1
    local key=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
    start_server "$azurite" --silent --skipApiVersionCheck --disableTelemetry --location "$dir/data" \
        --blobHost 127.0.0.1 --blobPort "$port"
    wait_until curl -s "http://127.0.0.1:$port/"
    python3 - "$port" "$account" "$key" <<'PY'
import base64, hashlib, hmac, sys, urllib.request
from email.utils import formatdate

port, account, key = sys.argv[1:]
headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
signed = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
text = f"PUT\n\n\n\n\n\n\n\n\n\n\n\n{signed}/{account}/{account}/dag-test\nrestype:container"
digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
headers["Authorization"] = f"SharedKey {account}:{base64.b64encode(digest).decode()}"
url = f"http://127.0.0.1:{port}/{account}/dag-test?restype=container"
urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers, data=None))
PY
    cat <<ENV
export AZURE_STORAGE_ACCOUNT=$account AZURE_STORAGE_KEY=$key
export DAG_TEST_AZURE='az://dag-test/cache?endpoint=http://127.0.0.1:$port/$account'
ENV
}
main "$@"
