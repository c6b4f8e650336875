#!/usr/bin/env bash
# What an instance does from its first second on: sees to its own end, installs Docker, fetches what it is told to run,
# starts it, warms it up, and says how far it has come.
#
# The values come from two blocks of `readonly ARYA_…=` lines that `arya-plan`'s `user_data` writes, every value quoted there:
# a small one that is put below this first comment, and the settings, which lie in the bucket and are pinned by their digest
# in the small one. After them, in the same object, come the files of `boot/`: what is done with an app, what a monitor does
# besides, and what follows once it is ready. Nothing else is taken from outside. The user data that cloud-init runs only
# installs; the work is a systemd unit, so that a boot after a reboot is the same as the first. Every step may run twice.
#
#   boot.sh            installs itself (what cloud-init runs)
#   boot.sh boot       the boot (arya-boot.service)
#   boot.sh urls       reads anew what this instance sends by (arya-urls.service)
#   boot.sh watch      logs of the containers, and whether the app still runs (arya-watch.service)
#   boot.sh evidence   sends what the monitor scrapes, where nothing reaches it (arya-evidence.service)
#   boot.sh packages   prints what it would have the system install
#   boot.sh range      the range that containers get, given those that are taken on standard input
#   boot.sh mask       standard input with what may point at a person taken out
#   boot.sh hide       standard input with the values of the app's environment taken out
set -Eeuo pipefail
umask 077

readonly STATE=/var/lib/arya
readonly APP=$STATE/app
readonly LOG=$STATE/boot.log
# What is said, and what it is made of, needs no room on a disk that may be full.
readonly SAID=/run/arya
readonly STATUS=$SAID/status.json
readonly TIMELINE=$SAID/timeline
# Bytes of a tail; what `arya try` reports too. With the rest of the document it stays a small object.
readonly TAIL_BYTES=2048
# Bytes of container logs that are kept in the bucket, newest last.
readonly LOGS_BYTES=262144
# Of the URLs, of which a monitor has some seventeen with a session's token of up to some KB each.
readonly URLS_BYTES=262144
# Between two looks for newer URLs; they are there minutes before the old ones end.
readonly URLS_EVERY_S=30
# Docker answers at once, or stands still.
readonly DOCKER_WITHIN_S=30
# A disk with less is called full.
readonly FULL_BELOW_KIB=65536
# A file that came three times with the wrong digest will come so a fourth time.
readonly WRONG_DIGESTS_MAX=3

say() { printf 'arya: %s\n' "$1"; }

# --- time: centiseconds of the machine's own clock, which no time server sets -----------------------------------------

ticks() {
    local up
    read -r up _ </proc/uptime
    echo $((10#${up/./}))
}

seconds() { printf '%d.%02d' $(($1 / 100)) $(($1 % 100)); }

# --- words that leave the machine -----------------------------------------------------------------------------------------

# Logs of a clinic's software name patients in paths and query strings. Query strings go; so do segments of paths that are
# numbers, UUIDs or long hexadecimal words, letters followed by four digits, addresses of people, or long and mixed.
mask() {
    # The only group, so that it is the first; what ends a segment.
    local end='([]/?&#[:space:]"'\''(),;<>:|]|$)' id
    # `HTTP/2` is no path; it is hidden while the paths are masked.
    local -a program=(-e 's#HTTP/#HTTP\x01#g')
    program+=(-e 's#\?[^[:space:]"'\''<>]+#?…#g')
    for id in \
        '[0-9]+' \
        '[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}' \
        '[0-9a-f]*[0-9][0-9a-f]{7,}' '[0-9a-f]{7,}[0-9][0-9a-f]*' \
        '[A-Za-z]*[-_.]?[0-9]{4,}[-_.0-9]*' \
        '[^]/?[:space:]"]*@[^]/?[:space:]"]*' '[^]/?[:space:]"]*%40[^]/?[:space:]"]*' \
        '[A-Za-z0-9_=-]{10,}[0-9][A-Za-z0-9_=-]{9,}'; do
        program+=(-e ":again${#program[@]}" -e "s#/$id$end#/…\\1#g;tagain${#program[@]}")
    done
    LC_ALL=C sed -E "${program[@]}" -e 's#HTTP\x01#HTTP/#g'
}

# The values of the app's environment, one a line; of those that have several lines each line. Quoted as in an env file, and
# as the app gets them.
secret_values() {
    [[ ! -e $STATE/environment ]] || cat "$STATE/environment.values" || return 1
    [[ ! -e $APP/.env ]] || LC_ALL=C awk '
        function tell(value) {
            print value
            if (gsub(/\\n/, "\n", value) + gsub(/\\["'\'']/, "\"", value)) print value
        }
        { sub(/\r$/, "") }
        quote != "" { value = $0 }
        quote == "" {
            at = match($0, /[=:]/)
            if (!at || /^[ \t]*#/) next
            value = substr($0, at + 1)
            gsub(/^[ \t]+|[ \t]+$/, "", value)
            quote = substr(value, 1, 1)
            if (quote != "\"" && quote != "'\''") {
                quote = ""
                tell(value)
                if (sub(/[ \t]+#.*$/, "", value)) tell(value)
                next
            }
            value = substr(value, 2)
        }
        {
            from = 1
            while ((at = index(substr(value, from), quote)) && substr(value, from + at - 2, 1) == "\\") from += at
            if (at) {
                value = substr(value, 1, from + at - 2)
                quote = ""
            }
            tell(value)
        }' "$APP/.env"
}

# Standard input without these values, where they are long enough to be one. They are looked for as they are, never as
# patterns, the longest first, and no command line shows them. Where they cannot be read, nothing passes.
hide() {
    local values
    if ! values=$(secret_values | LC_ALL=C awk 'length($0) >= 8 { print length($0), $0 }' | LC_ALL=C sort -rn | cut -d' ' -f2-); then
        cat >/dev/null
        return 0
    fi
    LC_ALL=C tr -d '\000' | LC_ALL=C awk '
        !text { if ($0 != "") values[++count] = $0; next }
        {
            line = $0
            for (i = 1; i <= count; i++) {
                shown = ""
                while (at = index(line, values[i])) {
                    shown = shown substr(line, 1, at - 1) "…"
                    line = substr(line, at + length(values[i]))
                }
                line = shown line
            }
            print line
        }' <(printf '%s\n' "$values") text=1 -
}

# Standard input as the inside of a JSON string. Colours and other control characters are left out.
json_text() {
    LC_ALL=C tr -d '\000-\010\013-\037\177' |
        { iconv -c -f UTF-8 -t UTF-8 || true; } |
        LC_ALL=C sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' |
        LC_ALL=C sed -e ':all' -e 'N' -e '$!ball' -e 's/\n/\\n/g'
}

# last_words SENTENCE: the sentence, then as much as has room of the end of standard input, masked.
last_words() {
    local sentence
    sentence=$(hide <<<"$1" | mask | head -c $((TAIL_BYTES / 2)))
    printf '%s\n' "$sentence"
    hide | mask | tail -c $((TAIL_BYTES - ${#sentence} - 1))
}

# --- reports -------------------------------------------------------------------------------------------------------------

# curl with the URL on its standard input: on the command line every process could read it, and it is a secret for a while.
at_url() {
    local url=$1
    shift
    printf 'url = "%s"\n' "$url" | curl --config - --silent --show-error --connect-timeout 10 "$@"
}

# Where this instance sends and reads again and again. Such URLs end with the session that signed them, so the server writes
# them anew in an object, of which the first line is where it is read next. A reboot finds the last ones on the disk, where
# there is room.
readonly URLS=$SAID/urls
readonly URLS_KEPT=$STATE/urls

# url_of NAME: the latest one, or nothing.
url_of() {
    local file=$URLS
    [[ -s $file ]] || file=$URLS_KEPT
    [[ ! -s $file ]] || sed -n "/^$1 /{s///p;q}" "$file"
}

renew_urls() {
    local from
    from=$(url_of these)
    at_url "${from:-$ARYA_URLS_URL}" --fail --max-time 20 --retry 2 --retry-connrefused --max-filesize "$URLS_BYTES" \
        --output "$URLS.new" 2>>"$LOG" || return 0
    # Half of it would be of no use, and what is no URL would be another line for curl. Renamed, so that nobody reads half.
    [[ $(tail -n 1 "$URLS.new") == end ]] && ! LC_ALL=C grep -qvE '^[a-z]+ https?://[]!#-[^-~]+$|^end$' "$URLS.new" || return 0
    mv "$URLS.new" "$URLS"
    { cp "$URLS" "$URLS_KEPT.new" && mv "$URLS_KEPT.new" "$URLS_KEPT"; } 2>>"$LOG" || true
}

urls() {
    # shellcheck source=/dev/null
    . "$STATE/settings"
    by_proxy
    while true; do
        sleep "$URLS_EVERY_S"
        renew_urls
    done
}

put() {
    local url=$1 file=$2
    # Some images come without curl; it is among the packages, so a later report gets through.
    command -v curl >/dev/null || return 1
    at_url "$url" --fail --upload-file "$file" --header 'Content-Type:' --max-time 20 --retry 2 --retry-connrefused \
        --output /dev/null 2>>"$LOG"
}

instance_id() { cat /var/lib/cloud/data/instance-id 2>/dev/null || hostname; }

# Which images run here, as JSON strings: the digest of the file, then the ids that Docker gives what was in it.
images() {
    [[ -n ${ARYA_IMAGE_SHA256:-} ]] || return 0
    printf '"sha256:%s"' "$ARYA_IMAGE_SHA256"
    [[ ! -e $STATE/image-ids ]] || sed 's/.*/,"&"/' "$STATE/image-ids" | tr -d '\n'
}

# What was started later and runs, as JSON strings.
running() {
    local marker names=''
    for marker in "$STATE"/later.*; do
        [[ ! -e $marker ]] || names+=",\"${marker##*/later.}\""
    done
    printf '%s' "${names#,}"
}

# What does not run yet and why, as members of a JSON object.
not_running() {
    local why names=''
    for why in "$SAID"/why.*; do
        [[ ! -s $why ]] || names+=",\"${why##*/why.}\":\"$(json_text <"$why")\""
    done
    printf '%s' "${names#,}"
}

# status_document PHASE [TAIL]
status_document() {
    printf '{"role":"%s","instance":"%s","phase":"%s","at":"%s",' \
        "$ARYA_ROLE" "$(instance_id | json_text)" "$1" "$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)"
    [[ -z ${2:-} ]] || printf '"tail":"%s",' "$(json_text <<<"$2")"
    # Of the monitor's own key, for the server to accept no other.
    [[ ! -e $STATE/proxy.crt ]] || printf '"certificate_sha256":"%s",' \
        "$(openssl x509 -in "$STATE/proxy.crt" -outform DER | sha256sum | cut -d' ' -f1)"
    printf '"running":[%s],"not_running":{%s},' "$(running)" "$(not_running)"
    printf '"timeline":[%s],' "$(paste -sd, "$TIMELINE" 2>/dev/null)"
    printf '"fingerprint":{"images":[%s],"kernel":"%s","type":"%s"}}\n' \
        "$(images)" "$(uname -sr | json_text)" "$ARYA_INSTANCE_TYPE"
}

# Whether the last word did not arrive.
readonly UNSAID=$SAID/unsaid

put_status() {
    local url
    url=$(url_of status)
    if put "${url:-$ARYA_STATUS_URL}" "$STATUS"; then
        rm -f "$UNSAID"
    else
        touch "$UNSAID"
        return 1
    fi
}

# report PHASE [TAIL]. One that does not get through does not stop the boot: the next one says more.
report() {
    local phase=$1 after
    after=$(seconds $(($(ticks) - STARTED)))
    printf '{"phase":"%s","after_s":%s}\n' "$phase" "$after" >>"$TIMELINE"
    status_document "$phase" "${2:-}" >"$STATUS"
    say "$phase after $after s"
    put_status || say 'this could not be reported to the bucket'
}

# Which disks have next to nothing left, as `/var has 12K left`.
full_disks() {
    { df --output=avail,target "$STATE" /var/lib/docker 2>/dev/null || true; } | sort -u |
        awk -v least="$FULL_BELOW_KIB" '$1 ~ /^[0-9]+$/ && $1 < least { printf "%s%s has %d KiB left", sep, $2, $1; sep = ", " }'
}

# fail SENTENCE: the end of this boot. The instance stays for forensics until its end.
fail() {
    trap - ERR EXIT
    # Whatever of the rest cannot be had.
    set +e
    local words sentence=$1
    [[ -z $(full_disks) ]] || sentence+=" The disk is full: $(full_disks)."
    words=$({ tail -n 40 "$LOG"; app_log 20; } 2>/dev/null | last_words "$sentence")
    say "$(mask <<<"$sentence")"
    report failed "$words"
    # The last word must arrive; `report` has tried thrice by now.
    local left=60
    until put_status || ((--left == 0)); do sleep 10; done
    [[ -n $(url_of logs) || -z ${ARYA_URLS_URL:-} ]] || renew_urls
    send_logs
    exit 1
}

app_log() {
    [[ -e $APP/compose.yaml ]] && command -v docker >/dev/null || return 0
    COMPOSE_WITHIN_S=$DOCKER_WITHIN_S compose logs --no-color --no-log-prefix --tail "$1" 2>&1 || true
}

# --- the end, before anything else -------------------------------------------------------------------------------------------

unit() { cat >"/etc/systemd/system/$1"; }

# The rule goes long before this: the end is the deployment's own, and a day. It is for the case that nobody is left.
install_end() {
    unit arya-end.service <<'UNIT'
[Unit]
Description=The end of this instance of Arya
DefaultDependencies=no

[Service]
Type=oneshot
ExecStart=/sbin/shutdown -P now
UNIT
    unit arya-end.timer <<UNIT
[Unit]
Description=When this instance of Arya ends

[Timer]
OnCalendar=$(date -u -d "@$ARYA_ENDS_AT" '+%Y-%m-%d %H:%M:%S UTC')
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
UNIT
    systemctl daemon-reload
    systemctl enable --quiet --now arya-end.timer
}

# A machine that was off at its end has missed its timer.
end_if_over() {
    if (($(date +%s) >= ARYA_ENDS_AT)); then
        say 'this instance is past its end and shuts down'
        shutdown -P now
        exit 0
    fi
}

install() {
    mkdir -p "$APP"
    command install -m 0700 "$0" "$STATE/boot.sh"
    install_end
    end_if_over
    unit arya-boot.service <<UNIT
[Unit]
Description=Boot of an instance of Arya
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=infinity
ExecStart=$STATE/boot.sh boot
StandardOutput=journal+console

[Install]
WantedBy=multi-user.target
UNIT
    unit arya-watch.service <<UNIT
[Unit]
Description=Logs of an instance of Arya
# Stopped before Docker is, so that the last words are read.
After=docker.service

[Service]
ExecStart=$STATE/boot.sh watch
# What it starts for its last words must not be told to end with it.
KillMode=mixed
# One write that fails on a full disk must not end it.
Restart=always
RestartSec=10
StandardOutput=journal+console
UNIT
    unit arya-urls.service <<UNIT
[Unit]
Description=What an instance of Arya sends by
After=network-online.target

[Service]
ExecStart=$STATE/boot.sh urls
Restart=always
RestartSec=10
UNIT
    systemctl daemon-reload
    systemctl enable --quiet arya-boot.service
    systemctl start --no-block arya-boot.service
}

# --- packages ----------------------------------------------------------------------------------------------------------------

# Prints the packages that this system is to have; they come from its own signed repositories and from nowhere else.
wanted_packages() {
    local ID='' VERSION_ID=''
    # shellcheck source=/dev/null
    . /etc/os-release
    local more=''
    # The monitor's door, with the tool that makes its key.
    [[ ${ARYA_ROLE:-} != monitor ]] || more=' nginx-light openssl'
    case "$ID $VERSION_ID" in
    'debian 13') echo "docker.io docker-cli docker-compose prometheus-node-exporter curl ca-certificates$more" ;;
    'ubuntu 24.04') echo "docker.io docker-compose-v2 prometheus-node-exporter curl ca-certificates$more" ;;
    *) return 1 ;;
    esac
}

apt() {
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -o Acquire::Retries=2 -o DPkg::Lock::Timeout=300 \
        -o APT::Update::Error-Mode=any -o Dpkg::Use-Pty=0 "$@" >>"$LOG" 2>&1
}

# Whole: one that was only unpacked when the power went is not.
installed() {
    [[ $(dpkg-query --show --showformat '${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed) -eq $# ]]
}

install_packages() {
    local wanted deadline
    wanted=$(wanted_packages) || fail "This system is $(sed -n 's/^PRETTY_NAME=//p' /etc/os-release), and instances are set up on \
Debian 13 and Ubuntu 24.04 only. Choose such an image with \`instances.ami\`, or leave it out."
    # An upgrade in one arm alone would be a difference that nobody asked for.
    systemctl disable --quiet --now apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service 2>>"$LOG" || true
    # shellcheck disable=SC2086 # words of ours
    if installed $wanted; then return; fi
    deadline=$((SECONDS + ARYA_PACKAGES_WITHIN_S))
    # shellcheck disable=SC2086
    until dpkg --configure -a >>"$LOG" 2>&1 && apt update && apt install --no-install-recommends $wanted; do
        ((SECONDS < deadline)) || fail "The packages of the distribution could not be installed within \
$ARYA_PACKAGES_WITHIN_S s. Check that the subnet reaches its mirror, or set \`instances.http_proxy\`."
        sleep 5
    done
}

# Where containers may have their networks, in the order in which they are tried. Docker's own choice, 172.17.0.0/16 and all
# that follow, is where many networks have their machines, which containers could not reach then.
readonly CONTAINER_RANGES=(192.168.240.0/20 10.254.240.0/20 172.31.240.0/20 198.18.240.0/20)

# first_and_last A.B.C.D[/BITS]: of its addresses, as numbers.
first_and_last() {
    local a b c d bits=32 size
    IFS=./ read -r a b c d bits <<<"$1/32"
    bits=${bits%%/*}
    size=$((1 << (32 - bits)))
    a=$(((a << 24 | b << 16 | c << 8 | d) & ~(size - 1)))
    echo "$a $((a + size - 1))"
}

# The first range that has no address of those on standard input, one a line; where every one has, the first.
container_range() {
    local range first last taken from to
    local -a lines
    mapfile -t lines < <(grep -oE '^[0-9]+(\.[0-9]+){3}(/[0-9]+)?' || true)
    for range in "${CONTAINER_RANGES[@]}"; do
        read -r first last < <(first_and_last "$range")
        for taken in ${lines[@]+"${lines[@]}"}; do
            read -r from to < <(first_and_last "$taken")
            if ((from <= last && to >= first)); then continue 2; fi
        done
        echo "$range"
        return
    done
    echo "${CONTAINER_RANGES[0]}"
}

# What this machine knows to be taken: its network's ranges, as EC2 tells them, and where its routes lead.
taken_ranges() {
    local token mac
    token=$(metadata api/token --request PUT --max-time 2 --retry 0 --header 'X-aws-ec2-metadata-token-ttl-seconds: 60') &&
        mac=$(metadata meta-data/mac --header "X-aws-ec2-metadata-token: $token") &&
        metadata "meta-data/network/interfaces/macs/$mac/vpc-ipv4-cidr-blocks" --header "X-aws-ec2-metadata-token: $token" &&
        echo
    { ip -4 route 2>>"$LOG" | grep -E '^[0-9]'; } || true
}

# Before Docker is installed, so that it starts with them.
docker_settings() {
    mkdir -p /etc/docker
    # Chosen once: at the next boot the containers' own networks are among the routes.
    [[ -s $STATE/containers ]] || taken_ranges | container_range >"$STATE/containers"
    # A log without a limit fills the disk of a canary that fails loudly.
    printf '{"log-driver":"json-file","log-opts":{"max-size":"20m","max-file":"3"},"default-address-pools":[{"base":"%s","size":26}]}\n' \
        "$(<"$STATE/containers")" >/etc/docker/daemon.json
    [[ -n $ARYA_HTTP_PROXY ]] || return 0
    mkdir -p /etc/systemd/system/docker.service.d
    # A percent sign has a meaning in units.
    printf '[Service]\nEnvironment="HTTP_PROXY=%s" "HTTPS_PROXY=%s"\n' "${ARYA_HTTP_PROXY//%/%%}" "${ARYA_HTTP_PROXY//%/%%}" \
        >/etc/systemd/system/docker.service.d/proxy.conf
}

start_docker() {
    systemctl start docker >>"$LOG" 2>&1 || fail 'Docker did not start.'
    local tries=20
    until timeout "$DOCKER_WITHIN_S" docker info >/dev/null 2>&1; do
        ((--tries)) || fail 'Docker started and does not answer.'
        sleep 1
    done
}

# --- files ----------------------------------------------------------------------------------------------------------------

# Whether an answer of the bucket says that its URL is worth nothing any more.
has_expired() { grep -qsE 'ExpiredToken|Request has expired' "$1"; }

has_digest() { [[ -f $2 ]] && sha256sum --status --check <<<"$1  $2" 2>/dev/null; }

# fetch NAME URL SHA256 FILE. Waits while the upload still runs; S3 says 404 or 403 of an object that is not there.
fetch() {
    local name=$1 url=$2 digest=$3 file=$4 wrong=0 answer deadline=$((SECONDS + ${ARYA_FETCH_WITHIN_S:-300}))
    # What came once is not asked for again: an app may write into its own files, and a secret is not there any more.
    ! { [[ -f $file ]] && grep -qsxF "$digest $file" "$STATE/fetched"; } || return 0
    # Containers that do not run as root must get into it.
    (umask 022 && mkdir -p "$(dirname "$file")")
    while true; do
        answer=$(at_url "$url" --speed-limit 1 --speed-time 60 --output "$file.part" --write-out '%{http_code}' 2>>"$LOG") ||
            { [[ $? -ne 23 ]] || fail "The disk took no more of the $name."; }
        if [[ $answer == 200 ]]; then
            if has_digest "$digest" "$file.part"; then break; fi
            ((++wrong < WRONG_DIGESTS_MAX)) || fail "The $name came $wrong times with another digest than the one that was \
uploaded, sha256:$digest; nothing of it was started. Upload it again."
        elif has_expired "$file.part"; then
            fail "The URL of the $name expired before it was fetched. It lives as long as the credentials that signed it; \
destroy, and start with fresh ones."
        fi
        ((SECONDS < deadline)) || fail "The $name did not come out of the bucket within ${ARYA_FETCH_WITHIN_S:-300} s; the last \
answer was $answer."
        sleep 1
    done
    mv "$file.part" "$file"
    echo "$digest $file" >>"$STATE/fetched"
}

# fetch_once NAME URL SHA256 FILE DELETE_URL: what may be a secret leaves the bucket as soon as it is here.
fetch_once() {
    fetch "$1" "$2" "$3" "$4"
    ! grep -qsxF "$3 $4" "$STATE/removed" || return 0
    # Its only copy, from now on.
    sync "$4" "$STATE/fetched"
    if at_url "$5" --fail --request DELETE --max-time 20 --retry 2 --retry-connrefused --output /dev/null 2>>"$LOG"; then
        echo "$3 $4" >>"$STATE/removed"
    else
        say "the $1 could not be removed from the bucket; the next boot tries again, and the bucket goes with the deployment"
    fi
}

# Files of ours, which came inside the settings.
write_files() {
    local at file
    for ((at = 0; at < ${#ARYA_WRITTEN[@]}; at += 2)); do
        file=$APP/${ARYA_WRITTEN[at]}
        (umask 022 && mkdir -p "$(dirname "$file")")
        printf '%s' "${ARYA_WRITTEN[at + 1]}" >"$file"
        chmod 0644 "$file"
    done
}

# The second block of values, and the rest of this script. Its digest came with the user data, so it is as good as that.
read_settings() {
    # It is run, and a power cut may have emptied it.
    has_digest "$ARYA_SETTINGS_SHA256" "$STATE/settings" || rm -f "$STATE/settings"
    fetch settings "$ARYA_SETTINGS_URL" "$ARYA_SETTINGS_SHA256" "$STATE/settings"
    # shellcheck source=/dev/null
    . "$STATE/settings"
}

# --- the app's environment from the account's own stores --------------------------------------------------------------------

readonly METADATA=http://169.254.169.254/latest

# metadata PATH [curl's options]
metadata() {
    local path=$1
    shift
    curl --silent --show-error --fail --noproxy '*' --max-time 5 --retry 3 "$@" "$METADATA/$path" 2>>"$LOG"
}

images_there() {
    local name
    [[ -s $STATE/image-names ]] || return 1
    while read -r name; do
        docker image inspect "$name" >/dev/null 2>&1 || return 1
    done <"$STATE/image-names"
}

fetch_files() {
    write_files
    # First what may be a secret, so that it does not lie in the bucket while the image is still on its way.
    if [[ -n $ARYA_ENV_FILE_URL ]]; then
        # Where compose looks by itself. It stays on the disk, readable by root alone: a reboot needs it again.
        fetch_once 'env file' "$ARYA_ENV_FILE_URL" "$ARYA_ENV_FILE_SHA256" "$APP/.env" "$ARYA_ENV_FILE_REMOVE_URL"
    fi
    local at path
    for ((at = 0; at < ${#ARYA_FILES[@]}; at += 4)); do
        path=${ARYA_FILES[at]}
        # A relative path is beside the compose file.
        [[ $path == /* ]] || path=$APP/$path
        fetch_once "file ${ARYA_FILES[at]}" "${ARYA_FILES[at + 1]}" "${ARYA_FILES[at + 2]}" "$path" "${ARYA_FILES[at + 3]}"
        # Containers seldom run as root.
        chmod 0644 "$path"
    done
    chmod 0755 "$APP"
    if [[ -n $ARYA_COMPOSE_URL ]]; then
        fetch 'compose file' "$ARYA_COMPOSE_URL" "$ARYA_COMPOSE_SHA256" "$APP/compose.yaml"
    fi
    if ((${#ARYA_IMAGE_PIECES[@]})) && ! images_there; then
        fetch_image
    fi
}

# The archive, piece by piece as it lies in the bucket. One that is there is whole.
fetch_image() {
    local at whole=$STATE/image.part
    [[ ! -f $STATE/image ]] || return 0
    rm -f "$whole" "$STATE/piece"
    for ((at = 0; at < ${#ARYA_IMAGE_PIECES[@]}; at += 2)); do
        fetch 'image archive' "${ARYA_IMAGE_PIECES[at]}" "${ARYA_IMAGE_PIECES[at + 1]}" "$STATE/piece"
        if ((at == 0)); then
            mv "$STATE/piece" "$whole"
        else
            cat "$STATE/piece" >>"$whole" 2>>"$LOG" || fail 'The disk took no more of the image archive.'
            rm "$STATE/piece"
        fi
    done
    has_digest "$ARYA_IMAGE_SHA256" "$whole" ||
        fail "The pieces of the image archive do not make up the one that was uploaded, sha256:$ARYA_IMAGE_SHA256. Upload it again."
    mv "$whole" "$STATE/image"
}

load_images() {
    [[ -e $STATE/image ]] || return 0
    docker load --input "$STATE/image" >"$STATE/loaded" 2>>"$LOG" ||
        fail 'Docker could not load the image archive, although it is the one that was uploaded.'
    cat "$STATE/loaded" >>"$LOG"
    sed -nE 's/^Loaded image( ID)?: //p' "$STATE/loaded" >"$STATE/image-names"
    xargs -r docker image inspect --format '{{.Id}}' <"$STATE/image-names" >"$STATE/image-ids"
    # Its bytes are in Docker's own store now, and disks are small.
    rm -f "$STATE/image"
}

# --- the app ----------------------------------------------------------------------------------------------------------------

compose() {
    local -a files=(--file "$APP/compose.yaml")
    [[ ! -e $STATE/compose.more.json ]] || files+=(--file "$STATE/compose.more.json")
    ${COMPOSE_WITHIN_S:+timeout "$COMPOSE_WITHIN_S"} \
        docker compose --project-name app --project-directory "$APP" "${files[@]}" "$@"
}

# Whether every container of the app's service ended and none will be started again.
app_ended() {
    local states
    states=$(COMPOSE_WITHIN_S=$DOCKER_WITHIN_S compose ps --all --format '{{.State}}' "$ARYA_APP_SERVICE" 2>>"$LOG") || return 1
    [[ -n $states ]] && ! grep -qvE 'exited|dead' <<<"$states"
}

# --- the monitor ------------------------------------------------------------------------------------------------------------

by_proxy() {
    [[ -z $ARYA_HTTP_PROXY ]] ||
        export http_proxy=$ARYA_HTTP_PROXY https_proxy=$ARYA_HTTP_PROXY no_proxy=localhost,127.0.0.1,169.254.169.254
}

boot() {
    STARTED=$(ticks)
    mkdir -p "$APP" "$SAID"
    : >"$LOG"
    : >"$TIMELINE"
    trap 'fail "The boot script broke off in line $LINENO of ${BASH_SOURCE[0]##*/}."' ERR
    # An unset value ends the shell without an error.
    trap '(($? == 0)) || fail "The boot script broke off."' EXIT
    end_if_over
    by_proxy
    report booting
    docker_settings
    install_packages
    start_docker
    report docker_ready
    read_settings
    renew_urls
    systemctl start --no-block arya-urls.service
    fetch_files
    read_environment
    report fetched
    load_images
    report loaded
    fetch_targets
    start_proxy
    start_app
    wait_until_up
    report up
    warm_up
    report ready
    systemctl start --no-block arya-watch.service
    # Where nothing reaches a monitor, it sends what it scrapes. An arm's files are the app's own.
    [[ $ARYA_ROLE != monitor || ! -e $APP/evidence.sh ]] || systemd-run --quiet --unit arya-evidence \
        --property Restart=always --property RestartSec=10 "$STATE/boot.sh" evidence || true
}

evidence() {
    by_proxy
    exec bash "$APP/evidence.sh"
}

# --- afterwards -------------------------------------------------------------------------------------------------------------

# Container logs, without the app's secrets and masked, newest last; only when there is something new.
send_logs() {
    local url
    url=$(url_of logs)
    [[ -n $url && -e $APP/compose.yaml ]] && command -v docker >/dev/null || return 0
    COMPOSE_WITHIN_S=$DOCKER_WITHIN_S compose logs --no-color --timestamps --tail 5000 2>&1 | hide | mask | tail -c "$LOGS_BYTES" >"$SAID/logs.new" || true
    [[ -s $SAID/logs.new ]] || return 0
    if ! cmp -s "$SAID/logs.new" "$SAID/logs" && put "$url" "$SAID/logs.new"; then
        mv "$SAID/logs.new" "$SAID/logs"
    fi
}

case "${1:-install}" in
install) install ;;
boot) boot ;;
urls) urls ;;
watch)
    # shellcheck source=/dev/null
    . "$STATE/settings"
    watch
    ;;
evidence) evidence ;;
packages) wanted_packages ;;
range) container_range ;;
mask) mask ;;
hide) hide ;;
*)
    say "there is no command $1"
    exit 3
    ;;
esac
