"""Uses the stack as an operator does: deploys, changes, and deletes it with `sam`, and reads it through AWS's API."""

import json
import pathlib
import subprocess
import time

from simulator import ask

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = "recall-transcripts"
DEPLOY_S = 180
FUNCTIONS = ["Webhook", "Transcript", "Sweep"]
SERVICES = [
    "cloudformation", "cloudwatch", "dynamodb", "events", "iam", "kms", "lambda", "logs", "s3", "secretsmanager", "sqs",
]


def until(what, look, timeout_s=60, every_s=0.1):
    """Waits until `look` returns something, and returns that. Fails with the text `what` after the timeout."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: this did not happen within {timeout_s} s")
        time.sleep(every_s)


def deployment(options, parameters):
    overrides = [f"{name}={value}" for name, value in parameters.items()]
    return ["deploy", *options, "--no-confirm-changeset", "--parameter-overrides", *overrides]


class Stack:
    def __init__(self, sam, emulator):
        self.sam, self.emulator = sam, emulator
        self.outputs = {}
        for service in SERVICES:
            setattr(self, "lambda_" if service == "lambda" else service, emulator.client(service))
        key = self.kms.create_key()["KeyMetadata"]
        self.key_id, self.key = key["KeyId"], key["Arn"]

    def sam_command(self, *arguments):
        return subprocess.run(
            [self.sam, *arguments], cwd=ROOT, env=self.emulator.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEPLOY_S,
        )

    def run(self, *arguments):
        """Runs one command of SAM, and shows its messages only if it fails."""
        done = self.sam_command(*arguments)
        assert done.returncode == 0, f"sam {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def deploy(self, *options, **parameters):
        """Deploys as docs/deploying.md says, but without questions."""
        first = not self.outputs
        self.run(*deployment(options, parameters))
        described = self.cloudformation.describe_stacks(StackName=NAME)["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        resources = self.cloudformation.describe_stack_resources(StackName=NAME)["StackResources"]
        self.resources = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources}
        if first:
            self.check_bucket_policy()
        self.bridge_to_emulator()

    def fail_to_deploy(self, *options, **parameters):
        done = self.sam_command(*deployment(options, parameters))
        assert done.returncode != 0, f"the deployment did not fail:\n{done.stdout}"

    def check_bucket_policy(self):
        """Checks that the bucket refuses plain HTTP."""
        bucket = self.outputs["BucketName"]
        (statement,) = json.loads(self.s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        del statement["Sid"]
        named = f"arn:aws:s3:::{bucket}"
        wanted = {
            "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [named, f"{named}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        assert statement == wanted, f"{statement}, not {wanted}"

    def bridge_to_emulator(self):
        """Adjusts the stack after a deployment where the emulator differs from AWS."""
        # A function URL has a host name of AWS. In the emulator, it is a path.
        name = self.outputs["WebhookUrl"].removeprefix("https://").split(".")[0]
        self.webhook = f"{self.emulator.url}/_aws/lambda-url/{name}/"
        # The emulator keeps parameters as text. With text instead of this number, it delivers no message.
        bound = {"MaximumConcurrency": 5}
        self.lambda_.update_event_source_mapping(UUID=self.outputs["WorkSourceId"], ScalingConfig=bound)
        # The functions trust only Amazon's roots, so they use plain HTTP here. The policy of the bucket refuses that.
        self.s3.delete_bucket_policy(Bucket=self.outputs["BucketName"])

    def functions(self):
        """Returns the configuration of each function."""
        names = {function: self.resources[function] for function in FUNCTIONS}
        return {one: self.lambda_.get_function_configuration(FunctionName=name) for one, name in names.items()}

    def put_secret(self, value):
        self.secretsmanager.put_secret_value(SecretId=self.outputs["SecretArn"], SecretString=json.dumps(value))

    def post(self, body, headers):
        """Sends one delivery to the public URL and returns its status and answer."""
        return ask("POST", self.webhook, body, headers)

    def job(self, recording_id):
        """Returns the recording's item with plain values, or an empty one if there is none."""
        key = {"recording_id": {"S": recording_id}}
        item = self.dynamodb.get_item(TableName=self.outputs["TableName"], Key=key, ConsistentRead=True).get("Item", {})
        return {name: next(iter(value.values())) for name, value in item.items()}

    def is_done(self, recording_id):
        """Returns whether the recording is stored and announced."""
        job = self.job(recording_id)
        return job.get("status") == "stored" and "due_at" not in job

    def send(self, message):
        body = message if isinstance(message, str) else json.dumps(message)
        self.sqs.send_message(QueueUrl=self.outputs["WorkQueueUrl"], MessageBody=body)

    def sweep(self):
        """Runs the sweep once and returns its report, or None if it failed."""
        answer = self.lambda_.invoke(FunctionName=self.resources["Sweep"], Payload=b"{}")
        return None if "FunctionError" in answer else json.loads(answer["Payload"].read())

    def waiting(self, queue):
        """Returns the number of messages on a queue, hidden ones included."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ["", "NotVisible", "Delayed"]]
        found = self.sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return sum(int(found.get(name, 0)) for name in names)

    def objects(self):
        """Returns every object of the bucket with its size."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.outputs["BucketName"])
        return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}

    def left(self):
        """Returns the remaining resources of the stack, except for the bucket and the table."""
        stacks = self.cloudformation.list_stacks()["StackSummaries"]
        roles = [one["RoleName"] for one in self.iam.list_roles()["Roles"]]
        policies = [one["PolicyName"] for one in self.iam.list_policies(Scope="Local")["Policies"]]
        logs = [one["logGroupName"] for one in self.logs.describe_log_groups()["logGroups"]]
        return {
            "stacks": [one for one in stacks if one["StackName"] == NAME and one["StackStatus"] != "DELETE_COMPLETE"],
            "functions": [one["FunctionName"] for one in self.lambda_.list_functions()["Functions"]],
            "event sources": self.lambda_.list_event_source_mappings()["EventSourceMappings"],
            "secrets": [one["Name"] for one in self.secretsmanager.list_secrets()["SecretList"]],
            "queues": self.sqs.list_queues().get("QueueUrls"),
            "rules": [one["Name"] for one in self.events.list_rules()["Rules"]],
            "roles": [name for name in roles if name.startswith(NAME)],
            "policies": [name for name in policies if name.startswith(NAME)],
            "logs": [name for name in logs if name.startswith(f"/aws/lambda/{NAME}/")],
            "alarms": [one["AlarmName"] for one in self.cloudwatch.describe_alarms()["MetricAlarms"]],
            "dashboards": [one["DashboardName"] for one in self.cloudwatch.list_dashboards()["DashboardEntries"]],
        }

    def log(self, function, since_ms=0):
        """Returns the lines that a function has logged since this time."""
        group = f"/aws/lambda/{NAME}/{function.lower()}"
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since_ms)
        return [event["message"] for page in pages for event in page["events"]]
