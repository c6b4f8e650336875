# shellcheck shell=bash
# What follows once an instance is ready: its logs, and whether the app still runs. A part of `boot.sh`, which comes with the
# settings.

# Between two looks at the containers.
readonly WATCH_EVERY_S=10
# Between two exports of what a monitor recorded, how long one may take, and the last one, for which a shutdown waits.
readonly EXPORT_EVERY_S=60
readonly EXPORT_WITHIN_S=50
readonly LAST_EXPORT_WITHIN_S=20
# Bytes of the log of a machine that stands for days; half of them stay when it has more.
readonly LOG_BYTES=1048576

# tell_ready [TAIL]. The phase stays: it was ready.
tell_ready() {
    status_document ready "$1" >"$STATUS"
    put_status
}

shorten_log() {
    (($(stat --format %s "$LOG") > LOG_BYTES)) || return 0
    # Others have it open, so it stays the same file.
    { tail -c $((LOG_BYTES / 2)) "$LOG" >"$SAID/log" && cat "$SAID/log" >"$LOG"; } || true
    rm -f "$SAID/log"
}

watch() {
    local exported=-$EXPORT_EVERY_S told words='' ended=no service
    mkdir -p "$SAID"
    by_proxy
    trap 'set +e; send_logs; send_export "$LAST_EXPORT_WITHIN_S"; exit 0' TERM
    told=$(running)$(not_running)
    # Each by itself: one that is slow to come holds up neither the others nor the rest of this.
    for service in "${ARYA_LATER[@]}"; do
        [[ -e $STATE/later.$service ]] || start_later "$service" &
    done
    while true; do
        shorten_log
        fetch_targets
        offer_config
        send_logs
        if ((SECONDS - exported >= EXPORT_EVERY_S)); then
            exported=$SECONDS
            # Beside the rest, which must not wait for it.
            send_export "$EXPORT_WITHIN_S" &
        fi
        if [[ $ended == no ]] && app_ended; then
            ended=yes
            say 'the app ended'
            # The load balancer sees that it is not well any more, and this says why.
            words=$(app_log 20 | last_words 'The app ended by itself.')
        fi
        if [[ -e $UNSAID || $told != "$(running)$(not_running)$words" ]] && tell_ready "$words"; then
            told=$(running)$(not_running)$words
        fi
        # In the background, since a signal is heard only between two commands.
        sleep "$WATCH_EVERY_S" &
        wait $!
    done
}
