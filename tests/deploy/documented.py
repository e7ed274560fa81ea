"""Runs the commands of steps 2 to 4 in docs/deploying.md on the deployed stack, as an operator pastes them."""

import json
import pathlib
import re
import subprocess
import tempfile

from stack import ROOT

PASTED_S = 60


def step(number):
    """Returns the shell commands of one step."""
    document = (ROOT / "docs/deploying.md").read_text()
    text = re.search(rf"^## {number}\. .*?(?=^##)", document, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^```sh\n(.*?)^```", text[0] if text else "", re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1, f"step {number} in docs/deploying.md has {len(blocks)} blocks of shell commands"
    return blocks[0]


def paste(stack, secret, *commands):
    """Runs the commands in a folder with docs/ and secret.json and returns their output. Stops at the first failure."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "docs").symlink_to(ROOT / "docs")
        (folder / "secret.json").write_text(json.dumps(secret))
        # The emulator has another URL for the function.
        script = "\n".join(commands).replace('"$(output WebhookUrl)"', stack.webhook)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=stack.emulator.environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PASTED_S,
        )
    assert done.returncode == 0, f"the documented commands end with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def fill_secret(stack, secret):
    """Runs steps 2 and 3."""
    said = paste(stack, secret, step(2), step(3))
    assert stack.outputs["WebhookUrl"] in said.splitlines(), said


def try_without_a_meeting(stack, secret, recording_id, wait):
    """Runs step 4 for a recording at Recall. `wait` waits until the recording is stored, as an operator does."""
    unsigned, ignored, applied = step(4).replace("RECORDING_ID", recording_id).strip().split("\n\n")
    applied, look = applied.rsplit("\n", 1)
    answers = {unsigned: r"HTTP/\S+ 401\b.*no signature headers", ignored: "200 .*ignored", applied: "200 .*applied"}
    for command, answer in answers.items():
        said = paste(stack, secret, step(2), command)
        assert re.search(answer, said, re.DOTALL), f"{command}\ndoes not print {answer}, but:\n{said}"
    wait()
    listed = paste(stack, secret, step(2), look)
    assert "/manifest.json" in listed, f"{look}\nprints\n{listed}"
