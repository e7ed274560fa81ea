"""Runs `recall-simulator`, which has Recall's API, downloads, and signed webhooks, and controls it over HTTP."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import secrets
import subprocess
import time
import urllib.error
import urllib.request

from emulator import free_port

READY_S = 10


def ask(method, url, body=None, headers=None, timeout_s=30):
    """Returns the status and body of the answer to one request. An error status does not raise an exception."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Simulator:
    """A running simulator with one key and one webhook secret, both generated here."""

    def __init__(self, program, folder):
        self.api_key = secrets.token_hex(20)
        self.set_secret(secrets.token_bytes(24))
        port, control = free_port(), free_port()
        self.url, self.control = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{control}"
        self.log = pathlib.Path(folder) / "simulator.log"
        keys = {"RECALL_API_KEY": self.api_key, "RECALL_WEBHOOK_SECRETS": self.secret}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "--port", str(port), "--control-port", str(control)],
                env={**os.environ, **keys}, stdout=log, stderr=log, start_new_session=True,
            )
        deadline = time.monotonic() + READY_S
        while True:
            try:
                self.overview()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    raise SystemExit(f"the simulator did not start within {READY_S} s:\n{self.log.read_text()}")
                time.sleep(0.05)

    def set_secret(self, key):
        self.key, self.secret = key, "whsec_" + base64.b64encode(key).decode()

    def _control(self, method, path, body=None, headers=None):
        status, answer = ask(method, f"{self.control}{path}", body, headers)
        assert status < 300, f"the simulator answers {status} to {method} {path}: {answer.decode()}"
        return json.loads(answer)

    def overview(self):
        return self._control("GET", "/")

    def send_webhooks_to(self, url):
        self._control("PUT", "/webhook", json.dumps({"url": url}).encode(), {"content-type": "application/json"})

    def play(self, kind, count=1):
        """Ends this many meetings now and returns the ids of their recordings."""
        return self._control("POST", f"/play/{kind}?count={count}")["recordings"]

    def play_file(self, content):
        """Ends a meeting whose transcript has this file."""
        return self._control("POST", "/play/file", content)["recordings"][0]

    def recording(self, recording_id):
        return self._control("GET", f"/recordings/{recording_id}")

    def recordings(self):
        return {one["id"]: one for one in self._control("GET", "/recordings")}

    def age(self, recording_id, seconds):
        self._control("POST", f"/recordings/{recording_id}/age?seconds={seconds}")

    def resend(self, recording_id):
        self._control("POST", f"/recordings/{recording_id}/resend")

    def retry_now(self):
        self._control("POST", "/deliveries/retry")

    def deliveries(self):
        return self._control("GET", "/deliveries")

    def signed(self, body, later_s=0, key=None):
        """Returns the headers of a delivery, signed by Python code as the Standard Webhooks specification says."""
        message, at = f"msg_{secrets.token_hex(14)}", str(int(time.time()) + later_s)
        signature = hmac.digest(key or self.key, f"{message}.{at}.".encode() + body, hashlib.sha256)
        return {
            "content-type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        }
