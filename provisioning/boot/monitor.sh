# shellcheck shell=bash disable=SC2153 # SAID is no misspelling of a local name
# What a monitor does besides running Prometheus. A part of `boot.sh`, which comes with the settings.

# Bytes of the sentence that says why one of these does not run.
readonly WHY_BYTES=300
# Between two tries to start what the monitor has besides Prometheus: at first, and at most, as each is twice the one before.
readonly LATER_AGAIN_S=10
readonly LATER_AGAIN_AT_MOST_S=320
# Another service whose start does not end holds one try up no longer than that.
readonly START_WITHIN_S=600

# Whom to watch. It has no digest: it changes while the monitor stands, as instances come and go.
fetch_targets() {
    local url file=$APP/prometheus/targets.json
    url=$(url_of targets)
    [[ -n $url ]] || return 0
    at_url "$url" --fail --max-time 20 --output "$STATE/targets.new" 2>>"$LOG" || return 0
    chmod 0644 "$STATE/targets.new"
    # Renamed, so that nobody reads half of it.
    cmp -s "$STATE/targets.new" "$file" || mv "$STATE/targets.new" "$file"
}

# The one port that others reach, behind a password whose hash alone came here, with a key that leaves this machine never.
start_proxy() {
    [[ $ARYA_ROLE == monitor ]] || return 0
    [[ -e $STATE/proxy.crt ]] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 30 \
        -subj /CN=arya-monitor -keyout "$STATE/proxy.key" -out "$STATE/proxy.crt" 2>>"$LOG" || fail 'The monitor could not make its key.'
    # Its workers are another user, and read the list of users with every request.
    chmod 0711 "$STATE"
    chmod 0755 "$APP/proxy"
    rm -f /etc/nginx/sites-enabled/default
    ln -sf "$APP/proxy/nginx.conf" /etc/nginx/conf.d/arya.conf
    { nginx -t && systemctl restart nginx; } >>"$LOG" 2>&1 || fail "The monitor's proxy did not start."
}

# The archive of Referee that the deployment brought itself, under the one name that the compose file has for it, and under
# no other. 2 = no try will bring it.
load_referee() {
    local file=$STATE/referee answer name
    local -a names
    [[ -n $ARYA_REFEREE_URL ]] || return 0
    ! docker image inspect arya/referee:archive >/dev/null 2>&1 || return 0
    rm -f "$file"
    if ! answer=$(at_url "$ARYA_REFEREE_URL" --speed-limit 1 --speed-time 60 --output "$file" --write-out '%{http_code}') ||
        [[ $answer != 200 ]]; then
        if has_expired "$file"; then
            echo 'the URL of its archive expired before it was fetched; with fresh credentials another deployment has it'
            return 2
        fi
        echo "its archive has not come out of the bucket yet; the last answer was $answer"
        return 1
    fi
    if ! has_digest "$ARYA_REFEREE_SHA256" "$file"; then
        echo "its archive came with another digest than the one that was uploaded, sha256:$ARYA_REFEREE_SHA256"
        return 1
    fi
    docker load --input "$file" >"$STATE/referee.loaded" || return 1
    rm -f "$file"
    mapfile -t names < <(sed -nE 's/^Loaded image( ID)?: //p' "$STATE/referee.loaded")
    docker tag "${names[0]:-}" arya/referee:archive || return 1
    for name in "${names[@]}"; do
        # By an id the image itself would go.
        [[ $name == sha256:* || $name == arya/referee:archive ]] || docker image rm --no-prune "$name" >/dev/null || return 1
    done
}

# fetch_and_start SERVICE: images one beside the other, so that none waits for another's registry; then one service at a
# time, since two that need a third would both make it. 2 = no try will start it.
fetch_and_start() {
    local code=0
    [[ $1 != referee ]] || load_referee || return
    COMPOSE_WITHIN_S=$PULL_WITHIN_S compose pull --quiet --policy missing --include-deps "$1" || code=$?
    # What `timeout` ends says nothing.
    ((code != 124)) || echo "its image did not come from the registry within $PULL_WITHIN_S s"
    ((code == 0)) || return 1
    (
        if ! flock --wait "$START_WITHIN_S" 9; then
            echo "another service has not started within $START_WITHIN_S s"
            exit 1
        fi
        compose up --detach --no-build "$1" || exit 1
    ) 9>"$SAID/starting"
}

# start_later SERVICE: what need not be there for the canary to be watched is tried until it runs, less and less often; a
# registry that has it not is told of once, in the registry's own words, or Docker's.
start_later() {
    local service=$1 pause=$LATER_AGAIN_S said before='' code
    while true; do
        code=0
        said=$(fetch_and_start "$service" 2>&1) || code=$?
        ((code != 0)) || break
        # Ports and times differ from try to try, the words do not.
        if [[ ${said//[0-9]/} != "$before" ]]; then
            before=${said//[0-9]/}
            printf '%s\n' "$said" >>"$LOG"
            { grep '[^[:space:]]' <<<"$said" | tail -n 1 | hide | mask | head -c "$WHY_BYTES" >"$SAID/why.$service"; } || true
            say "$service does not run yet; the canary does not wait for it"
        fi
        ((code != 2)) || return 0
        sleep "$pause"
        ((pause = pause < LATER_AGAIN_AT_MOST_S ? 2 * pause : pause))
    done
    printf '%s\n' "$said" >>"$LOG"
    say "$service runs"
    rm -f "$SAID/why.$service"
    touch "$STATE/later.$service"
}

# send_export SECONDS: what the monitor recorded, for the report. It lies in the bucket before anybody ends this machine.
send_export() {
    local url
    url=$(url_of export)
    [[ -n $url ]] || return 0
    if timeout "$1" bash "$APP/export.sh" "$STATE/export.tar.gz" >>"$LOG" 2>&1; then
        put "$url" "$STATE/export.tar.gz" || true
    fi
}

# Kayenta keeps its configs in memory, so the standard one is put there again after each of its starts.
offer_config() {
    local kayenta=http://127.0.0.1:8090/canaryConfig known
    [[ -e $STATE/later.kayenta ]] || return 0
    known=$(curl --silent --fail --noproxy '*' --max-time 5 "$kayenta" 2>>"$LOG") || return 0
    [[ $known != *'"arya-standard"'* ]] || return 0
    curl --silent --fail --noproxy '*' --max-time 10 --header 'Content-Type: application/json' \
        --data-binary "@$APP/kayenta/standard.json" --output /dev/null "$kayenta" 2>>"$LOG" ||
        say 'Kayenta did not take the standard config; it is offered again'
}
