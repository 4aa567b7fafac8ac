# Sourced by the scripts that start servers.

# A port on 127.0.0.1 that nobody listens on, below those that the system gives to outgoing connections.
free_port() {
    python3 - "$1" <<'PYTHON'
import socket, sys
for port in range(int(sys.argv[1]), 32000):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(port)
        break
else:
    sys.exit("no free port")
PYTHON
}

# Starts the stand-in for AWS in the directory $1 and sets AWS_PORT and MINISTACK_PID. Its environment is a clean one:
# whatever it runs inherits it, its own address (which it tells to functions in Python and Node only) included. It leads
# a session of its own, so that it outlives a script that leaves it running, and writes its number to $1/pid.
start_ministack() {
    mkdir -p "$1"
    AWS_PORT=$(free_port 21566)
    setsid=$(command -v setsid || true)
    # shellcheck disable=SC2016 # the inner shell's own number
    (cd "$1" && exec $setsid sh -c 'echo $$ >pid && exec "$@"' sh env -i PATH="$PATH" HOME="$1" TMPDIR="$1" LC_ALL=C.UTF-8 \
        GATEWAY_PORT="$AWS_PORT" BIND_HOST=127.0.0.1 MINISTACK_HOST=localhost IOT_MTLS_ENABLED=0 \
        AWS_ENDPOINT_URL="http://127.0.0.1:$AWS_PORT" \
        "$ROOT/.local/venv/bin/ministack") >"$1/ministack.log" 2>&1 </dev/null &
    MINISTACK_PID=$!
    tries=0
    until python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$AWS_PORT/_localstack/health', timeout=2)" 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 150 ] || ! kill -0 "$MINISTACK_PID" 2>/dev/null; then
            echo "halyard: MiniStack did not start: $(tail -n 1 "$1/ministack.log")" >&2
            return 1
        fi
        sleep 0.2
    done
}

# Has a function run when the script ends, with the exit code after a signal. It begins with
# `code=${1:-$?}; end_undisturbed` and ends with `exit "$code"`. A signal that comes before it has got that far runs it in
# place of the first: `trap 'exit 143' TERM` would leave there and then.
on_end() {
    # shellcheck disable=SC2064
    trap "$1" EXIT
    # shellcheck disable=SC2064
    trap "$1 130" INT
    # shellcheck disable=SC2064
    trap "$1 143" TERM HUP
}

# For the beginning of what a script does when it ends: it does it once, and to the end. A second signal would cut it short
# and leave running what it had not come to; one comes by itself where `make` is ended together with its script, for make
# passes its own on.
end_undisturbed() {
    trap - EXIT
    trap '' INT TERM HUP
}

# Ends a process of ours and waits for it.
stop() {
    [ -n "${1:-}" ] || return 0
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# The SHA-256 of files or of standard input, as sha256sum prints it.
sha256() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}
