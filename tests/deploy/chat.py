"""A topic for chat notifications, and a queue that keeps what a chat channel would get.

The emulator transforms events for the topic as AWS documents it. It does not check the policy of the topic.
"""

import json

from stack import until

# The fields of Amazon Q Developer's custom notifications that the messages have.
CONTENT = {"textType", "title", "description", "nextSteps", "keywords"}


class Chat:
    def __init__(self, emulator):
        self.sns, self.sqs = emulator.client("sns"), emulator.client("sqs")
        self.topic = self.sns.create_topic(Name="meetings")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName="chat")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": policy})
        raw = {"RawMessageDelivery": "true"}
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
        self.messages = []

    def remove(self):
        """Removes the topic and the queue, which are not part of the stack."""
        self.sns.delete_topic(TopicArn=self.topic)
        self.sqs.delete_queue(QueueUrl=self.queue)

    def read(self):
        """Returns all messages so far."""
        while new := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in new:
                self.messages.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return self.messages

    def check(self, stored):
        """Checks that there is a message about each of these recordings, with the place of its manifest."""

        def told():
            return {keyword for message in self.read() for keyword in message["content"]["keywords"]}

        until("a chat message about each recording", lambda: set(stored) <= told(), 20)
        for message in self.messages:
            assert (message["version"], message["source"]) == ("1.0", "custom"), message
            assert set(message["content"]) == CONTENT and message["content"]["title"], message
            assert "<" not in json.dumps(message), f"a placeholder is left: {message}"
        steps = [step for message in self.messages for step in message["content"]["nextSteps"]]
        for recording in stored:
            found = [step for step in steps if f"/recordings/{recording}/" in step and "/manifest.json`" in step]
            assert found, f"no message says where the manifest of {recording} is: {steps}"
        return len(self.messages)
