#!/usr/bin/env bash
# `sample` and `eval` through a real server, llama.cpp's, which is killed in the middle.
#
#   tests/peers/llama_server.sh PYTHON MODEL.gguf [DAG]
#
# PYTHON has llama-cpp-python[server] installed. Three runs of one pipeline:
#   1. the server gets SIGKILL after eight answers: the run must fail, and say why
#   2. the server is there again: the run must finish, and ask nothing again but what was in flight
#   3. the server is gone for good: everything is cached, nothing is asked
# The answers are counted in the server's own log.
set -euo pipefail
python=${1:?usage: llama_server.sh PYTHON MODEL.gguf [DAG]}
gguf=$(realpath "${2:?usage: llama_server.sh PYTHON MODEL.gguf [DAG]}")
dag=$(realpath "${3:-target/release/dag}")
port=${PORT:-28417}
concurrency=2
work=$(mktemp -d)
server=
finish() {
    if [[ -n $server ]]; then kill -9 "$server" 2>/dev/null || true; fi
    if [[ -n ${KEEP:-} ]]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap finish EXIT
export DAG_CACHE_DIR=$work/cache

cat > "$work/dag.toml" <<TOML
[pipeline]
name = "llama"
seed = 5

[models.smol]
name   = "smollm2"
server = { url = "http://127.0.0.1:$port/v1", concurrency = $concurrency, retries = 1, timeout_s = 60 }

[stage.problems]
kind   = "problems"
source = { generate = { families = ["chain", "swap"], count = 10 } }

[stage.exam]
kind   = "problems"
source = { generate = { families = ["chain"], count = 6, split = "test" } }

[stage.traces]
kind       = "sample"
from       = "problems"
model      = "smol"
n          = 2
max_tokens = 24

[stage.scores]
kind       = "eval"
from       = "exam"
models     = { smol = "smol" }
max_tokens = 24
TOML
rows=$((2 * 10 * 2 + 6))

start() { # the log of this server
    "$python" -m llama_cpp.server --model "$gguf" --model_alias smollm2 --host 127.0.0.1 --port "$port" \
        --n_ctx 1024 --n_threads 1 --n_threads_batch 1 > "$1" 2>&1 &
    server=$!
    disown "$server" # its end is ours to report, not the shell's
    for _ in $(seq 300); do
        if "$python" -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/v1/models', timeout=1)" 2>/dev/null; then return; fi
        if ! kill -0 "$server" 2>/dev/null; then tail "$1"; exit 1; fi
        sleep 0.2
    done
    echo "the server does not answer" >&2
    exit 1
}
stop() {
    kill -9 "$server"
    while kill -0 "$server" 2>/dev/null; do sleep 0.05; done
    server=
}
answers() { # 200s in a log
    { grep -c 'POST /v1/chat/completions.* 200' "$1" || true; }
}
wrong() {
    echo "WRONG: $1" >&2
    exit 1
}

start "$work/first.log"
"$dag" run "$work/dag.toml" > "$work/run1.log" 2>&1 &
run=$!
while (($(answers "$work/first.log") < 8)); do
    kill -0 "$run" 2>/dev/null || { cat "$work/run1.log"; wrong "the run ended before the server was killed"; }
    sleep 0.05
done
stop
code=0
wait "$run" || code=$?
first=$(answers "$work/first.log")
echo "1. server killed after $first answers; the run ended with $code:"
sed 's/^/     /' "$work/run1.log"
((code != 0)) || wrong "a run without a server succeeded"
grep -q "127.0.0.1:$port" "$work/run1.log" || wrong "the message does not name the server"

start "$work/second.log"
"$dag" run "$work/dag.toml" > "$work/run2.log" 2>&1 || { cat "$work/run2.log"; wrong "the second run failed"; }
second=$(answers "$work/second.log")
stop
echo "2. $second answers more, for $rows rows:"
sed 's/^/     /' "$work/run2.log"
((first + second >= rows)) || wrong "$rows rows from $((first + second)) answers"
((first + second <= rows + concurrency)) || wrong "$((first + second - rows)) rows were asked again"

"$dag" run "$work/dag.toml" > "$work/run3.log" 2>&1 || { cat "$work/run3.log"; wrong "the third run failed"; }
grep -q '4 cached' "$work/run3.log" || { cat "$work/run3.log"; wrong "the third run was not all cached"; }
echo "3. all cached without a server"
echo "right: $first + $second answers for $rows rows"
