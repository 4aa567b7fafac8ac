# Sourced by backup and restore, after lib.sh, in the repository's root: which database, and how its tools are run.
#
# DATABASE_URL names one (with DATABASE_PASSWORD, if it has none in it); SOURCE=docker is the docker profile's,
# SOURCE=embedded the one of `make run` in DATA_DIR. Without either, the one that runs.

fail() {
    echo "halyard: $*" >&2
    exit 1
}

# Sets SOURCE, DATABASE and ROLE (who owns what is restored; empty: whoever restores).
choose_database() {
    ROLE=
    data=${DATA_DIR:-.local}
    case $data in /*) ;; *) data=$ROOT/$data ;; esac
    postgres=$(docker ps -q --filter "label=com.docker.compose.project=${HALYARD_PROJECT:-halyard}" \
        --filter label=com.docker.compose.service=postgres 2>/dev/null || true)
    if [ -n "${DATABASE_URL:-}" ]; then
        SOURCE=url
    elif [ -z "${SOURCE:-}" ]; then
        [ -z "$postgres" ] || SOURCE=docker
        if [ -S "$data/run/.s.PGSQL.5432" ]; then
            [ -z "${SOURCE:-}" ] || fail "both the docker and the embedded profile run: say SOURCE=docker or SOURCE=embedded"
            SOURCE=embedded
        fi
        [ -n "${SOURCE:-}" ] || fail "no database runs here: start one (make up, make docker-up) or give DATABASE_URL"
    fi
    case $SOURCE in
    docker)
        [ -n "$postgres" ] || fail "the docker profile's PostgreSQL does not run: make docker-up"
        DATABASE=halyard ROLE=halyard
        ;;
    embedded)
        [ -S "$data/run/.s.PGSQL.5432" ] || fail "no PostgreSQL runs in $data: make up"
        DATABASE_URL="postgres://halyard@/halyard?host=$(python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$data/run")"
        host_tools
        ;;
    url) host_tools ;;
    *) fail "SOURCE=$SOURCE: docker, embedded, or a DATABASE_URL" ;;
    esac
}

# PostgreSQL's own programs on this machine. What the URL says goes into a file for libpq: no password in a list of
# processes.
host_tools() {
    for bin in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) /opt/homebrew/opt/postgresql*/bin \
        "$(dirname "$(command -v pg_dump 2>/dev/null || echo /nowhere/pg_dump)")"; do
        [ -x "$bin/pg_dump" ] && break
    done
    [ -x "$bin/pg_dump" ] || fail "pg_dump was not found; scripts/install-deps installs PostgreSQL"
    service=$WORK/service
    DATABASE_URL=$DATABASE_URL PASSWORD=${DATABASE_PASSWORD:-} python3 - "$service" <<'PYTHON' || fail "DATABASE_URL is not postgres://user@host/database"
import os, sys
from urllib.parse import parse_qsl, unquote, urlsplit
url = urlsplit(os.environ["DATABASE_URL"])
if url.scheme not in ("postgres", "postgresql"):
    sys.exit(1)
login, _, place = url.netloc.rpartition("@")
user, _, password = login.partition(":")
host, port = (place, "") if place.endswith("]") or ":" not in place else place.rsplit(":", 1)
known = {"host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout"}
fields = {"user": unquote(user), "password": unquote(password) or os.environ["PASSWORD"],
          "host": unquote(host.strip("[]")), "port": port, "dbname": unquote(url.path.lstrip("/"))}
fields.update((key, value) for key, value in parse_qsl(url.query) if key in known)
# A certificate in the URL itself, as the functions take it: libpq wants a file.
if fields.get("sslrootcert", "").startswith("-----BEGIN"):
    root = sys.argv[1] + ".pem"
    with open(root, "w") as out:
        out.write(fields["sslrootcert"] + "\n")
    fields["sslrootcert"] = root
if any("\n" in value for value in fields.values()) or not fields["dbname"]:
    sys.exit(1)
with open(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
    out.write("[halyard]\n" + "".join(f"{key}={value}\n" for key, value in fields.items() if value))
PYTHON
    DATABASE=$(sed -n 's/^dbname=//p' "$service")
}

# How the tools name a database there.
target() {
    if [ "$SOURCE" = docker ]; then echo "user=postgres dbname=$1"; else echo "service=halyard dbname=$1"; fi
}

# pg TOOL ARGS: one of PostgreSQL's programs, where the database is.
pg() {
    tool=$1
    shift
    if [ "$SOURCE" = docker ]; then
        docker exec -i "$postgres" "$tool" "$@"
    else
        PGSERVICEFILE=$service "$bin/$tool" "$@"
    fi
}

# query DATABASE [PSQL ARGS]: SQL on standard input, rows on standard output. `:'name'` and `:"name"` are quoted by psql.
query() {
    connection=$(target "$1")
    shift
    pg psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 "$@" "$connection"
}
