"""What the deployed roles grant, one permission at a time: an action on a resource. Each can be taken away."""

import contextlib
import json
import re
from typing import NamedTuple

from stack import FUNCTIONS


class Permission(NamedTuple):
    function: str
    sid: str
    action: str
    # As it reads in the template: the logical id, and what follows it.
    resource: str

    def __str__(self):
        return f"{self.function}: {self.action} on {self.resource} ({self.sid})"


class Policies(NamedTuple):
    role: str
    # The role's own policy: its name, and what it says.
    name: str
    own: dict
    # With those of the shared policy: all that is granted.
    statements: list


def listed(value):
    return value if isinstance(value, list) else [value]


class Roles:
    def __init__(self, stack):
        self.iam = stack.iam
        self.names = {physical.rsplit("/", 1)[-1]: logical for logical, physical in stack.resources.items()}
        self.names |= {stack.outputs["SecretArn"].rsplit(":", 1)[-1]: "RecallSecret", stack.key_id: "KmsKeyArn"}
        # The policy that all roles share; each role has one more of its own.
        self.shared = stack.resources["FunctionBasics"]
        version = self.iam.get_policy(PolicyArn=self.shared)["Policy"]["DefaultVersionId"]
        shared = self.iam.get_policy_version(PolicyArn=self.shared, VersionId=version)["PolicyVersion"]["Document"]
        self.policies = {}
        for function in FUNCTIONS:
            role = stack.resources[f"{function}Role"]
            names = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
            attached = self.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
            arns = [one["PolicyArn"] for one in attached]
            assert len(names) == 1 and arns == [self.shared], f"{role} has the policies {names} and {arns}"
            own = self.iam.get_role_policy(RoleName=role, PolicyName=names[0])["PolicyDocument"]
            self.policies[function] = Policies(role, names[0], own, shared["Statement"] + own["Statement"])

    def permissions(self):
        """Every permission that was deployed, in the template's order."""
        for function, policies in self.policies.items():
            for statement in policies.statements:
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
        role, name, own, granted = self.policies[taken[0].function]
        statements = []
        for statement in granted:
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    this = Permission(taken[0].function, statement["Sid"], action, self.shown(resource))
                    if this not in taken:
                        statements.append({**statement, "Action": action, "Resource": resource})
        # One sid a statement; they mean nothing.
        statements = [{**statement, "Sid": f"S{number}"} for number, statement in enumerate(statements)]
        try:
            # The shared policy stays as it is for the other roles; this role's own policy gets the rest of it.
            self.put(role, name, {**own, "Statement": statements})
            self.iam.detach_role_policy(RoleName=role, PolicyArn=self.shared)
            yield
        finally:
            self.iam.attach_role_policy(RoleName=role, PolicyArn=self.shared)
            self.put(role, name, own)

    def put(self, role, name, policy):
        self.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
