#!/usr/bin/env bash
# What the monitor scraped of both arms, put into the bucket where nothing reaches the monitor (`monitor.reach: bucket`): raw
# samples as Prometheus answers them, in parts of five minutes. `boot.sh` runs it once Prometheus answers.
#
# The part of now is written again and again, with all of it that is known; one that has ended is written until that
# succeeded. Each has a place in a ring of URLs.
set -Eeuo pipefail
umask 077

HERE=$(cd "$(dirname "$0")" && pwd)
readonly HERE
# Seconds of a part, and what it holds of the one before: a scrape is stored later than the moment that it is stamped with.
readonly PART_S=300
readonly OVERLAP_S=25
# Between two writes of the part of now.
readonly EVERY_S=10
# Of an answer as it is and packed; the server reads no more.
readonly ANSWER_BYTES=16777216
readonly PACKED_BYTES=4194304
readonly ASK_WITHIN_S=10
readonly PUT_WITHIN_S=20
# curl's word for an answer that is larger than it may be.
readonly TOO_LARGE=63
# Where the places of the ring are among the URLs that `boot.sh` keeps new.
readonly URLS=/run/arya/urls
# The first part that is not whole in the bucket.
readonly NEXT=$HERE/../evidence.next

FOLDER=$(mktemp -d)
readonly FOLDER
trap 'rm -rf "$FOLDER"' EXIT

# On the command line every process could read a URL, and it is a secret for a while.
at_url() {
    local url=$1
    shift
    printf 'url = "%s"\n' "$url" | curl --config - --silent --fail --connect-timeout 10 --max-time "$PUT_WITHIN_S" "$@"
}

# answer PART TO: everything of a part that is known at a moment.
answer() {
    local range=$(($2 - $1 * PART_S + OVERLAP_S))
    curl --silent --fail --noproxy '*' --max-time "$ASK_WITHIN_S" --max-filesize "$ANSWER_BYTES" --output "$FOLDER/answer" \
        --data-urlencode "query=$(<"$HERE/evidence.selector")[${range}s]" --data "time=$2" http://127.0.0.1:9090/api/v1/query
}

# pack PART TO REASON: the part, or why there is none.
pack() {
    {
        printf '{"from":%d,"to":%d,' $(($1 * PART_S)) "$2"
        if [[ -n $3 ]]; then
            printf '"left_out":"%s"}' "$3"
        else
            printf '"answer":'
            cat "$FOLDER/answer"
            printf '}'
        fi
    } | gzip >"$FOLDER/part" || return 1
}

# post PART TO: whether it lies in the bucket.
post() {
    local why='' code=0
    answer "$1" "$2" || code=$?
    case $code in
    0) ;;
    "$TOO_LARGE") why=too_long ;;
    # What is known of the part already stays there.
    *) [[ $good != "$1" ]] && why=no_answer || return 1 ;;
    esac
    pack "$1" "$2" "$why" || return 1
    if (($(stat --format %s "$FOLDER/part") > PACKED_BYTES)); then
        pack "$1" "$2" too_long || return 1
    fi
    at_url "${ring[$1 % ${#ring[@]}]}" --upload-file "$FOLDER/part" --header 'Content-Type:' --output /dev/null && [[ $why != no_answer ]] || return 1
    [[ -n $why ]] || good=$1
}

# The part that was written last with an answer.
good=none
while true; do
    # They are written anew while this runs.
    mapfile -t ring < <(sed -n 's/^evidence //p' "$URLS" || true)
    if ((${#ring[@]})); then
        moment=$(date +%s)
        now=$((moment / PART_S))
        next=$(cat "$NEXT" 2>/dev/null || true)
        # A full disk leaves half a number.
        [[ $next =~ ^[0-9]+$ ]] || next=$now
        # What is written over in the bucket by now is gone; and a clock may have been set back.
        ((next > now - ${#ring[@]})) || next=$((now - ${#ring[@]} + 1))
        ((next <= now)) || next=$now
        while ((next < now)) && post "$next" $(((next + 1) * PART_S)); do
            next=$((next + 1))
        done
        { echo "$next" >"$NEXT.new" && mv "$NEXT.new" "$NEXT"; } || true
        post "$now" "$moment" || true
    fi
    # In the background, since a signal is heard only between two commands.
    sleep "$EVERY_S" &
    wait $!
done
