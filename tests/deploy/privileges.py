"""Checks that every permission is needed: it removes each one in turn, and then a scenario must fail.

The emulator does not enforce the permissions in `NOT_ENFORCED`, so they are not tested. The tested permissions and
these exceptions together are all permissions that the template grants.
"""

import json
import time

import granted
from roles import Roles
from stack import FUNCTIONS, ROOT, until

# The time within which a scenario must succeed, or log its denial.
PATIENCE_S = 20

# The log texts of those denials that do not contain AWS's whole message.
SAID = {"events:PutEvents": "the event bus refused the event: AccessDeniedException"}

# The permissions that the emulator does not enforce, by function, statement, and action.
NOT_ENFORCED = {
    "Lambda writes the logs on behalf of the function": [
        (function, "Log", action) for function in FUNCTIONS for action in ["logs:CreateLogStream", "logs:PutLogEvents"]
    ],
    # Without these, AWS refuses to create the event source.
    "the event source receives messages on behalf of the function": [
        ("Transcript", "TakeWork", action)
        for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    ],
    "Lambda sends the traces on behalf of the function": [
        (function, "Trace", action)
        for function in FUNCTIONS
        for action in ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    ],
    "the emulator accepts tags from everyone who may write": [("Transcript", "TagObjects", "s3:PutObjectTagging")],
    "Secrets Manager and S3 use the key on behalf of the function": [
        *[(function, "DecryptSecret", "kms:Decrypt") for function in FUNCTIONS],
        *[("Transcript", "EncryptAndDecryptObjects", action) for action in ["kms:GenerateDataKey", "kms:Decrypt"]],
    ],
}


class Privileges:
    def __init__(self, stack, simulator):
        self.stack, self.simulator = stack, simulator
        self.roles = Roles(stack)
        self.stored = None

    def check(self, say):
        """Checks that each scenario works with all permissions and fails without the one that it needs."""
        deployed = list(self.roles.permissions())
        differing = set(deployed) ^ set(granted.permissions(ROOT / "template.yaml"))
        names = [str(one) for one in differing]
        assert not differing, f"these permissions are either deployed or in the template, but not both: {names}"
        excepted = {one for listed in NOT_ENFORCED.values() for one in listed}
        missing = excepted - {(one.function, one.sid, one.action) for one in deployed}
        assert not missing, f"these exceptions are not granted: {missing}"
        permissions = [one for one in deployed if (one.function, one.sid, one.action) not in excepted]
        unknown = [str(one) for one in permissions if self.scenario(one) is None]
        assert not unknown, f"no scenario needs these permissions: {unknown}"
        self.prepare()
        for one in permissions:
            with self.roles.without(*self.provoking(one)):
                assert self.works(one), f"{self.scenario(one).__name__} does not work with all permissions"
        needless = []
        for one in permissions:
            begun = time.monotonic()
            with self.roles.without(one, *self.provoking(one)):
                broke = not self.works(one)
            if one.action == "secretsmanager:GetSecretValue":
                # A function that was denied the secret waits some seconds before it asks again. A new process does not.
                self.restart(one.function)
            say(f"{'needed' if broke else 'NOT NEEDED':<10} {one}, {time.monotonic() - begun:.1f} s")
            if not broke:
                needless.append(str(one))
        assert not needless, f"everything works without these: {needless}"
        for why, listed in NOT_ENFORCED.items():
            actions = ", ".join(sorted({action for _, _, action in listed}))
            say(f"not enforced by the emulator, so not tested: {len(listed)} of {actions}; {why}")
        return len(permissions), len(deployed)

    def scenario(self, one):
        """Returns the scenario that needs this permission."""
        scenarios = {
            ("Webhook", "secretsmanager:GetSecretValue", "RecallSecret"): self.delivery_after_restart,
            ("Webhook", "dynamodb:GetItem", "JobsTable"): self.known_recording,
            ("Webhook", "dynamodb:PutItem", "JobsTable"): self.new_recording,
            ("Webhook", "sqs:SendMessage", "WorkQueue"): self.finished_transcript,
            ("Webhook", "sqs:SendMessage", "DeadLetterQueue"): self.unreadable_delivery,
            ("Transcript", "secretsmanager:GetSecretValue", "RecallSecret"): self.copy_after_restart,
            ("Transcript", "dynamodb:GetItem", "JobsTable"): self.copy,
            ("Transcript", "dynamodb:PutItem", "JobsTable"): self.copy,
            ("Transcript", "sqs:ChangeMessageVisibility", "WorkQueue"): self.hide,
            ("Transcript", "sqs:SendMessage", "WorkQueue"): self.second_try,
            ("Transcript", "sqs:SendMessage", "DeadLetterQueue"): self.unreadable_message,
            ("Transcript", "events:PutEvents", "arn:aws:events:us-east-1:000000000000:event-bus/default"): self.copy,
            ("Transcript", "s3:PutObject", "TranscriptsBucket/recordings/*"): self.copy,
            ("Transcript", "s3:PutObject", "TranscriptsBucket/turns/*"): self.copy,
            ("Transcript", "s3:DeleteObject", "TranscriptsBucket/turns/*"): self.copy_again,
            ("Transcript", "s3:PutObject", "TranscriptsBucket/meetings/*"): self.copy,
            ("Transcript", "s3:DeleteObject", "TranscriptsBucket/meetings/*"): self.copy_again,
            ("Transcript", "s3:PutObject", "TranscriptsBucket/knowledge/*"): self.copy,
            ("Transcript", "s3:GetObject", "TranscriptsBucket/knowledge/*"): self.render_what_is_known,
            ("Transcript", "s3:DeleteObject", "TranscriptsBucket/knowledge/*"): self.copy_silence,
            ("Transcript", "s3:AbortMultipartUpload", "TranscriptsBucket/knowledge/*"): self.render_over_leftovers,
            ("Transcript", "s3:DeleteObject", "TranscriptsBucket/recordings/*/transcript.srt"): self.render_silence,
            ("Transcript", "s3:GetObject", "TranscriptsBucket/recordings/*"): self.render_over_leftovers,
            ("Transcript", "s3:AbortMultipartUpload", "TranscriptsBucket/recordings/*"): self.render_over_leftovers,
            ("Transcript", "s3:AbortMultipartUpload", "TranscriptsBucket/turns/*"): self.render_over_leftovers,
            ("Transcript", "s3:ListBucketMultipartUploads", "TranscriptsBucket"): self.render_over_leftovers,
            ("Transcript", "s3:ListBucket", "TranscriptsBucket"): self.render_what_is_gone,
            ("Sweep", "secretsmanager:GetSecretValue", "RecallSecret"): self.find_after_restart,
            ("Sweep", "dynamodb:Query", "JobsTable/index/due"): self.run_of_the_sweep,
            ("Sweep", "dynamodb:Query", "JobsTable/index/open"): self.run_of_the_sweep,
            ("Sweep", "dynamodb:BatchGetItem", "JobsTable"): self.find,
            ("Sweep", "dynamodb:GetItem", "JobsTable"): self.find,
            ("Sweep", "dynamodb:PutItem", "JobsTable"): self.find,
            ("Sweep", "sqs:SendMessage", "WorkQueue"): self.find,
            ("Sweep", "sqs:GetQueueAttributes", "WorkQueue"): self.run_of_the_sweep,
        }
        return scenarios.get((one.function, one.action, one.resource))

    def provoking(self, one):
        """Returns the permissions to read jobs if they must be removed, too, so that a message is handed back."""
        if one.action != "sqs:ChangeMessageVisibility":
            return []
        reading = [other for other in self.roles.permissions() if other.action == "dynamodb:GetItem"]
        return [other for other in reading if other.function == one.function]

    def works(self, one):
        """Returns whether the scenario works. If not, the function's log has to say that this action was denied."""
        scenario, since_ms = self.scenario(one), int(time.time() * 1000)
        succeeded = scenario()

        def denied():
            lines = self.stack.log(one.function, since_ms)
            said = SAID.get(one.action, f"not authorized to perform: {one.action}")
            # S3 answers HEAD without a text.
            is_head = (one.sid, one.action) == ("KeepKnowledge", "s3:GetObject")
            return any(said in line or is_head and "knowledge.not_compared" in line for line in lines)

        name = f"{scenario.__name__} neither works nor logs a denial of {one.action}"
        until(name, lambda: denied() or succeeded(), PATIENCE_S)
        # Some failures are repaired by a later retry. Then only the log shows the denial.
        return succeeded() and not denied()

    def prepare(self):
        """Stores a transcript with renditions larger than one upload part, one of an empty meeting, and others."""
        words = [{"text": "a long caption " * 8, "start_timestamp": None, "end_timestamp": None}] * 60
        speaker = {"is_host": False, "platform": None, "extra_data": None}
        people = [{**speaker, "id": number, "name": f"Speaker {number}"} for number in range(900)]
        turns = json.dumps([{"participant": one, "words": words} for one in people])
        self.large = self.simulator.play_file(turns.encode())
        self.stored = self.simulator.play("short")[0]
        self.gone = self.simulator.play("short")[0]
        self.again = self.simulator.play("short")[0]
        self.silent = self.simulator.play("silent")[0]
        for recording in [self.large, self.stored, self.gone, self.again, self.silent]:
            until("a meeting stored with all permissions", lambda: self.stack.is_done(recording))

    # The scenarios. Each one starts something, and returns a function that tells whether it has worked.

    def restart(self, function):
        """Starts a new process of the function, which must read the secret. A running process keeps it for a while."""
        name = self.stack.resources[function]
        environment = self.stack.lambda_.get_function_configuration(FunctionName=name)["Environment"]
        self.stack.lambda_.update_function_configuration(FunctionName=name, Environment=environment)

    def delivery(self, body):
        answered = self.stack.post(body, self.simulator.signed(body))
        return lambda: answered[0] == 200

    def about(self, event, recording_id):
        transcripts = self.simulator.recording(recording_id)["transcripts"]
        data = {
            "data": {"code": event.split(".")[1], "sub_code": None, "updated_at": "2026-11-01T00:00:00Z"},
            "recording": {"id": recording_id, "metadata": {}},
        }
        if transcripts:
            data["transcript"] = {"id": transcripts[0]["id"], "metadata": {}}
        return json.dumps({"event": event, "data": data}).encode()

    def delivery_after_restart(self):
        self.restart("Webhook")
        return self.delivery(b'{"event": "bot.done", "data": {}}')

    def known_recording(self):
        return self.delivery(self.about("recording.done", self.stored))

    def new_recording(self):
        recording = self.simulator.play("unannounced")[0]
        return self.delivery(self.about("recording.done", recording))

    def finished_transcript(self):
        return self.delivery(self.about("transcript.done", self.stored))

    def unreadable_delivery(self):
        before = self.stack.waiting("DeadLetterQueueUrl")
        answered = self.delivery(b"not an event")
        return lambda: answered() and self.stack.waiting("DeadLetterQueueUrl") == before + 1

    def copy(self):
        recording = self.simulator.play("short")[0]
        return lambda: self.stack.is_done(recording)

    def copy_after_restart(self):
        self.restart("Transcript")
        return self.copy()

    def copy_again(self):
        """Deletes the row, so that the transcript is copied again and the turns of the first copy are removed."""
        table, key = self.stack.outputs["TableName"], {"recording_id": {"S": self.again}}
        self.stack.dynamodb.delete_item(TableName=table, Key=key)
        transcript = self.simulator.recording(self.again)["transcripts"][0]["id"]
        about = {"recording_id": self.again, "transcript_id": transcript, "attempt": 1}
        self.stack.send({"event": "transcript.done", **about})
        return lambda: self.stack.is_done(self.again)

    def hide(self):
        """Plays a meeting whose job cannot be read. The scenario ignores the repeated denials of that read."""
        since_ms, refused_at = int(time.time() * 1000), []
        recording = self.simulator.play("short")[0]

        def handed_back():
            lines = self.stack.log("Transcript", since_ms)
            if not any("job.not_saved" in line and recording in line for line in lines):
                return False
            # The function hands the message back right after this line. Other lines may be about earlier permissions.
            refused_at.append(time.monotonic())
            in_time = refused_at[-1] - refused_at[0] > 1
            return in_time and not any("message.not_hidden" in line for line in lines)

        return handed_back

    def second_try(self):
        recording = self.simulator.play("broken")[0]
        return lambda: self.stack.is_done(recording)

    def unreadable_message(self):
        before = self.stack.waiting("DeadLetterQueueUrl")
        self.stack.send("not a message")
        return lambda: self.stack.waiting("DeadLetterQueueUrl") == before + 1

    def render_over_leftovers(self):
        """Renders again, in several upload parts, and removes the unfinished uploads of a worker that died."""
        stack, bucket = self.stack, self.stack.outputs["BucketName"]
        transcript = self.simulator.recording(self.large)["transcripts"][0]["id"]
        document = f"knowledge/{transcript}.md"
        keys = [key for key in stack.objects() if transcript in key and (key.endswith(".html") or key[:6] == "turns/")]
        sizes = stack.objects()
        # If the render before this one was denied, the document is still missing.
        present = [key for key in [*keys, document] if key in sizes]
        assert len(keys) == 2 and min(sizes[key] for key in present) > 6_000_000, keys
        # A document for knowledge bases is written only if its bytes change.
        stack.s3.delete_object(Bucket=bucket, Key=document)
        keys.append(document)
        begun = {stack.s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in keys}
        stack.send({"event": "render", "recording_id": self.large})

        def rendered():
            open_ones = {one["UploadId"] for one in stack.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])}
            return not (begun & open_ones) and document in stack.objects()

        return rendered

    def render_what_is_known(self):
        """Renders without a change, so that the document for knowledge bases is read, and not written."""
        transcript = self.simulator.recording(self.stored)["transcripts"][0]["id"]
        where = {"Bucket": self.stack.outputs["BucketName"], "Key": f"knowledge/{transcript}.md"}
        before, since_ms = self.stack.s3.head_object(**where)["LastModified"], int(time.time() * 1000)
        # The emulator keeps times in whole seconds.
        time.sleep(1)
        self.stack.send({"event": "render", "recording_id": self.stored})

        def rendered():
            lines = self.stack.log("Transcript", since_ms)
            is_rendered = any("transcript.rerendered" in line and self.stored in line for line in lines)
            return is_rendered and self.stack.s3.head_object(**where)["LastModified"] == before

        return rendered

    def copy_silence(self):
        """Plays a meeting without words. It has no document for knowledge bases, so an earlier one is removed."""
        recording = self.simulator.play("silent")[0]
        return lambda: self.stack.is_done(recording)

    def render_what_is_gone(self):
        """Renders a deleted file. S3 reports it as missing only to a function that may list. Others keep retrying."""
        transcript = self.simulator.recording(self.gone)["transcripts"][0]["id"]
        key = f"recordings/{self.gone}/{transcript}/transcript.json"
        self.stack.s3.delete_object(Bucket=self.stack.outputs["BucketName"], Key=key)
        since_ms = int(time.time() * 1000)
        self.stack.send({"event": "render", "recording_id": self.gone})
        return lambda: any(key in line and "is gone" in line for line in self.stack.log("Transcript", since_ms))

    def render_silence(self):
        """Renders an empty meeting again, which removes the subtitles that an older version wrote for it."""
        bucket = self.stack.outputs["BucketName"]
        transcript = self.simulator.recording(self.silent)["transcripts"][0]["id"]
        key = f"recordings/{self.silent}/{transcript}/transcript.srt"
        self.stack.s3.put_object(Bucket=bucket, Key=key, Body=b"")
        self.stack.send({"event": "render", "recording_id": self.silent})
        return lambda: key not in self.stack.objects()

    def find(self):
        """Runs the sweep, which finds a recording that no webhook announced."""
        recording = self.simulator.play("unannounced")[0]
        self.simulator.age(recording, 600)
        self.stack.sweep()
        return lambda: self.stack.is_done(recording)

    def find_after_restart(self):
        self.restart("Sweep")
        return self.find()

    def run_of_the_sweep(self):
        report = self.stack.sweep()
        return lambda: report is not None
