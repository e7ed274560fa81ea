"""What the deployed roles grant, one permission at a time: an action on a resource. Each can be taken away."""

import contextlib
import json
import re
from typing import NamedTuple


class Permission(NamedTuple):
    function: str
    sid: str
    action: str
    # As it reads in the template: the logical id, and what follows it.
    resource: str

    def __str__(self):
        return f"{self.function}: {self.action} on {self.resource} ({self.sid})"


def listed(value):
    return value if isinstance(value, list) else [value]


class Roles:
    def __init__(self, stack):
        self.iam = stack.iam
        self.names = {physical.rsplit("/", 1)[-1]: logical for logical, physical in stack.resources.items()}
        self.names |= {stack.outputs["SecretArn"].rsplit(":", 1)[-1]: "RecallSecret", stack.key_id: "KmsKeyArn"}
        self.policies = {}
        for logical, function in [("WebhookRole", "Webhook"), ("TranscriptRole", "Transcript"), ("SweepRole", "Sweep")]:
            role = stack.resources[logical]
            policies = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
            attached = self.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
            assert len(policies) == 1 and not attached, f"{role} has the policies {policies} and {attached}"
            found = self.iam.get_role_policy(RoleName=role, PolicyName=policies[0])["PolicyDocument"]
            self.policies[function] = (role, policies[0], found)

    def permissions(self):
        """Every permission that was deployed, in the template's order."""
        for function, (_, _, policy) in self.policies.items():
            for statement in policy["Statement"]:
                assert statement["Effect"] == "Allow" and not {"NotAction", "NotResource"} & set(statement), statement
                for action in listed(statement["Action"]):
                    assert "*" not in action, f"{statement['Sid']} grants {action}"
                    for resource in listed(statement["Resource"]):
                        yield Permission(function, statement["Sid"], action, self.shown(resource))

    def shown(self, arn):
        """An ARN by the name of the resource in the template."""
        for physical, logical in self.names.items():
            found = re.search(f"[:/]{re.escape(physical)}(?=$|[:/])", arn)
            if found:
                return logical + arn[found.end():]
        return arn

    @contextlib.contextmanager
    def without(self, *taken):
        """The role without these permissions, all of one function; afterwards it is as deployed."""
        if not taken:
            yield
            return
        role, name, policy = self.policies[taken[0].function]
        statements = []
        for statement in policy["Statement"]:
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    this = Permission(taken[0].function, statement["Sid"], action, self.shown(resource))
                    if this not in taken:
                        statements.append({**statement, "Action": action, "Resource": resource})
        # One sid a statement; they mean nothing.
        statements = [{**statement, "Sid": f"S{number}"} for number, statement in enumerate(statements)]
        try:
            self.put(role, name, {**policy, "Statement": statements})
            yield
        finally:
            self.put(role, name, policy)

    def put(self, role, name, policy):
        self.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
