# shellcheck shell=bash disable=SC2153 # SAID is no misspelling of a local name
# The app: how it is started, asked and warmed up. A part of `boot.sh`, which comes with the settings.

# A registry that sends nothing more, and a start that does not end, hold one try up no longer than that.
readonly PULL_WITHIN_S=1800

# What the app's service gets beyond its compose file, where a dollar sign would have a meaning.
compose_more() {
    rm -f "$STATE/compose.more.json"
    local environment='{}'
    [[ ! -e $STATE/environment ]] || environment=$(sed 's/\$/$$/g' "$STATE/environment")
    printf '{"services":{"%s":{"env_file":[%s],"environment":%s}}}\n' "$ARYA_APP_SERVICE" "${ARYA_ENV_FILE_URL:+\".env\"}" \
        "$environment" >"$STATE/compose.more.json"
}

start_app() {
    compose_more
    # The list is complete, so what it leaves out is not started for another service's sake.
    COMPOSE_WITHIN_S=$PULL_WITHIN_S compose up --detach --no-build --no-deps --quiet-pull "${ARYA_SERVICES[@]}" >>"$LOG" 2>&1 ||
        fail "Docker Compose could not start the services.$(missing_images)"
}

# Those of the services to start that are not there, as the next sentence. Where compose cannot read its file it says so itself.
missing_images() {
    local image missing=''
    while read -r image; do
        docker image inspect "$image" >/dev/null 2>&1 || missing+=", \`$image\`"
    done < <({ compose config --images "${ARYA_SERVICES[@]}" 2>/dev/null || true; } | sort -u)
    [[ -z $missing ]] || printf ' Not there, neither from the archive nor from a registry: %s.' "${missing#, }"
}

# ask PATH [curl's options]: prints status and microseconds. A certificate made on the machine is as good as any here.
ask() {
    local path=$1 status time
    shift
    local -a how=(--silent --insecure --globoff --path-as-is --noproxy '*' --max-time 5)
    local url=$ARYA_APP_SCHEME://127.0.0.1:$ARYA_APP_PORT$path
    if [[ $ARYA_APP_PROTOCOL == grpc ]]; then
        ask_grpc "$url" "${how[@]}" "$@"
        return
    fi
    read -r status time < <(
        curl "${how[@]}" --output /dev/null --write-out '%{http_code} %{time_total}\n' "$@" "$url" || true
    )
    time=${time/./}
    echo "${status:-000} $((10#${time:-0}))"
}

# The same of gRPC: an empty message to a method. 200 stands for its status 0, and of the standard health check for
# SERVING, which it answers with the two bytes 08 01 behind the five of a message's head.
ask_grpc() {
    local url=$1 said time status
    shift
    said=$(curl "$@" --http2-prior-knowledge --header 'content-type: application/grpc' --header 'te: trailers' \
        --data-binary @<(printf '\0\0\0\0\0') --dump-header - --output "$SAID/grpc" --write-out 'took %{time_total}\n' "$url" || true)
    time=$(sed -n 's/^took //p' <<<"$said")
    time=${time/./}
    status=$(tr -d '\r' <<<"$said" | sed -n 's/^grpc-status: *//p' | tail -n 1)
    if [[ $status == 0 && $url == */grpc.health.v1.Health/Check ]] && ! cmp -s "$SAID/grpc" <(printf '\0\0\0\0\2\10\1'); then
        status=unwell
    fi
    case "$status" in
    '') status=000 ;;
    0) status=200 ;;
    *) status=grpc-status:$status ;;
    esac
    echo "$status $((10#${time:-0}))"
}

wait_until_up() {
    local status deadline=$((SECONDS + ARYA_UP_WITHIN_S)) look=$((SECONDS + 2))
    while true; do
        read -r status _ < <(ask "$ARYA_HEALTH_PATH")
        [[ $status != 200 ]] || return 0
        if ((SECONDS >= look)); then
            look=$((SECONDS + 5))
            ! app_ended || fail "The app ended before its health path $ARYA_HEALTH_PATH answered."
        fi
        [[ $status != 000 ]] || status=nothing
        ((SECONDS < deadline)) ||
            fail "The health path $ARYA_HEALTH_PATH did not answer 200 within $ARYA_UP_WITHIN_S s; last it answered $status."
        sleep 0.2
    done
}

warm_up() {
    local count=${#ARYA_WARM_PATHS[@]} good=0 at=0 status time path deadline=$((SECONDS + ARYA_WARM_WITHIN_S))
    local -a host=()
    ((count)) || return 0
    [[ -z $ARYA_WARM_HOST ]] || host=(--header "Host: $ARYA_WARM_HOST")
    while ((good < ARYA_WARM_IN_A_ROW)); do
        path=${ARYA_WARM_PATHS[at++ % count]}
        read -r status time < <(ask "$path" "${host[@]}")
        if [[ $status == [23]* ]] && ((time <= ARYA_WARM_UNDER_MS * 1000)); then
            good=$((good + 1))
            continue
        fi
        good=0
        ((SECONDS < deadline)) || fail "The app did not give $ARYA_WARM_IN_A_ROW answers in a row within $ARYA_WARM_UNDER_MS ms \
each during $ARYA_WARM_WITHIN_S s of warm-up: $(mask <<<"$path") answered $status after $((time / 1000)) ms."
        sleep 0.1
    done
}
