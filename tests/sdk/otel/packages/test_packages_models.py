"""Clients of language models, against a server of our own: one call is one span, the HTTP request below it is not a
second one.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

import fluoro
from fluoro.model import Kind

pytestmark = [pytest.mark.packages, pytest.mark.filterwarnings("default")]  # the packages' own

COMPLETION = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "small-1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "blue"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
CONTENT = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "blue"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
}


class Models(BaseHTTPRequestHandler):
    headers_seen: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        Models.headers_seen = {name.lower(): value for name, value in self.headers.items()}
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps(CONTENT if "generateContent" in self.path else COMPLETION).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def models():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_openai(otel, library, models):
    openai = library("openai", "openai")
    with openai.OpenAI(api_key="k-secret-word", base_url=f"{models}/v1") as client, fluoro.span("ask"):
        client.chat.completions.create(model="small-1", messages=[{"role": "user", "content": "secret-word"}])
    call, ask = otel.take(2)
    assert (call.kind, call.namespace, call.operation) == (Kind.CLIENT, "remote", "chat small-1")
    assert call.name == "openai"
    assert call.parent_id == ask.id
    assert call.annotations["gen_ai.usage.input_tokens"] == 3
    assert f"Parent={call.id:016x}" in Models.headers_seen["x-amzn-trace-id"]
    assert "secret-word" not in str(call)


def test_google_genai(otel, library, models):
    library("google.genai", "google-genai")
    from google import genai

    client = genai.Client(api_key="k-secret-word", http_options={"base_url": models})
    with fluoro.span("ask"):
        client.models.generate_content(model="small-1", contents="secret-word")
    client.close()
    segments = otel.take()
    ask = next(segment for segment in segments if segment.operation == "ask")
    [call] = [segment for segment in segments if segment.parent_id == ask.id]
    assert call.operation == "generate_content small-1" or call.name == "generate_content small-1"
    assert call.annotations["gen_ai.usage.input_tokens"] == 3
    assert "secret-word" not in str(segments)
