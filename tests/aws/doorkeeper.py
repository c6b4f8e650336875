"""An S3 that looks at nothing but the signature in a URL: whether AWS's own Python library would have signed this method, host,
path, query and time with the key of the tests, and whether it is still valid. moto lets every presigned URL in.

Usage: doorkeeper.py ACCESS_KEY SECRET_KEY    prints its port, answers until it is ended.
`POST /clock?SECONDS` has it live that much later; `POST /put/BUCKET/KEY` stores a body without any signature.
"""

import datetime
import hmac
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS_KEY, SECRET_KEY = sys.argv[1], sys.argv[2]
OBJECTS = {}
LATER = {"seconds": 0.0}


def wrong(method, target, headers):
    """Why the request is not let in; None = it is."""
    parts = urlsplit(target)
    raw = parts.query.split("&")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    signature = query.get("X-Amz-Signature")
    if signature is None:
        return "it is not signed"
    key, _, region, service, _ = query["X-Amz-Credential"].split("/")
    if key != ACCESS_KEY:
        return "nobody has that key"
    signed_at = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    signed_at = signed_at.replace(tzinfo=datetime.timezone.utc)
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=LATER["seconds"])
    if now > signed_at + datetime.timedelta(seconds=int(query["X-Amz-Expires"])):
        return "it has expired"
    unsigned = "&".join(part for part in raw if not part.startswith("X-Amz-Signature="))
    request = AWSRequest(method=method, url=f"http://{headers['Host']}{parts.path}?{unsigned}")
    for name in query["X-Amz-SignedHeaders"].split(";"):
        request.headers[name] = headers[name]
    request.context["timestamp"] = query["X-Amz-Date"]
    auth = S3SigV4QueryAuth(Credentials(ACCESS_KEY, SECRET_KEY), service, region)
    made = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return None if hmac.compare_digest(made, signature) else "its signature is of something else"


class Doorkeeper(BaseHTTPRequestHandler):
    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def act(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        if self.command == "POST" and path == "/clock":
            LATER["seconds"] = float(urlsplit(self.path).query)
            return self.answer(200)
        if self.command == "POST" and path.startswith("/put/"):
            OBJECTS[path[len("/put") :]] = body
            return self.answer(200)
        reason = wrong(self.command, self.path, self.headers)
        if reason is not None:
            return self.answer(403, reason.encode())
        if self.command == "PUT":
            OBJECTS[path] = body
            return self.answer(200)
        if self.command == "DELETE":
            OBJECTS.pop(path, None)
            return self.answer(204)
        if path not in OBJECTS:
            return self.answer(404)
        return self.answer(200, OBJECTS[path])

    do_GET = do_PUT = do_POST = do_DELETE = act

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Doorkeeper)
print(server.server_port, flush=True)
server.serve_forever()
