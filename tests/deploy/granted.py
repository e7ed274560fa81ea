"""Lists the permissions that the roles in the template grant, including those of conditional statements."""

import json
import re

from roles import Permission, listed
from samtranslator.yaml_helper import yaml_parse

PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "000000000000"}


def permissions(path):
    """Yields each action on each resource, with the defaults of the parameters. `Roles` uses the same names."""
    template = yaml_parse(path.read_text())
    text = {name: str(one.get("Default", name)) for name, one in template["Parameters"].items()} | PSEUDO
    # This parameter has no default. Its permissions exist only if it has a value.
    text["KmsKeyArn"] = "KmsKeyArn"
    # The ARN of a log group ends with `:*`, which includes its log streams.
    groups = [name for name, one in template["Resources"].items() if one["Type"] == "AWS::Logs::LogGroup"]
    text |= {name: f"{name}:*" for name in groups}
    roles = {name: one for name, one in template["Resources"].items() if one["Type"] == "AWS::IAM::Role"}
    for name, role in roles.items():
        (own,) = role["Properties"]["Policies"]
        shared = [template["Resources"][one["Ref"]]["Properties"] for one in role["Properties"]["ManagedPolicyArns"]]
        for either in [one for policy in [*shared, own] for one in policy["PolicyDocument"]["Statement"]]:
            for statement in branches(either):
                for action in listed(statement["Action"]):
                    for resource in listed(statement["Resource"]):
                        yield Permission(name.removesuffix("Role"), statement["Sid"], action, shown(resource, text))


def branches(value):
    """Returns the value, or all values that a condition chooses from."""
    if not (isinstance(value, dict) and "Fn::If" in value):
        return [] if value == {"Ref": "AWS::NoValue"} else [value]
    return [found for branch in value["Fn::If"][1:] for found in branches(branch)]


def shown(value, text):
    """Returns a resource by its logical id, with the rest of the ARN."""
    value = branches(value)[0]
    if isinstance(value, str):
        return value
    (function, argument), = value.items()
    if function == "Ref":
        return text.get(argument, argument)
    if function == "Fn::GetAtt":
        return text.get(argument[0], argument[0])
    assert function == "Fn::Sub" and isinstance(argument, str), json.dumps(value)
    return re.sub(r"\$\{([^}.]+)(\.Arn)?\}", lambda found: text.get(found[1], found[1]), argument)
