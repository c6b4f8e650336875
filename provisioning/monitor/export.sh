#!/usr/bin/env bash
# What the monitor recorded, as one archive that outlives it: the series of every panel, the dashboards as they are now, and
# the configs and results of Kayenta. `boot.sh` runs it now and then while the monitor stands, and once more at its end.
#
#   export.sh ARCHIVE
#
# What does not answer, or answers with too much, is left out and named in `left-out.txt`: nothing waits for it.
set -Eeuo pipefail
umask 077

readonly ARCHIVE=$1
HERE=$(cd "$(dirname "$0")" && pwd)
readonly HERE
# Of one answer.
readonly WITHIN_S=5
readonly ANSWER_BYTES=2097152
# Of the archive; the server keeps no more.
readonly ARCHIVE_BYTES=8388608
# Points of a series: what a screen is wide, and a fifth of what Prometheus gives at once.
readonly POINTS=2000
readonly STEP_AT_LEAST_S=15
readonly RESULTS=50

FOLDER=$(mktemp -d)
readonly FOLDER
trap 'rm -rf "$FOLDER"' EXIT

left_out() { echo "$1" >>"$FOLDER/left-out.txt"; }

# ask FILE URL [curl's options]
ask() {
    local file=$FOLDER/$1 url=$2
    shift 2
    mkdir -p "$(dirname "$file")"
    curl --silent --fail --noproxy '*' --max-time "$WITHIN_S" --max-filesize "$ANSWER_BYTES" --output "$file" "$@" "$url" && return
    rm -f "$file"
    left_out "${file#"$FOLDER"/}"
    return 1
}

# names FILE KEY: a key of each object of a list, those only that can be part of an address.
names() {
    python3 - "$FOLDER/$1" "$2" <<'PYTHON'
import json, re, sys

for one in json.load(open(sys.argv[1])):
    name = one.get(sys.argv[2]) if isinstance(one, dict) else None
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name):
        print(name)
PYTHON
}

series() {
    local now begun step name query
    now=$(date +%s)
    # What it was told came once, with its first boot.
    begun=$(stat --format %Y "$HERE/../settings")
    step=$(((now - begun) / POINTS))
    ((step >= STEP_AT_LEAST_S)) || step=$STEP_AT_LEAST_S
    while IFS=$'\t' read -r name query; do
        ask "series/$name.json" http://127.0.0.1:9090/api/v1/query_range --get --data-urlencode "query=$query" \
            --data "start=$begun" --data "end=$now" --data "step=$step" || true
    done <"$HERE/export.queries"
}

dashboards() {
    local grafana=http://127.0.0.1:3000/grafana/api name
    ask dashboards.json "$grafana/search?type=dash-db&limit=100" --header 'X-Arya-User: arya' || return 0
    while read -r name; do
        ask "dashboards/$name.json" "$grafana/dashboards/uid/$name" --header 'X-Arya-User: arya' || true
    done < <(names dashboards.json uid)
}

kayenta() {
    local kayenta=http://127.0.0.1:8090 name
    ask kayenta/configs.json "$kayenta/canaryConfig" || return 0
    while read -r name; do
        ask "kayenta/config-$name.json" "$kayenta/canaryConfig/$name" || true
    done < <(names kayenta/configs.json id)
    ask kayenta/results.json "$kayenta/canary/executions?application=arya&limit=$RESULTS" || true
}

series
dashboards
kayenta
tar --create --gzip --file "$ARCHIVE.new" --directory "$FOLDER" .
if (($(stat --format %s "$ARCHIVE.new") > ARCHIVE_BYTES)); then
    rm -rf "$FOLDER/series"
    left_out 'series: together they are too large'
    tar --create --gzip --file "$ARCHIVE.new" --directory "$FOLDER" .
fi
mv "$ARCHIVE.new" "$ARCHIVE"
