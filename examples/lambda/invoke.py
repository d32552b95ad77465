"""AWS Lambda: a function that is traced without a change to it. At AWS, put `fluoro-wrapper` and fluoro into the package and set

    AWS_LAMBDA_EXEC_WRAPPER=/var/task/fluoro-wrapper

Here, this program stands in for Lambda: it starts AWS's own runtime by the wrapper and hands it event.json.

    python examples/lambda/invoke.py

You will see the function's answer and one trace of two spans: `GET /prices/{product}` of the function `price`, and in it the
query. The trace was sent before the answer: Lambda may freeze the process right after it.
"""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
if find_spec("awslambdaric") is None:
    sys.exit("AWS's runtime is not installed: pip install awslambdaric")


class RuntimeApi(BaseHTTPRequestHandler):
    def do_GET(self):  # the runtime asks for the next event
        self.answer(200, (HERE / "event.json").read_bytes())

    def do_POST(self):  # the runtime brings the answer, or the function's error
        print(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.answer(202, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        self.send_header("Lambda-Runtime-Deadline-Ms", "4102444800000")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:price")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


with HTTPServer(("127.0.0.1", 0), RuntimeApi) as server:
    server.timeout = 30  # seconds to wait for each request
    function = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "price",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "LAMBDA_TASK_ROOT": str(HERE),
    }
    runtime = [HERE / "fluoro-wrapper", sys.executable, "-m", "awslambdaric", "handler.handler"]
    with subprocess.Popen(runtime, cwd=HERE, env=os.environ | function) as process:
        server.handle_request()
        server.handle_request()
        process.kill()
