"""The part of the Hub of Hugging Face that its client asks when it reads files of a repository."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "a" * 40


@contextmanager
def serve_hub(files: dict[str, bytes], repository: str = "team/tiny") -> Iterator[str]:
    """The address of a Hub with one model repository of those files, on any revision."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, _ = self.path.partition("?")
            place, _, name = path.removeprefix(f"/{repository}/resolve/").partition("/")
            api = f"/api/models/{repository}"
            if path.startswith(f"{api}/tree/"):
                known = [
                    {"type": "file", "path": p, "size": len(d), "oid": "0" * 40} for p, d in files.items()
                ]
                self.answer(json.dumps(known).encode())
            elif path == api or path.startswith(f"{api}/revision/"):
                self.answer(json.dumps({"id": repository, "sha": COMMIT, "siblings": []}).encode())
            elif place in ("main", "v1") and name in files:
                self.answer(files[name])
            else:
                self.answer(b"", 404)

        do_HEAD = do_GET

        def answer(self, data: bytes, status: int = 200) -> None:
            self.send_response(status)
            headers = {"Content-Length": str(len(data)), "X-Repo-Commit": COMMIT, "ETag": '"e"'}
            for name, value in (
                headers | ({"X-Error-Code": "RepoNotFound"} if status == 404 else {})
            ).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            """Silent."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
