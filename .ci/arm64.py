"""Checks that Lambda can load the functions that were built for arm64, and that each of them starts.

Usage: arm64.py FOLDER. FOLDER is the output of `sam build`: it contains Webhook/bootstrap and so on. A machine that is
not arm64 needs qemu-aarch64-static and the libraries in /usr/aarch64-linux-gnu. In Debian, these are the packages
qemu-user-static, libc6-arm64-cross, and libgcc-s1-arm64-cross.
"""

import base64
import json
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The glibc of Amazon Linux 2023, on which the runtime provided.al2023 is based, and the libraries that Lambda has.
GLIBC = (2, 34)
LIBRARIES = {"ld-linux-aarch64.so.1", "libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0"}
# The oldest processor that Lambda uses for arm64 is a Graviton2, which has Neoverse N1 cores.
QEMU = ["qemu-aarch64-static", "-cpu", "neoverse-n1", "-L", "/usr/aarch64-linux-gnu"]
START_S = 30
ANSWERED_S = 30

SETTINGS = {
    "RECALL_REGION": "us-east-1",
    "RECALL_API_KEY": "0" * 40,
    "RECALL_WEBHOOK_SECRETS": "whsec_" + base64.b64encode(bytes(24)).decode(),
    "JOBS_TABLE": "jobs",
    "WORK_QUEUE_URL": "http://127.0.0.1:9/1/work",
    "DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:9/1/dead",
    "TRANSCRIPTS_BUCKET": "transcripts",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    # Nothing listens on this port. The functions do not call AWS in these checks.
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}
UNSIGNED = {
    "version": "2.0",
    "rawPath": "/",
    "rawQueryString": "",
    "headers": {"content-type": "application/json", "host": "example.lambda-url.us-east-1.on.aws"},
    "requestContext": {
        "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"},
        "requestId": "1", "routeKey": "$default", "stage": "$default", "timeEpoch": 1, "accountId": "anonymous",
    },
    "body": "{}",
    "isBase64Encoded": False,
}


class RuntimeApi(ThreadingHTTPServer):
    """The part of Lambda's Runtime API that a function needs to start and to answer one event."""

    daemon_threads = True

    def __init__(self, event):
        self.event, self.polls, self.answers = event, [], []
        self.changed = threading.Condition()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Ignores the error when a killed process closes its connection."""

    def wait_for(self, seen, timeout_s):
        """Waits until `seen` is true of this API, and returns whether it became true."""
        with self.changed:
            return self.changed.wait_for(lambda: seen(self), timeout_s)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with self.server.changed:
            first = not self.server.polls
            self.server.polls.append(self.path)
            self.server.changed.notify_all()
        if self.server.event is None or not first:
            # Lambda does not answer a poll until there is an event.
            time.sleep(START_S + ANSWERED_S)
            return
        body = json.dumps(self.server.event).encode()
        self.send_response(200)
        self.send_header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        self.send_header("lambda-runtime-deadline-ms", str(int(time.time() * 1000) + ANSWERED_S * 1000))
        arn = "arn:aws:lambda:us-east-1:123456789012:function:try"
        self.send_header("lambda-runtime-invoked-function-arn", arn)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        if self.headers["transfer-encoding"]:
            body = self.read_chunks()
        with self.server.changed:
            self.server.answers.append((self.path, body))
            self.server.changed.notify_all()
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def read_chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def log_message(self, *_):
        pass


def readelf(option, binary):
    done = subprocess.run(["readelf", "--wide", option, binary], capture_output=True, text=True, check=True)
    return done.stdout


def check_elf(binary):
    """Checks that the binary is for arm64 and needs only what Lambda has. Returns the glibc version that it needs."""
    header = readelf("--file-header", binary)
    machine = re.search(r"Machine: +(.*)", header)[1]
    assert machine == "AArch64", f"{binary} is for {machine}"
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("--dynamic", binary)))
    assert needed <= LIBRARIES, f"{binary} needs {needed - LIBRARIES}, which Lambda does not have"
    named = re.findall(r"GLIBC_([\d.]+)", readelf("--version-info", binary))
    versions = {tuple(map(int, one.split("."))) for one in named}
    assert versions, f"{binary} does not name a version of glibc"
    assert max(versions) <= GLIBC, f"{binary} needs glibc {max(versions)}; Lambda has {GLIBC}"
    return ".".join(map(str, max(versions)))


def run(binary, api, settings, log):
    """Starts the binary in an environment like Lambda's and returns the process."""
    emulator = [] if platform.machine() == "aarch64" else QEMU
    environment = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "try",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "try",
        "AWS_LAMBDA_LOG_STREAM_NAME": "try",
        **settings,
    }
    return subprocess.Popen([*emulator, binary], env=environment, stdout=log, stderr=subprocess.STDOUT)


def check_start(binary, event=None):
    """Checks that the function polls, and that it answers the event, if there is one. Returns the answer."""
    with tempfile.TemporaryFile() as log:
        api = RuntimeApi(event)
        process = run(binary, api, SETTINGS, log)
        try:
            if not api.wait_for(lambda api: api.polls, START_S):
                log.seek(0)
                raise AssertionError(f"{binary} did not poll within {START_S} s: {log.read().decode()}")
            assert api.polls[0] == "/2018-06-01/runtime/invocation/next", api.polls
            if event is None:
                return None
            assert api.wait_for(lambda api: api.answers, ANSWERED_S), f"{binary} did not answer within {ANSWERED_S} s"
            path, body = api.answers[0]
            assert path.endswith("/response"), f"{binary} sent its answer to {path}: {body}"
            return json.loads(body)
        finally:
            process.kill()
            process.wait()
            api.shutdown()


def check_bad_settings(binary):
    """Checks that the function logs the missing settings and exits if it has no settings."""
    with tempfile.TemporaryFile() as log:
        process = run(binary, RuntimeApi(None), {}, log)
        try:
            status = process.wait(START_S)
        finally:
            process.kill()
        log.seek(0)
        logged = log.read().decode()
    is_reported = "init.failed" in logged and "JOBS_TABLE" in logged
    assert status == 1 and is_reported, f"{binary} exited with {status}: {logged}"


def main(folder):
    functions = ["Webhook", "Transcript", "Sweep"]
    for function in functions:
        binary = folder / function / "bootstrap"
        glibc = check_elf(binary)
        check_bad_settings(binary)
        answer = check_start(binary, UNSIGNED if function == "Webhook" else None)
        if function == "Webhook":
            assert answer["statusCode"] == 401, f"the answer to an unsigned delivery is {answer}"
        what = "refuses an unsigned delivery" if answer else "polls"
        print(f"{function}: {binary.stat().st_size / 1e6:.1f} MB for arm64, glibc {glibc}, starts and {what}")


main(pathlib.Path(sys.argv[1]))
