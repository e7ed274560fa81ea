"""Sends one event to the webhook's URL, signed as Recall signs events, to test a deployment without a meeting.

Usage: signed.py SECRET_FILE URL EVENT [RECORDING_ID]. SECRET_FILE holds {"api_key": …, "webhook_secrets": ["whsec_…"]}.
A signed `bot.done` is accepted and ignored. `recording.done` with one of your recordings requests a transcript, for
which Recall charges.
"""

import base64
import datetime
import hmac
import json
import sys
import time
import urllib.error
import urllib.request
import uuid

secret_file, url, event, *recording_ids = sys.argv[1:]
with open(secret_file) as file:
    secret = json.load(file)["webhook_secrets"][0]
code = event.rpartition(".")[2]
updated_at = datetime.datetime.now(datetime.timezone.utc).isoformat()
data = {"data": {"code": code, "sub_code": None, "updated_at": updated_at}}
if recording_ids:
    data |= {"recording": {"id": recording_ids[0], "metadata": {}}, "bot": None}
body = json.dumps({"event": event, "data": data}).encode()

message_id, timestamp = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
key = base64.b64decode(secret.removeprefix("whsec_"))
signature = base64.b64encode(hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")).decode()
headers = {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
request = urllib.request.Request(url, body, {"content-type": "application/json", **headers})
try:
    with urllib.request.urlopen(request, timeout=20) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code} {error.read().decode()}")
