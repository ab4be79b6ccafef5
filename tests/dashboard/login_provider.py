"""An OpenID Connect provider on a loopback port, where one person is logged in already."""

import base64
import json
import time
from contextlib import contextmanager
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.http_server import QuietHandler, serve_requests

CLIENT_ID, CLIENT_SECRET = "flanmoe", "secret-of-the-client"
KEY = RSAKey.generate_key(2048, {"kid": "test"})


@contextmanager
def login_provider(claims):
    """Yield the URL of a provider.

    Args:
        claims: what it says about the person; a change is effective at the next login.
    """
    nonce_by_code = {}

    class Handler(QuietHandler):
        """Authorization code flow (OpenID Connect Core 1.0, section 3.1)."""

        def do_GET(self):
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/.well-known/openid-configuration":
                self.send_json(self.metadata())
            elif url.path == "/keys":
                self.send_json({"keys": [KEY.as_dict(private=False)]})
            elif url.path == "/authorize" and query["client_id"] == CLIENT_ID:
                code = f"code-{len(nonce_by_code)}"
                nonce_by_code[code] = query.get("nonce")
                answer = urlencode({"code": code, "state": query["state"]})
                self.send_response(302)
                self.send_header("Location", f"{query['redirect_uri']}?{answer}")
                self.end_headers()
            else:
                self.send_error(404)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            code = parse_qs(body)["code"][0]
            credentials = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
            if self.headers["Authorization"] != f"Basic {credentials}":
                self.send_error(401)
                return
            now = int(time.time())
            token = {
                "iss": self.issuer, "aud": CLIENT_ID, "sub": "1", "iat": now, "exp": now + 600,
                "nonce": nonce_by_code.pop(code), **claims,
            }  # fmt: skip
            self.send_json(
                {
                    "access_token": "access", "token_type": "Bearer", "expires_in": 600,
                    "id_token": jwt.encode({"alg": "RS256", "kid": "test"}, token, KEY),
                }
            )  # fmt: skip

        @property
        def issuer(self):
            return f"http://127.0.0.1:{self.server.server_port}"

        def metadata(self):
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }

        def send_json(self, value):
            content = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serve_requests(Handler) as url:
        yield url
