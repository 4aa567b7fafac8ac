# Sourced by the scripts of the docker profile, after lib.sh, in the repository's root. Sets nothing but what is named here.

# The compose project: two stacks on one machine need two names.
PROJECT=${HALYARD_PROJECT:-halyard}
# What belongs to this stack and to no image: ports, secrets, NGINX' certificate.
STATE=$ROOT/.local/docker/$PROJECT
BASE=${BASE:-debian:bookworm-slim}
TOOLS=$ROOT/../shared/tools
# Our containers' user. A secret's file belongs to it and to nobody else, so it is the developer unless that is root.
CONTAINER_UID=$(id -u)
CONTAINER_GID=$(id -g)
[ "$CONTAINER_UID" != 0 ] || CONTAINER_UID=10001 CONTAINER_GID=10001

fail() {
    echo "halyard: $*" >&2
    exit 1
}

# An engine that answers, with compose and buildx. CI starts one with the tool beside the checkout; a machine of somebody's
# own is left as it is.
ensure_engine() {
    if [ -n "${CI:-}" ] && [ -x "$TOOLS/docker-engine.sh" ] && ! engine_answers; then
        echo "starting a docker engine" >&2
        "$TOOLS/docker-engine.sh" >&2 || fail "the docker engine did not start"
    fi
    command -v docker >/dev/null 2>&1 || fail "docker was not found; install Docker Engine with its compose and buildx plugins"
    docker info >/dev/null 2>&1 || fail "no docker engine answers: start it, or look at DOCKER_HOST and who may use its socket"
    docker compose version >/dev/null 2>&1 || fail "docker has no compose plugin (version 2); install docker-compose-v2 or docker-compose-plugin"
    docker buildx version >/dev/null 2>&1 || fail "docker has no buildx plugin; install docker-buildx or docker-buildx-plugin"
}

engine_answers() {
    docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1
}

# The image that all others begin with.
ensure_base() {
    docker image inspect "$BASE" >/dev/null 2>&1 && return 0
    if [ -n "${CI:-}" ] && [ -x "$TOOLS/docker-base.sh" ]; then
        echo "making $BASE from Debian packages" >&2
        "$TOOLS/docker-base.sh" "$BASE" >&2 || fail "the base image $BASE was not made"
        return 0
    fi
    docker pull --quiet "$BASE" >&2 || fail "the base image $BASE is not here and no registry gave it; BASE names another"
}

# compose for this stack. Its variables come from the file alone, so that every command sees the same stack.
compose() {
    set -- --project-name "$PROJECT" --env-file "$STATE/env" -f "$ROOT/localstack/compose.yaml" \
        ${HALYARD_COMPOSE_OVERRIDE:+-f "$HALYARD_COMPOSE_OVERRIDE"} "$@"
    # What the shell that calls has set under these names would go before the file.
    env -u STATE -u CONTAINER_UID -u CONTAINER_GID -u NODES_NET -u HTTPS_PORT -u DASHBOARD_PORT -u RATE_LIMITS \
        -u FLOOD_LIMITS -u LOG_LEVEL docker compose --progress quiet "$@"
}

# The container of a service.
container() {
    docker ps -aq --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.service=$1" | head -n 1
}

# A variable of the stack's file.
stack_variable() {
    sed -n "s/^$1=//p" "$STATE/env" 2>/dev/null || true
}

# Everything that a project has in the engine, without its files.
remove_project() {
    mine=label=com.docker.compose.project=$1
    docker ps -aq --filter "$mine" | xargs -r docker rm --force --volumes >/dev/null
    docker volume ls -q --filter "$mine" | xargs -r docker volume rm --force >/dev/null
    docker network ls -q --filter "$mine" | xargs -r docker network rm >/dev/null
}
