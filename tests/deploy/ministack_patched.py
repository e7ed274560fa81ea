"""Runs MiniStack 1.5.33 with patches for the differences from AWS that affect this stack.

The environment variables are those of MiniStack.

Needs ministack==1.5.33 with aws-sam-translator==1.115.0, and awscrt, from PyPI.
"""

import base64
import contextvars
import json
import threading
import time

from awscrt import checksums
from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, router
from ministack.services import eventbridge, s3
from ministack.services.cloudformation import provisioners

# The longest timeout of a function in the template.
LONGEST_S = 300

# MiniStack's own implementation, in Python, needs a second for 8 MB, and the upload waits for it.
s3._crc64nvme = checksums.crc64nvme

# S3 computes CRC-64/NVME over the whole object only. MiniStack computes it over the parts' checksums.
whole = contextvars.ContextVar("whole", default=None)
composite, complete = s3._composite_checksum, s3._complete_multipart_upload


def checksum(algorithm, part_checksums):
    if algorithm == "CRC64NVME":
        return base64.b64encode(checksums.crc64nvme(whole.get()).to_bytes(8, "big")).decode()
    return composite(algorithm, part_checksums)


def complete_whole(bucket, key, body, query_params, headers=None):
    upload = s3._multipart_uploads.get(s3._qp(query_params, "uploadId"), {"parts": {}})
    whole.set(b"".join(upload["parts"][number]["body"] for number in sorted(upload["parts"])))
    return complete(bucket, key, body, query_params, headers)


s3._composite_checksum, s3._complete_multipart_upload = checksum, complete_whole

# S3 answers 404 for a missing object only if the caller may list the bucket. Otherwise it answers 403.
get_object = s3._get_object


def get_object_or_refuse(bucket, key, headers, query_params=None):
    answer = get_object(bucket, key, headers, query_params)
    caller = router.extract_access_key_id(headers, query_params)
    named = f"arn:aws:s3:::{bucket}"
    if answer[0] == 404 and iam_evaluator.enforce(caller, "s3:ListBucket", "s3", "us-east-1", resource_arn=named):
        return s3._error("AccessDenied", f"not authorized to perform: s3:ListBucket on resource: {named}", 403)
    return answer


s3._get_object = get_object_or_refuse

# Without these values, every condition on the keys of items is met.
context = iam_actions.dynamodb_service_context


def leading_keys(body):
    """Returns the partition keys of a call on the jobs table. A query of the index has none of these."""
    call = json.loads(body)
    items = [call.get("Key"), call.get("Item")]
    items += [key for table in call.get("RequestItems", {}).values() for key in table["Keys"]]
    keys = [item["recording_id"]["S"] for item in items if item and "recording_id" in item]
    return {**context(body), **({"dynamodb:LeadingKeys": keys} if keys else {})}


iam_actions.dynamodb_service_context = leading_keys

# An alarm on a sum of metrics is stored as one on its first metric. No alarm is raised here.
alarm_record = provisioners._cw_metric_alarm_record


def first_metric(name, properties):
    if metrics := properties.get("Metrics"):
        first = next(one["MetricStat"] for one in metrics if "MetricStat" in one)
        shown = {"Statistic": first["Stat"], "Period": first["Period"], **first["Metric"]}
        properties = {**properties, "Metrics": None, **shown}
    return alarm_record(name, properties)


provisioners._cw_metric_alarm_record = first_metric

# On AWS, creating a rule on a bus that does not exist fails. MiniStack's CloudFormation creates the rule.
bus_of = provisioners._eb_rule_bus_name


def existing_bus(properties):
    bus = bus_of(properties)
    if bus != "default" and bus not in eventbridge._event_buses:
        raise ValueError(f"Event bus {bus} does not exist.")
    return bus


provisioners._eb_rule_bus_name = existing_bus

# On AWS, the permission sqs:SendMessage also allows SendMessageBatch.
action = iam_actions.extract_iam_action


def action_of(*call):
    return {"sqs:SendMessageBatch": "sqs:SendMessage"}.get(found := action(*call), found)


iam_actions.extract_iam_action = action_of

# On AWS, an invocation runs to its end even if the function changes meanwhile. MiniStack kills it.
kill = lambda_runtime.kill_workers


def kill_when_idle(workers):
    def wait():
        deadline = time.monotonic() + LONGEST_S
        while any(worker.in_use for worker in workers) and time.monotonic() < deadline:
            time.sleep(0.02)
        kill(workers)

    threading.Thread(target=wait, daemon=True).start()


lambda_runtime.kill_workers = kill_when_idle

app.main()
