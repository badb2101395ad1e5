"""A server on this machine that streams what it is told to, as OpenAI's /v1/completions does."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextlib.contextmanager
def serve(answer: str, piece_chars: int = 3, status: int = 200) -> Iterator[tuple[str, list[dict]]]:
    """Yield (the server's URL, the requests it got); it answers every prompt with `answer`, in pieces."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(json.dumps({"data": [{"id": "tuned"}]}).encode())

        def do_POST(self):
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            pieces = [answer[i : i + piece_chars] for i in range(0, len(answer), piece_chars)]
            lines = [f"data: {json.dumps({'choices': [{'text': piece}]})}\n\n" for piece in pieces]
            self.reply("".join([*lines, "data: [DONE]\n\n"]).encode())

        def reply(self, content: bytes):
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        server.server_close()
