# shellcheck shell=bash
# The app's environment from the account's own stores. A part of `boot.sh`, which comes with the settings.

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
