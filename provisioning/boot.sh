#!/usr/bin/env bash
# What an instance does from its first second on: sees to its own end, installs Docker, fetches what it is told to run,
# starts it, warms it up, and says how far it has come.
#
# The values come from two blocks of `readonly ARYA_…=` lines that `arya-plan`'s `user_data` writes, every value quoted there:
# a small one that is put below this first comment, and the settings, which lie in the bucket and are pinned by their digest
# in the small one. Nothing else is taken from outside. The user data that cloud-init runs only installs; the work is a
# systemd unit, so that a boot after a reboot is the same as the first. Every step may run twice.
#
#   boot.sh            installs itself (what cloud-init runs)
#   boot.sh boot       the boot (arya-boot.service)
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
# Between two looks at the containers.
readonly WATCH_EVERY_S=10
# Between two exports of what a monitor recorded, how long one may take, and the last one, for which a shutdown waits.
readonly EXPORT_EVERY_S=60
readonly EXPORT_WITHIN_S=50
readonly LAST_EXPORT_WITHIN_S=20
# Bytes of the sentence that says why one of these does not run.
readonly WHY_BYTES=300
# Between two tries to start what the monitor has besides Prometheus: at first, and at most, as each is twice the one before.
readonly LATER_AGAIN_S=10
readonly LATER_AGAIN_AT_MOST_S=320
# A registry that sends nothing more, and another service whose start does not end, hold one try up no longer than that.
readonly PULL_WITHIN_S=1800
readonly START_WITHIN_S=600
# Bytes of the log of a machine that stands for days; half of them stay when it has more.
readonly LOG_BYTES=1048576
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

# report PHASE [TAIL]. One that does not get through does not stop the boot: the next one says more.
report() {
    local phase=$1 after
    after=$(seconds $(($(ticks) - STARTED)))
    printf '{"phase":"%s","after_s":%s}\n' "$phase" "$after" >>"$TIMELINE"
    status_document "$phase" "${2:-}" >"$STATUS"
    say "$phase after $after s"
    put "$ARYA_STATUS_URL" "$STATUS" || say 'this could not be reported to the bucket'
}

# Which disks have next to nothing left, as `/var has 12K left`.
full_disks() {
    df --output=avail,target "$STATE" /var/lib/docker 2>/dev/null | sort -u |
        awk -v least="$FULL_BELOW_KIB" '$1 ~ /^[0-9]+$/ && $1 < least { printf "%s%s has %d KiB left", sep, $2, $1; sep = ", " }'
}

# fail SENTENCE: the end of this boot. The instance stays for forensics until its end.
fail() {
    trap - ERR
    local words sentence=$1
    [[ -z $(full_disks) ]] || sentence+=" The disk is full: $(full_disks)."
    words=$({ tail -n 40 "$LOG"; app_log 20; } 2>/dev/null | last_words "$sentence")
    say "$(mask <<<"$sentence")"
    report failed "$words"
    # The last word must arrive; `report` has tried thrice by now.
    local left=60
    until put "$ARYA_STATUS_URL" "$STATUS" || ((--left == 0)); do sleep 10; done
    send_logs
    exit 1
}

app_log() {
    [[ -e $APP/compose.yaml ]] && command -v docker >/dev/null || return 0
    compose logs --no-color --no-log-prefix --tail "$1" 2>&1 || true
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
# One write that fails on a full disk must not end it.
Restart=always
RestartSec=10
StandardOutput=journal+console
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
    local tries=100
    until docker info >/dev/null 2>&1; do
        ((--tries)) || fail 'Docker started and does not answer.'
        sleep 0.2
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

# The second block of values. Its digest came with the user data, so it is as good as that.
read_settings() {
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

# field NAME: a text of a JSON object of texts.
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" <<<"$2"; }

# Who the instance's profile says it is. For minutes, which is long enough.
sign_in() {
    local -a token
    local role keys
    token=(--header "X-aws-ec2-metadata-token: $(metadata api/token --request PUT \
        --header 'X-aws-ec2-metadata-token-ttl-seconds: 300' || true)")
    role=$(metadata meta-data/iam/security-credentials/ "${token[@]}") ||
        fail "This instance has no profile, and \`env_from\` is read with its rights. Name one in \`instances.profile\`."
    if ! { keys=$(metadata "meta-data/iam/security-credentials/$role" "${token[@]}") &&
        REGION=$(metadata meta-data/placement/region "${token[@]}") &&
        DOMAIN=$(metadata meta-data/services/domain "${token[@]}"); }; then
        fail "The instance's own metadata does not say who it is in the role $role."
    fi
    KEYS=$(field AccessKeyId "$keys"):$(field SecretAccessKey "$keys")
    SESSION=$(field Token "$keys")
}

# signed SERVICE CALL BODY: the answer in $STATE/answer. Keys go to curl on its standard input, as URLs do.
signed() {
    printf 'user = "%s"\nheader = "X-Amz-Security-Token: %s"\nurl = "%s"\n' "$KEYS" "$SESSION" \
        "${ARYA_AWS_ENDPOINT:-https://$1.$REGION.$DOMAIN}/" |
        curl --config - --silent --show-error --fail-with-body --connect-timeout 10 --max-time 20 --retry 3 \
            --aws-sigv4 "aws:amz:$REGION:$1" --header 'Content-Type: application/x-amz-json-1.1' \
            --header "X-Amz-Target: $2" --data-raw "$3" --output "$STATE/answer" 2>>"$LOG"
}

# Adds what an answer holds to $STATE/environment; prints where the next page begins. Systems with cloud-init have Python.
take() {
    python3 - "$STATE/answer" "$STATE/environment.new" "$STATE/environment.values" <<'PYTHON'
import json, sys

answer, found = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
if "SecretString" in answer:
    for name, value in json.loads(answer["SecretString"]).items():
        found[name] = value if isinstance(value, str) else json.dumps(value)
else:
    for one in answer.get("Parameters", []) + [one for one in [answer.get("Parameter")] if one]:
        found[one["Name"].rsplit("/", 1)[-1]] = one["Value"]
json.dump(found, open(sys.argv[2], "w"))
with open(sys.argv[3], "wb") as values:
    values.write("".join(value + "\n" for value in found.values()).encode("utf-8", "surrogatepass"))
print(answer.get("NextToken") or "")
PYTHON
}

# parameters PATH: everything below it, or the one of that name.
parameters() {
    local path next='' before
    path=$(json_text <<<"$1")
    before=$(<"$STATE/environment.new")
    while true; do
        signed ssm AmazonSSM.GetParametersByPath \
            "{\"Path\":\"$path\",\"WithDecryption\":true${next:+,\"NextToken\":\"$next\"}}" && next=$(take) || return 1
        [[ -n $next ]] || break
    done
    [[ $before == "$(<"$STATE/environment.new")" ]] || return 0
    signed ssm AmazonSSM.GetParameter "{\"Name\":\"$path\",\"WithDecryption\":true}" && take >/dev/null
}

# Read once, so that a reboot does not change what is compared.
read_environment() {
    local from
    if ((${#ARYA_ENV_FROM[@]} == 0)) || [[ -e $STATE/environment ]]; then return; fi
    sign_in
    echo '{}' >"$STATE/environment.new"
    : >"$STATE/environment.values"
    for from in "${ARYA_ENV_FROM[@]}"; do
        case "$from" in
        ssm:*) parameters "${from#ssm:}" ;;
        *) signed secretsmanager secretsmanager.GetSecretValue "{\"SecretId\":\"$(json_text <<<"${from#secretsmanager:}")\"}" && take >/dev/null ;;
        esac || fail "\`$from\` could not be read: $(field __type "$(<"$STATE/answer")"). The role of \`instances.profile\` must be \
allowed to read and decrypt it, and a secret must be an object of texts."
    done
    rm -f "$STATE/answer"
    mv "$STATE/environment.new" "$STATE/environment"
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
    if [[ -n $ARYA_IMAGE_URL ]] && ! images_there; then
        fetch 'image archive' "$ARYA_IMAGE_URL" "$ARYA_IMAGE_SHA256" "$STATE/image"
    fi
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
    compose up --detach --no-build --no-deps --quiet-pull "${ARYA_SERVICES[@]}" >>"$LOG" 2>&1 ||
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

# Whether every container of the app's service ended and none will be started again.
app_ended() {
    local states
    states=$(compose ps --all --format '{{.State}}' "$ARYA_APP_SERVICE" 2>>"$LOG") || return 1
    [[ -n $states ]] && ! grep -qvE 'exited|dead' <<<"$states"
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

# --- the monitor ------------------------------------------------------------------------------------------------------------

# Whom to watch. It has no digest: it changes while the monitor stands, as instances come and go.
fetch_targets() {
    [[ -n $ARYA_TARGETS_URL ]] || return 0
    local file=$APP/prometheus/targets.json
    at_url "$ARYA_TARGETS_URL" --fail --max-time 20 --output "$STATE/targets.new" 2>>"$LOG" || return 0
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

by_proxy() {
    [[ -z $ARYA_HTTP_PROXY ]] ||
        export http_proxy=$ARYA_HTTP_PROXY https_proxy=$ARYA_HTTP_PROXY no_proxy=localhost,127.0.0.1,169.254.169.254
}

boot() {
    STARTED=$(ticks)
    mkdir -p "$APP" "$SAID"
    : >"$LOG"
    : >"$TIMELINE"
    trap 'fail "The boot script broke off in line $LINENO."' ERR
    end_if_over
    by_proxy
    report booting
    docker_settings
    install_packages
    start_docker
    report docker_ready
    read_settings
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
    # Where nothing reaches a monitor, it sends what it scrapes.
    [[ -z $ARYA_EVIDENCE_URL ]] || systemd-run --quiet --unit arya-evidence --property Restart=always --property RestartSec=10 \
        "$STATE/boot.sh" evidence || true
}

evidence() {
    # shellcheck source=/dev/null
    . "$STATE/settings"
    by_proxy
    export ARYA_EVIDENCE_URL
    exec bash "$APP/evidence.sh"
}

# --- afterwards -------------------------------------------------------------------------------------------------------------

# Container logs, without the app's secrets and masked, newest last; only when there is something new.
send_logs() {
    [[ -n ${ARYA_LOGS_URL:-} && -e $APP/compose.yaml ]] && command -v docker >/dev/null || return 0
    compose logs --no-color --timestamps --tail 5000 2>&1 | hide | mask | tail -c "$LOGS_BYTES" >"$SAID/logs.new" || true
    [[ -s $SAID/logs.new ]] || return 0
    if ! cmp -s "$SAID/logs.new" "$SAID/logs" && put "$ARYA_LOGS_URL" "$SAID/logs.new"; then
        mv "$SAID/logs.new" "$SAID/logs"
    fi
}

# send_export SECONDS: what the monitor recorded, for the report. It lies in the bucket before anybody ends this machine.
send_export() {
    [[ -n ${ARYA_EXPORT_URL:-} ]] || return 0
    if timeout "$1" bash "$APP/export.sh" "$STATE/export.tar.gz" >>"$LOG" 2>&1; then
        put "$ARYA_EXPORT_URL" "$STATE/export.tar.gz" || true
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

# tell_ready [TAIL]. The phase stays: it was ready.
tell_ready() {
    status_document ready "$1" >"$STATUS"
    put "$ARYA_STATUS_URL" "$STATUS"
}

shorten_log() {
    (($(stat --format %s "$LOG") > LOG_BYTES)) || return 0
    # Others have it open, so it stays the same file.
    { tail -c $((LOG_BYTES / 2)) "$LOG" >"$SAID/log" && cat "$SAID/log" >"$LOG"; } || true
    rm -f "$SAID/log"
}

watch() {
    local exported=-$EXPORT_EVERY_S told words='' ended=no service
    STARTED=$(ticks)
    mkdir -p "$SAID"
    # shellcheck source=/dev/null
    . "$STATE/settings"
    by_proxy
    trap 'send_logs; send_export "$LAST_EXPORT_WITHIN_S"; exit 0' TERM
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
            told=''
        fi
        if [[ $told != "$(running)$(not_running)$words" ]] && tell_ready "$words"; then
            told=$(running)$(not_running)$words
        fi
        # In the background, since a signal is heard only between two commands.
        sleep "$WATCH_EVERY_S" &
        wait $!
    done
}

case "${1:-install}" in
install) install ;;
boot) boot ;;
watch) watch ;;
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
