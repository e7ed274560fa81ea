"""Runs checkov on the expanded template and compares its findings with the listed exceptions.

Usage: checkov.py CHECKOV EXPANDED EXCEPTIONS. CHECKOV is the program, and the others are files.
"""

import json
import subprocess
import sys

checkov, expanded, exceptions = sys.argv[1:4]
# checkov downloads more policies only for users with an account.
command = [checkov, "--skip-download", "--quiet", "--compact", "--framework", "cloudformation", "--output", "json"]
done = subprocess.run([*command, "--file", expanded], stdout=subprocess.PIPE, text=True, timeout=300)
report = json.loads(done.stdout)
assert report["summary"]["parsing_errors"] == 0 and report["summary"]["passed"] > 0, report["summary"]
failed = report["results"]["failed_checks"]
found = {(one["check_id"], one["resource"].rsplit(".", 1)[-1]): one["check_name"] for one in failed}
with open(exceptions) as file:
    lines = [line.split(maxsplit=2) for line in file if line.strip() and not line.startswith("#")]
assert all(len(line) == 3 for line in lines), "each exception needs a check, a resource, and a reason"
listed = {(check, resource) for check, resource, _ in lines}
for check, resource in sorted(set(found) - listed):
    print(f"{resource}: {found[check, resource]} ({check})")
for check, resource in sorted(listed - set(found)):
    print(f"{resource}: {check} is an exception without a finding; remove the exception, or correct the name")
if set(found) != listed:
    sys.exit(1)
print(f"{report['summary']['passed']} checks passed, {len(found)} findings are listed as exceptions")
