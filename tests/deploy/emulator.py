"""MiniStack on loopback: an emulator of AWS. It expands SAM, enforces IAM, and runs the functions' binaries."""

import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

REGION = "us-east-1"
READY_S = 60
PROGRAM = pathlib.Path(__file__).with_name("ministack_patched.py")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Emulator:
    """A running MiniStack. Its log and all its files are in `folder`."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = pathlib.Path(folder) / "ministack.log"
        # Functions inherit this environment, so it contains only what MiniStack needs.
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "localhost",
            # The endpoint for the functions, which would call AWS without it.
            "AWS_ENDPOINT_URL": self.url,
            "S3_PATH_STYLE": "1",
            # Enforce the permissions of roles.
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-B", PROGRAM],
                env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True,
            )
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + READY_S
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2).close()
                return
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    raise SystemExit(f"MiniStack did not start within {READY_S} s:\n{self.log.read_text()[-2000:]}")
                time.sleep(0.1)

    def environment(self):
        """Returns the environment for the AWS tools. `test` is the emulator's root user."""
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
        return {**os.environ, **keys, "AWS_ENDPOINT_URL": self.url, "SAM_CLI_TELEMETRY": "0"}

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(
                connect_timeout=5, read_timeout=60, retries={"max_attempts": 2}, s3={"addressing_style": "path"}
            ),
        )
