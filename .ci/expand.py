"""Expands a SAM template to plain CloudFormation, which is what cfn-lint can check in full.

Usage: expand.py TEMPLATE, run with aws-sam-translator and cfn-lint installed. Prints JSON.
"""

import json
import os
import sys

from cfnlint.decode import cfn_yaml
from samtranslator.translator.transform import transform

# The translator asks for a region, and for one that it knows.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")


class NoManagedPolicies:
    """The roles attach only the managed policy in the template, so none has to be looked up by name."""

    def load(self):
        return {}


template = json.loads(json.dumps(cfn_yaml.load(sys.argv[1])))
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        # `sam deploy` puts the folder there that stands here.
        resource["Properties"]["CodeUri"] = "s3://placeholder/placeholder.zip"
json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=2)
