"""Tests the page of `cargo dev` in a real Chromium: every button leads to a stored transcript that can be opened.

    python tests/browser/local_page.py [--shots DIR] [-- COMMAND …]

Starts the pipeline itself, with its own folder and port. COMMAND starts it (default: target/debug/local, or cargo).
"""

import argparse
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from browser import DESKTOP, PHONE, Checks, chromium, opened

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The first start may have to build the functions.
READY_S = 300
STORED_S = 60
# Each button, the title of its meeting, and what the file must contain.
MEETINGS = [
    ("hour", "Weekly product meeting", '"words"'),
    ("japanese", "定例会議", "おはよう"),
    ("silent", "No one came", "[]"),
    ("faults", "Product meeting on a bad day", '"words"'),
]


class Pipeline:
    """`cargo dev` as a process."""

    def __init__(self, command, data):
        self.command, self.data, self.process = command, data, None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    def start(self):
        arguments = ["--data", str(self.data), "--page-port", str(self.port)]
        self.process = subprocess.Popen([*self.command, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"{self.url}api/jobs", timeout=1).status == 200:
                    return
            time.sleep(0.1)
        self.stop()
        raise SystemExit("cargo dev did not start")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def jobs(self):
        return json.load(urllib.request.urlopen(f"{self.url}api/jobs", timeout=5))["jobs"]


def wait(window, expression, seconds):
    """Like window.wait, for conditions that take longer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if window.page.evaluate(f"() => Boolean({expression})"):
            return True
        window.page.wait_for_timeout(100)
    return False


def presses(checks, window, pipeline, shots):
    """Presses every button and returns the recordings by button."""
    recordings = {}
    for kind, title, _ in MEETINGS + [("unannounced", "Meeting without a webhook", "")]:
        before = {job["recording_id"] for job in pipeline.jobs()}
        window.page.click(f"button[data-kind={kind}]")
        shown = wait(window, f"document.querySelectorAll('.job').length > {len(before)}", 10)
        checks.that(f"{kind}: a card appears", shown)
        new = [job["recording_id"] for job in pipeline.jobs() if job["recording_id"] not in before]
        if checks.equal(f"{kind}: one press, one recording", len(new), 1):
            recordings[kind] = new[0]
            checks.that(f"{kind}: title", title in (window.text(f"[data-recording='{new[0]}'] h3") or ""))
    window.screenshot(shots / "under-way.png", full=True)
    for kind, _, _ in MEETINGS:
        card = f"[data-recording='{recordings[kind]}']"
        stored = wait(window, f"document.querySelector(\"{card}[data-status=stored]\")", STORED_S)
        checks.that(f"{kind}: stored", stored, window.text(card))
        # Its announcement may arrive a moment later, as one more change of the card.
        checks.that(f"{kind}: paid once", "1 paid create" in (window.text(f"{card} .paid") or ""), window.text(card))
        checks.that(f"{kind}: the badge says stored", window.text(f"{card} .badge") == "stored")
    news = window.text("#news") or ""
    checks.that("the announcement reaches screen readers", "bad day: stored" in news, news)
    silent = window.text(f"[data-recording='{recordings['silent']}']")
    checks.that("silent: shown as empty", "no one spoke" in silent, silent)
    faults = window.page.query_selector_all(f"[data-recording='{recordings['faults']}'] .faults li")
    checks.equal("faults: each is named", len(faults), 6)
    waiting = window.text(f"[data-recording='{recordings['unannounced']}'] .badge")
    checks.equal("unannounced: no job before the sweep", waiting, "no job yet")
    checks.that("the totals say that nothing was paid twice", "nothing twice" in (window.text("#sums") or ""))
    return recordings


def opens(checks, browser, window, pipeline, recordings):
    """Opens every object of every transcript by its link, each in its own window."""
    for kind, _, content in MEETINGS:
        links = window.page.query_selector_all(f"[data-recording='{recordings[kind]}'] .files a")
        checks.that(f"{kind}: there are links", len(links) >= 2)
        for link in links:
            url, label = link.evaluate("link => link.href"), link.text_content()
            answer = urllib.request.urlopen(url, timeout=5)
            text = answer.read().decode()
            checks.that(f"{kind}: {label} is not empty", text or kind == "silent")
            if url.endswith("/transcript.json"):
                checks.equal(f"{kind}: type", answer.headers["content-type"], "application/json")
                checks.that(f"{kind}: contains {content}", content in text)
            if url.endswith((".json", ".html", ".txt")):
                # Data is served into a sandbox without scripts, so the test cannot run scripts there either.
                with opened(browser, url, javascript=url.endswith(".html")) as shown:
                    checks.that(f"{kind}: {label} is shown", shown.text("body") or kind == "silent")
                    checks.quiet(f"{kind}: {label}", shown)
    with window.page.context.expect_page() as popup:
        window.page.click(f"[data-recording='{recordings['japanese']}'] .files a >> text=transcript.json")
    checks.that("a link opens beside the page", popup.value.url.endswith("/transcript.json"))
    popup.value.close()


def steps(checks, window, recordings):
    card = f"[data-recording='{recordings['faults']}']"
    window.page.click(f"{card} summary")
    checks.that("the steps are shown", window.wait(f"document.querySelector(\"{card} tbody tr\")"))
    table = window.text(f"{card} .table") or ""
    checks.that("the lost answer is among them", "create_transcriptno answer" in table, table)
    rows = [row.text_content() for row in window.page.query_selector_all(f"{card} tbody tr")]
    checks.that("the bucket's 503 is among them", any("bucket" in row and "503" in row for row in rows), rows)
    window.page.focus(f"{card} .copy")
    window.page.keyboard.press("Enter")
    checks.that("copied", window.wait(f"document.querySelector(\"{card} .copy\").textContent === 'copied'"))
    held = window.page.evaluate("() => navigator.clipboard.readText()")
    checks.equal("the id is on the clipboard", held, recordings["faults"])


def survives(checks, window, pipeline, shots):
    """Stops and restarts the server while the tab stays open."""
    errors = list(window.errors)
    pipeline.stop()
    gone, live = (f"document.querySelector('#connection[data-state={state}]')" for state in ("gone", "live"))
    checks.that("the page says that cargo dev does not answer", wait(window, gone, 15))
    checks.that("the buttons are disabled", window.page.is_disabled("button[data-kind=hour]"))
    window.screenshot(shots / "gone.png")
    pipeline.start()
    checks.that("it is live again", wait(window, live, 15))
    checks.that("the jobs are still there", window.page.query_selector_all(".job[data-status=stored]"))
    # cargo dev plays a meeting at every start.
    first = "document.querySelector('.job:first-child[data-status=stored]')"
    checks.that("a new recording appears", wait(window, first, STORED_S))
    checks.that("buttons work again", not window.page.is_disabled("button[data-kind=hour]"))
    # The browser itself reports a refused connection as an error.
    others = [error for error in window.errors[len(errors):] if "ERR_" not in error]
    checks.equal("nothing else went wrong", others, [])


def looks(checks, browser, pipeline, shots):
    """Checks every width, light and dark: nothing overflows, every control has a name, and all texts have contrast."""
    for name, size, dark in [("desktop", DESKTOP, False), ("dark", DESKTOP, True), ("phone", PHONE, False),
                             ("phone-dark", PHONE, True), ("narrow", (320, 640), False)]:
        with opened(browser, pipeline.url, size=size, dark=dark) as window:
            window.wait("document.querySelector('.job')")
            for summary in window.page.query_selector_all("summary")[:2]:
                summary.click()
            window.wait("document.querySelector('tbody tr')")
            wide = window.page.evaluate("() => document.documentElement.scrollWidth")
            checks.that(f"{name}: nothing overflows", wide <= size[0], wide)
            nameless = window.page.evaluate("""() => [...document.querySelectorAll('a, button, summary, [role=region]')]
                .filter(one => !(one.getAttribute('aria-label') ?? one.textContent).trim())
                .map(one => one.outerHTML)""")
            checks.equal(f"{name}: every control has a name", nameless, [])
            checks.equal(f"{name}: contrast of 4.5", window.page.evaluate(CONTRAST), [])
            checks.quiet(name, window, [pipeline.url])
            window.screenshot(shots / f"{name}.png", full=name != "narrow")
    with opened(browser, pipeline.url, javascript=False) as window:
        checks.that("the page says that it needs JavaScript", window.page.is_visible("noscript p"))
    with opened(browser, pipeline.url.replace("127.0.0.1", "localhost")) as window:
        checks.that("the page also opens under the name localhost", window.wait("document.querySelector('.job')"))
        checks.quiet("localhost", window, [window.page.url])


# Texts whose contrast with the nearest opaque background is below 4.5, as `text (ratio)`.
CONTRAST = """() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = parts(colour).map(c => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = one => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor, [, , , alpha = 1] = parts(colour);
      if (alpha === 1) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const low = [];
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.checkVisibility() || ['SCRIPT', 'NOSCRIPT'].includes(one.tagName)) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${one.textContent.slice(0, 40)} (${ratio.toFixed(2)})`);
  }
  return [...new Set(low)];
}"""


def refuses(checks, browser, pipeline):
    """Checks that a page of another origin can neither press buttons nor read."""
    with tempfile.TemporaryDirectory() as folder:
        evil = pathlib.Path(folder) / "evil.html"
        evil.write_text("<!doctype html><title>evil</title><body>")
        before = len(pipeline.jobs())
        with opened(browser, evil) as window:
            tries = f"""async () => {{
                const tries = [["api/play/silent", {{method: "POST", mode: "no-cors"}}], ["api/jobs", {{}}]];
                return Promise.all(tries.map(([path, options]) => fetch("{pipeline.url}" + path, options)
                    .then(answer => answer.type === "opaque" ? "opaque" : answer.text()).catch(() => "failed")));
            }}"""
            seen = window.page.evaluate(tries)
            checks.that("another origin reads nothing", all(one in ("opaque", "failed") for one in seen), seen)
        checks.equal("another origin plays nothing", len(pipeline.jobs()), before)
    request = urllib.request.Request(f"{pipeline.url}api/jobs", headers={"Host": "evil.example"})
    try:
        urllib.request.urlopen(request, timeout=5)
        checks.that("another host name is refused", False)
    except urllib.error.HTTPError as error:
        checks.equal("another host name is refused", error.code, 403)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shots", type=pathlib.Path, default=ROOT / "target/ci/shots/local_page")
    parser.add_argument("command", nargs="*")
    arguments = parser.parse_args()
    built = ROOT / "target/debug/local"
    command = arguments.command or ([str(built)] if built.exists() else [shutil.which("cargo"), "dev"])
    checks = Checks()
    with tempfile.TemporaryDirectory() as data:
        pipeline = Pipeline(command, data)
        pipeline.start()
        try:
            with chromium() as browser:
                permissions = ("clipboard-read", "clipboard-write")
                with opened(browser, pipeline.url, permissions=permissions) as window:
                    checks.that("it is live", window.wait("document.querySelector('#connection[data-state=live]')"))
                    # cargo dev itself plays this meeting.
                    wait(window, "document.querySelector('.job[data-status=stored]')", STORED_S)
                    recordings = presses(checks, window, pipeline, arguments.shots)
                    opens(checks, browser, window, pipeline, recordings)
                    steps(checks, window, recordings)
                    checks.quiet("the page", window, [pipeline.url])
                    looks(checks, browser, pipeline, arguments.shots)
                    refuses(checks, browser, pipeline)
                    survives(checks, window, pipeline, arguments.shots)
        finally:
            pipeline.stop()
    return checks.done()


if __name__ == "__main__":
    sys.exit(main())
