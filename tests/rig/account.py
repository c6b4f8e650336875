"""An account as one instance sees it: its metadata, and two stores that answer to whoever signs rightly (Signature
Version 4 as AWS documents it: canonical request, string to sign, key derived by date, region and service)."""

import hashlib
import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEYS = {"AccessKeyId": "AKIARIG", "SecretAccessKey": "s3cr3t/key+", "Token": "s3cr3t//token=="}
METADATA = {
    "/latest/meta-data/iam/security-credentials/": "shop",
    "/latest/meta-data/iam/security-credentials/shop": json.dumps(KEYS, indent=2),
    "/latest/meta-data/placement/region": "eu-central-1",
    "/latest/meta-data/services/domain": "amazonaws.com",
}
PARAMETERS = {"/shop/DB_URL": "postgres://$HOME:'s3cr3t'@db", "/shop/SIZE": "7", "/alone/SAMPLE_VERSION": "s3cr3t-$x"}
SECRET = {"API_KEY": 's3cr3t "quoted"', "PORTS": [1, 2]}


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def is_signed(request, body):
    headers = {name.lower(): value.strip() for name, value in request.headers.items()}
    words = dict(word.split("=", 1) for word in headers["authorization"].split(" ", 1)[1].replace(" ", "").split(","))
    who, date, region, service, end = words["Credential"].split("/")
    names = words["SignedHeaders"].split(";")
    if who != KEYS["AccessKeyId"] or headers.get("x-amz-security-token") != KEYS["Token"]:
        return False
    if not {"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} <= set(names):
        return False
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    canonical = "\n".join(["POST", "/", "", lines, ";".join(names), hashlib.sha256(body).hexdigest()])
    scope = f"{date}/{region}/{service}/{end}"
    told = "\n".join(
        ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = ("AWS4" + KEYS["SecretAccessKey"]).encode()
    for part in (date, region, service, end):
        key = digest(key, part)
    return hmac.compare_digest(digest(key, told).hex(), words["Signature"])


def answer(target, asked):
    if target == "AmazonSSM.GetParametersByPath":
        # One a page, so that whoever forgets the rest is found.
        below = sorted(name for name in PARAMETERS if name.startswith(asked["Path"] + "/"))
        at = int(asked.get("NextToken", "0"))
        page = [{"Name": name, "Value": PARAMETERS[name]} for name in below[at : at + 1]]
        more = {"NextToken": str(at + 1)} if at + 1 < len(below) else {}
        return 200, {"Parameters": page, **more}
    if target == "AmazonSSM.GetParameter" and asked["Name"] in PARAMETERS:
        return 200, {"Parameter": {"Name": asked["Name"], "Value": PARAMETERS[asked["Name"]]}}
    if target == "secretsmanager.GetSecretValue" and asked["SecretId"].endswith(":secret:shop"):
        return 200, {"Name": "shop", "SecretString": json.dumps(SECRET)}
    return 400, {"__type": "AccessDeniedException", "message": "not for you"}


class Account(BaseHTTPRequestHandler):
    def said(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        self.said(200, "session")

    def do_GET(self):
        known = self.headers.get("x-aws-ec2-metadata-token") == "session" and self.path in METADATA
        self.said(200 if known else 401, METADATA[self.path] if known else "")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_signed(self, body):
            return self.said(403, json.dumps({"__type": "InvalidSignatureException"}))
        status, found = answer(self.headers["X-Amz-Target"], json.loads(body))
        self.said(status, json.dumps(found))


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Account).serve_forever()
