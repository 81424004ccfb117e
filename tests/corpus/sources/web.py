"""A real web server on the loopback interface, honest or not, for one test."""

import contextlib
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web:
    """Serves `files` by path; the attributes say how it misbehaves."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etag = '"v1"'
        self.ranges = "honest"
        """honest; ignored: always 200; shifted: other bytes, said so; unsaid: 206 without Content-Range."""
        self.answers: list[tuple[int, dict[str, str]]] = []
        """Statuses and headers to answer first, before files."""
        self.break_after: list[int] = []
        """Bytes of a body after which the connection breaks, one entry an answer."""
        self.stall_after: list[int] = []
        """The same, but the server falls silent."""
        self.pause_s = 0.0
        """Wait between blocks of 16 KiB."""
        self.requests: list[dict[str, str]] = []
        self.on_sent: Callable[[int], None] = lambda _sent: None
        """Is told of the bytes sent in all, block by block."""
        self.sent = 0
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def log_message(self, *_):
        pass

    def do_GET(self):
        with contextlib.suppress(ConnectionError):
            self.answer()

    def answer(self):
        self.web.requests.append(dict(self.headers))
        if self.web.answers:
            status, headers = self.web.answers.pop(0)
            self.head(status, {"Content-Length": "0", **headers})
        elif self.path not in self.web.files:
            self.head(404, {"Content-Length": "0"})
        else:
            self.body(self.web.files[self.path])

    def body(self, data):
        total, start = len(data), 0
        wanted = self.headers.get("Range")
        if wanted and self.web.ranges != "ignored" and self.headers.get("If-Range") in (None, self.web.etag):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= total:
                self.head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
                return
            start = max(0, start - 7) if self.web.ranges == "shifted" else start
            headers = {"ETag": self.web.etag, "Content-Length": str(total - start)}
            if self.web.ranges != "unsaid":
                headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            self.head(206, headers)
        else:
            self.head(200, {"ETag": self.web.etag, "Content-Length": str(total)})
        self.send(data, start)

    def send(self, data, start):
        web = self.web
        end = min(len(data), start + web.break_after.pop(0)) if web.break_after else len(data)
        stall = start + web.stall_after.pop(0) if web.stall_after else len(data)
        for at in range(start, min(end, stall), 16384):
            block = data[at : min(at + 16384, end, stall)]
            self.wfile.write(block)
            web.sent += len(block)
            web.on_sent(web.sent)
            time.sleep(web.pause_s)
        if stall < len(data):
            web.released.wait(30)
        self.close_connection = min(end, stall) < len(data)

    def head(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
