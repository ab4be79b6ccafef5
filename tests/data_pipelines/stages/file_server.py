"""An HTTP file server that fails on request: broken connections, refused requests, no ranges."""

import hashlib
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests import http_server


class FaultyFileServer(ThreadingHTTPServer):
    """Serves `files`, content by URL path.

    The first `num_refusals` GET requests are answered with status 503. The connection breaks
    `num_breaks` times, each time after `break_after_bytes` further bytes. `sent_bytes` is the
    number of bytes sent since the last break.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), FaultyFileHandler)
        self.files: dict[str, bytes] = {}
        self.supports_ranges = True
        self.break_after_bytes: int | None = None
        self.num_breaks = 0
        self.num_refusals = 0
        self.sent_bytes = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class FaultyFileHandler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.respond(with_body=False)

    def do_GET(self):
        self.respond(with_body=True)

    def respond(self, with_body):
        server = self.server
        data = server.files.get(self.path)
        if with_body and server.num_refusals:
            server.num_refusals -= 1
            self.send_error(503)
            return
        if data is None:
            self.send_error(404)
            return
        first, last = self.send_head(data)
        if with_body:
            self.send_bytes(data[first : last + 1])

    def send_head(self, data):
        """Send status and headers; return the first and last offset of the requested range."""
        first, last, status = 0, len(data) - 1, 200
        requested = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if requested and self.server.supports_ranges:
            first = int(requested[1])
            last = min(int(requested[2] or last), last)
            status = 206
        self.send_response(status)
        if self.server.supports_ranges:
            self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("ETag", hashlib.md5(data).hexdigest())
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        return first, last

    def send_bytes(self, chunk):
        """Send a chunk, or break the connection after `break_after_bytes` bytes."""
        server = self.server
        if server.break_after_bytes is not None and server.num_breaks:
            remaining = server.break_after_bytes - server.sent_bytes
            if remaining < len(chunk):
                server.num_breaks -= 1
                server.sent_bytes = 0
                self.wfile.write(chunk[: max(remaining, 0)])
                self.wfile.flush()
                self.connection.close()
                return
        server.sent_bytes += len(chunk)
        self.wfile.write(chunk)


def serve():
    """Return a context manager of a running FaultyFileServer on a free loopback port."""
    return http_server.serve(FaultyFileServer())
