"""Deploys the stack into an emulator of AWS as docs/deploying.md says, and then uses, updates, and deletes it.

Usage: run.py SAM SIMULATOR. SAM is the program `sam`, and SIMULATOR is the built `recall-simulator`. Before this, run
`sam build` for the architecture of this machine. Needs the AWS CLI and curl on the PATH, and from PyPI boto3 and the
packages that ministack_patched.py needs. All processes listen on loopback only, and end with this program.
"""

import contextlib
import json
import os
import pathlib
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import copies
import documented
from chat import Chat
from emulator import Emulator
from privileges import Privileges
from simulator import Simulator
from stack import FUNCTIONS, NAME, ROOT, Stack, until

# The number of meetings that are played during the update. If the code has not changed by then, more are played, up to
# the maximum.
PLAYED = 120
MAX_PLAYED = 400
# A lease lasts as long as the transcript function may run. If a lease was saved just before saves were denied, it must
# expire before another function takes the job.
LEASE_S = 300
# Everything that can be made of a transcript.
RENDITIONS = "jsonl,meetings,txt,md,vtt,srt,html,knowledge"
BINARIES = [ROOT / "target/lambda" / name.lower() / "bootstrap" for name in FUNCTIONS]


class Test:
    def __init__(self, sam, emulator, simulator):
        self.emulator, self.simulator = emulator, simulator
        self.stack = Stack(sam, emulator)
        self.chat = Chat(emulator)
        self.begun = time.monotonic()

    def say(self, line):
        print(f"{time.monotonic() - self.begun:6.1f} s  {line}", flush=True)

    def run(self):
        self.wrong_bus()
        self.deploy()
        self.meetings()
        self.refusals()
        self.rotation()
        self.update()
        self.privileges()
        self.deletion()

    def parameters(self, **more):
        simulated = {"RecallRegion": "us-east-1", "RecallBaseUrl": self.simulator.url, "DownloadHosts": "localhost"}
        return {**simulated, "Renditions": RENDITIONS, "MetadataKeys": "customer", **more}

    def wrong_bus(self):
        """Checks that a first deployment with an unknown event bus fails, and continues as docs/deploying.md says."""
        self.stack.fail_to_deploy(**self.parameters(EventBusName="nowhere"))
        events = self.stack.cloudformation.describe_stack_events(StackName=NAME)["StackEvents"]
        failed = [one["LogicalResourceId"] for one in events if one["ResourceStatus"] == "CREATE_FAILED"]
        assert failed == ["BusExists"] and events[0]["ResourceStatus"] == "ROLLBACK_COMPLETE", events
        self.stack.run("delete", "--stack-name", NAME, "--no-prompts", "--region", "us-east-1")
        self.say("a first deployment with an unknown EventBusName fails, and `sam delete` prepares for the next one")

    def deploy(self):
        """Deploys what `sam build` built, and fills the secret that the stack creates as docs/deploying.md says."""
        self.stack.deploy(**self.parameters(ChatTopicArn=self.chat.topic))
        self.simulator.send_webhooks_to(self.stack.webhook)
        early = self.simulator.play("short")[0]
        until("a delivery before the secret has a value", self.simulator.deliveries)
        assert {one["status"] for one in self.simulator.deliveries()} == {503}, self.simulator.deliveries()
        secret = {"api_key": self.simulator.api_key, "webhook_secrets": [self.simulator.secret]}
        documented.fill_secret(self.stack, secret)
        self.wait_for([early])
        old = self.simulator.play("unannounced")[0]
        documented.try_without_a_meeting(self.stack, secret, old, lambda: self.wait_for([old]))
        self.say("deployed; a delivery before the secret had a value was answered 503 and sent again")
        self.say("the commands of steps 2 to 4 in docs/deploying.md do what the document says")

    def meetings(self):
        kinds = ["hour", "faults", "japanese", "silent", "large", "broken"]
        played = [self.simulator.play(kind)[0] for kind in kinds]
        self.wait_for(played)
        copied = sum(copies.check(self.stack, self.simulator, recording) for recording in played)
        assert self.stack.waiting("DeadLetterQueueUrl") == 0, "something is on the dead-letter queue"
        self.say(f"{', '.join(kinds)}: stored, each paid for once; {copied} bytes match their manifests")
        self.say(f"{self.chat.check(played)} messages tell a chat channel about them")

    def refusals(self):
        """Sends deliveries that are each wrong in one way, and checks that the refusals name that."""
        body, signed = b'{"event": "recording.done", "data": {}}', self.simulator.signed
        forged = {**signed(body), "webhook-signature": "v1," + "A" * 43 + "="}
        deliveries = {
            "no signature headers": {},
            "no signature matches": forged,
            "more than five minutes in the past": signed(body, later_s=-301),
            # The offset is larger than the limit, because time passes before the function checks it.
            "more than five minutes in the future": signed(body, later_s=330),
        }
        for why, headers in deliveries.items():
            status, answer = self.stack.post(body, headers)
            assert status == 401 and why in json.loads(answer)["error"], f"{status} {answer}, not 401 for {why}"
        self.say("unsigned, forged, old, and future deliveries are answered 401, each with its reason")

    def rotation(self):
        """Adds a new webhook secret to the secret of the stack, without a deployment."""
        old, old_key = self.simulator.secret, self.simulator.key
        self.simulator.set_secret(os.urandom(24))
        new = self.simulator.secret
        self.stack.put_secret({"api_key": self.simulator.api_key, "webhook_secrets": [new, old]})
        body = b'{"event": "bot.done", "data": {}}'
        # The function reads the secret again at most every 30 s.
        is_accepted = lambda: self.stack.post(body, self.simulator.signed(body))[0] == 200
        until("the function accepts the new secret", is_accepted, 40, 0.5)
        status, answer = self.stack.post(body, self.simulator.signed(body, key=old_key))
        assert status == 200, f"signed with the old secret: {status} {answer}"
        self.say("a new webhook secret is accepted without a deployment, and the old one still works")

    def update(self):
        """Deploys changed code and other parameters while meetings end."""
        played, under_way = [], None
        sizes, before = [binary.stat().st_size for binary in BINARIES], self.code()
        try:
            # Bytes after the end of a program have no effect, but for Lambda they make the code different.
            for binary in BINARIES:
                with binary.open("ab") as file:
                    file.write(b"\n")
            with ThreadPoolExecutor(1) as threads:
                # This is the other way to deploy: the output of cargo lambda, without `sam build`.
                changed = {"TriesPerProvider": 4, "Tracing": "true", "KmsKeyArn": self.stack.key}
                parameters = self.parameters(ChatTopicArn=self.chat.topic, **changed)
                deployed = threads.submit(self.stack.deploy, "--template-file", "template.yaml", **parameters)
                while not deployed.done():
                    if under_way is None and self.code()["Transcript"] != before["Transcript"]:
                        under_way = [one for one in played if not self.stack.is_done(one)]
                    if len(played) < (MAX_PLAYED if under_way is None else PLAYED):
                        # The short meeting is stored at once. Recall works on the other one for some seconds.
                        played += self.simulator.play("short") + self.simulator.play("hour")
                    time.sleep(0.2)
                deployed.result()
        finally:
            for binary, size in zip(BINARIES, sizes):
                os.truncate(binary, size)
        self.check_update(before)
        assert under_way, f"of {len(played)} meetings none was in progress when the code changed"
        self.say(f"deployed again while {len(played)} meetings ended; {len(under_way)} were in progress at the time")
        self.wait_for(played)
        for recording in played:
            copies.check(self.stack, self.simulator, recording)
        assert self.stack.waiting("DeadLetterQueueUrl") == 0, "something is on the dead-letter queue"
        self.say("nothing was lost during the update, and nothing was paid for twice")

    def code(self):
        return {name: one["CodeSha256"] for name, one in self.stack.functions().items()}

    def check_update(self, before):
        """Checks that the stack is as the second deployment defines it."""
        for name, function in self.stack.functions().items():
            tries = function["Environment"]["Variables"]["TRIES_PER_PROVIDER"]
            tracing = function["TracingConfig"]["Mode"]
            assert (tries, tracing) == ("4", "Active"), f"{name}: {tries} tries, tracing {tracing}"
            assert function["CodeSha256"] != before[name], f"{name} still has its old code"
        # The emulator does not report the encryption of the bucket.
        secret = self.stack.secretsmanager.describe_secret(SecretId=self.stack.outputs["SecretArn"])
        assert secret["KmsKeyId"] == self.stack.key, secret

    def privileges(self):
        needed, granted = Privileges(self.stack, self.simulator).check(self.say)
        recordings = self.simulator.recordings()
        self.wait_for(recordings, sweeping=True)
        twice = [one for one in recordings.values() if one["creates"] > 1]
        assert not twice, f"paid for twice: {twice}"
        self.say(f"{needed} of {granted} permissions were removed in turn, and each is needed")
        self.say(f"with all permissions restored, {len(recordings)} meetings are stored")

    def deletion(self):
        objects, bucket, table = self.stack.objects(), self.stack.outputs["BucketName"], self.stack.outputs["TableName"]
        jobs = self.stack.dynamodb.scan(TableName=table, Select="COUNT")["Count"]
        unseen = [kind for kind, names in self.stack.left().items() if not names]
        assert not unseen, f"the test cannot see {unseen}, so it would not notice if they remained"
        self.stack.run("delete", "--stack-name", NAME, "--no-prompts", "--region", "us-east-1")
        assert self.stack.objects() == objects, f"the bucket {bucket} has lost objects"
        assert self.stack.dynamodb.scan(TableName=table, Select="COUNT")["Count"] == jobs, f"{table} has lost items"
        self.chat.remove()
        left = {kind: names for kind, names in self.stack.left().items() if names}
        assert not left, f"still exist: {left}"
        self.say(f"deleted; only the bucket with {len(objects)} objects and the table with {jobs} items are left")

    def wait_for(self, recordings, sweeping=False):
        """Waits until all of these are stored and announced."""
        left = set(recordings)

        def done():
            left.difference_update([recording for recording in left if self.stack.is_done(recording)])
            if left and sweeping:
                for recording in left:
                    self.simulator.age(recording, 600)
                self.stack.sweep()
            return not left

        try:
            until("all meetings stored", done, LEASE_S + 60 if sweeping else 120, 2 if sweeping else 0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}: {[(one, self.stack.job(one)) for one in left]}") from None


def main(sam, simulator):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        running = []
        stack.callback(lambda: [end(process) for process in running])
        emulator = Emulator(folder)
        running.append(emulator.process)
        recall = Simulator(simulator, folder)
        running.append(recall.process)
        try:
            Test(sam, emulator, recall).run()
        except BaseException:
            lines = emulator.log.read_text(errors="replace").splitlines()
            print("The last lines of MiniStack's log:", *lines[-30:], sep="\n", file=sys.stderr)
            raise


def end(process):
    """Kills the process and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main(*(pathlib.Path(argument).absolute() for argument in sys.argv[1:3]))
