"""Expands a SAM template to plain CloudFormation, which cfn-lint can check completely.

Usage: expand.py TEMPLATE. Prints JSON. Needs aws-sam-translator and cfn-lint from PyPI.
"""

import json
import os
import sys

from cfnlint.decode import cfn_yaml
from samtranslator.translator.transform import transform

# The translator needs the name of a region that it knows.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")


class NoManagedPolicies:
    """No names of managed policies: the roles attach only the one in the template, so the translator needs no other."""

    def load(self):
        return {}


template = json.loads(json.dumps(cfn_yaml.load(sys.argv[1])))
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        # `sam deploy` uploads the folder and replaces it with an address in S3. The translator accepts only that.
        resource["Properties"]["CodeUri"] = "s3://placeholder/placeholder.zip"
json.dump(transform(template, {}, NoManagedPolicies()), sys.stdout, indent=2)
