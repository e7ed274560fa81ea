"""Lists the permissions of the deployed roles, each for one action on one resource, and removes single permissions."""

import contextlib
import json
import re
from typing import NamedTuple

from stack import FUNCTIONS


class Permission(NamedTuple):
    function: str
    sid: str
    action: str
    # The resource as in the template: its logical id, and the rest of the ARN.
    resource: str

    def __str__(self):
        return f"{self.function}: {self.action} on {self.resource} ({self.sid})"


class Policies(NamedTuple):
    role: str
    # The role's own policy: its name and its document.
    name: str
    own: dict
    # All granted statements, including those of the shared policy.
    statements: list


def listed(value):
    return value if isinstance(value, list) else [value]


class Roles:
    def __init__(self, stack):
        self.iam = stack.iam
        self.names = {physical.rsplit("/", 1)[-1]: logical for logical, physical in stack.resources.items()}
        self.names |= {stack.outputs["SecretArn"].rsplit(":", 1)[-1]: "RecallSecret", stack.key_id: "KmsKeyArn"}
        # The policy that all roles share. Each role also has its own policy.
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
        """Yields every deployed permission, in the order of the template."""
        for function, policies in self.policies.items():
            for statement in policies.statements:
                assert statement["Effect"] == "Allow" and not {"NotAction", "NotResource"} & set(statement), statement
                for action in listed(statement["Action"]):
                    assert "*" not in action, f"{statement['Sid']} grants {action}"
                    for resource in listed(statement["Resource"]):
                        yield Permission(function, statement["Sid"], action, self.shown(resource))

    def shown(self, arn):
        """Returns an ARN with the resource's name in the template."""
        for physical, logical in self.names.items():
            found = re.search(f"[:/]{re.escape(physical)}(?=$|[:/])", arn)
            if found:
                return logical + arn[found.end():]
        return arn

    @contextlib.contextmanager
    def without(self, *taken):
        """Removes these permissions of one function from its role, and restores the role afterwards."""
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
        # Every statement needs a unique sid. The sids have no other meaning.
        statements = [{**statement, "Sid": f"S{number}"} for number, statement in enumerate(statements)]
        try:
            # The other roles keep the shared policy. This role's own policy gets the remaining statements.
            self.put(role, name, {**own, "Statement": statements})
            self.iam.detach_role_policy(RoleName=role, PolicyArn=self.shared)
            yield
        finally:
            self.iam.attach_role_policy(RoleName=role, PolicyArn=self.shared)
            self.put(role, name, own)

    def put(self, role, name, policy):
        self.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
