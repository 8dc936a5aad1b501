# Sourced by the scripts beside: a server on loopback that is started, waited for and stopped.
#
# DIR/pid names its process group, DIR/log is what it prints, DIR/environment what `start` printed.
# What is installed lies below $DAG_PEERS_CACHE, by default ~/.cache/dag-peers, and stays.
set -euo pipefail
peers=${DAG_PEERS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dag-peers}

say() { echo "$(basename "$0"): $1" >&2; }
give_up() {
    say "$1"
    [[ ! -f ${dir:-}/log ]] || tail -n 20 "$dir/log" >&2
    stop_server
    exit 1
}
free_ports() { # this many ports that are free, and free also 10000 above, where SeaweedFS listens too
    python3 - "$1" <<'PY'
import random, socket, sys

def free(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

found = []
while len(found) < int(sys.argv[1]):
    port = random.randrange(20000, 30000)
    if port not in found and free(port) and free(port + 10000):
        found.append(port)
print(*found)
PY
}
start_server() { # its command line
    setsid "$@" > "$dir/log" 2>&1 < /dev/null &
    echo $! > "$dir/pid"
    disown $!
}
wait_until() { # a command that succeeds once the server answers
    for _ in $(seq 300); do
        if "$@" > /dev/null 2>&1; then return; fi
        kill -0 "$(cat "$dir/pid")" 2> /dev/null || give_up "the server ended"
        sleep 0.1
    done
    give_up "the server does not answer"
}
stop_server() {
    [[ -f $dir/pid ]] || return 0
    local group
    group=$(cat "$dir/pid")
    kill -TERM -- "-$group" 2> /dev/null || true
    for _ in $(seq 20); do
        kill -0 -- "-$group" 2> /dev/null || break
        sleep 0.1
    done
    kill -KILL -- "-$group" 2> /dev/null || true
    rm -f "$dir/pid"
}
main() { # start DIR | stop DIR; the script defines `start_it`, which prints what to source
    local usage="usage: $(basename "$0") {start|stop} DIR"
    dir=${2:?$usage}
    case ${1:-} in
        start)
            mkdir -p "$dir"
            dir=$(realpath "$dir")
            [[ ! -f $dir/pid ]] || give_up "$dir holds a server already; stop it first"
            start_it > "$dir/environment"
            cat "$dir/environment"
            ;;
        stop) stop_server ;;
        *)
            echo "$usage" >&2
            exit 2
            ;;
    esac
}
