"""A server on this machine that answers as the hub does for files, for huggingface_hub's real client."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """files: ``timm/TAG/model.safetensors`` → content. cut: end every answer after so many bytes, and answer what is
    asked next with 503, as a hub that goes away. served: (file, first byte) of every download begun."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}  # where the hub says another one than the content's
        self.cut: int | None = None
        self.gone = False
        self.served: list[tuple[str, int]] = []
        self.address = ""


@contextmanager
def serving() -> Iterator[Hub]:
    hub = Hub()

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _refuse(self, status: int, code: str = "") -> None:
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer(self, body: bool) -> None:
            found = re.fullmatch(r"/(timm/[^/]+)/resolve/main/([^/]+)", self.path)
            name = f"{found[1]}/{found[2]}" if found else ""
            if hub.gone:
                return self._refuse(503)
            if name not in hub.files:
                return self._refuse(404, "EntryNotFound" if name else "RepoNotFound")
            content = hub.files[name]
            first = int(re.match(r"bytes=(\d+)-", self.headers.get("Range") or "bytes=0-")[1])
            self.send_response(206 if first else 200)
            self.send_header("ETag", f'"{hub.digests.get(name, hashlib.sha256(content).hexdigest())}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content) - first))
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if not body:
                return None
            hub.served.append((name, first))
            if hub.cut is None:
                return self.wfile.write(content[first:])
            self.wfile.write(content[first : first + hub.cut])
            hub.gone, self.close_connection = True, True
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
