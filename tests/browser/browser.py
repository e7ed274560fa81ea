"""Opens pages in a real Chromium, and records their requests and errors.

Needs playwright==1.65.2 from PyPI (without its own browser) and Chromium from the system: on Debian, the package
`chromium`. `CHROMIUM` names another executable.
"""

import os
import pathlib
import shutil
import time
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

# The limit for every wait on these pages. A test that waits longer has failed.
TIMEOUT_MS = 5_000

DESKTOP = (1280, 800)
PHONE = (390, 844)


@contextmanager
def chromium():
    """Starts the browser, and closes it at the end of the block."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("Chromium was not found: install the package `chromium`, or set CHROMIUM to an executable")
    # Chromium's sandbox does not work for root, and containers rarely have a large /dev/shm.
    arguments = ["--disable-gpu", "--disable-dev-shm-usage"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """One page in its own window: `page` is Playwright's, and the rest records what happened since it was opened."""

    def __init__(self, page, javascript=True):
        self.page = page
        self.javascript = javascript
        # Errors and warnings of the console, uncaught exceptions, and violations of the CSP.
        self.errors = []
        # The URL of every request. The page's own comes first.
        self.requests = []
        # The time from the request to the first paint after the load event.
        self.opened_ms = 0.0
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("console", self._console)

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")

    def goto(self, where):
        """Opens a URL, or a file by its path."""
        url = str(where) if "://" in str(where) else pathlib.Path(where).resolve().as_uri()
        began = time.monotonic()
        self.page.goto(url, wait_until="load")
        # Without JavaScript, the page cannot evaluate anything, so this waits only for the load event.
        if self.javascript:
            self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        self.opened_ms = (time.monotonic() - began) * 1000
        return self

    def text(self, selector):
        """Returns the text of the first match with its white space collapsed, or None if there is none."""
        found = self.page.query_selector(selector)
        return None if found is None else " ".join((found.text_content() or "").split())

    def wait(self, expression):
        """Waits until a JavaScript expression is true, and returns whether it became true."""
        try:
            # This polls on a timer, because waiting for frames would need eval, which a strict CSP refuses.
            deadline = time.monotonic() + TIMEOUT_MS / 1000
            while not self.page.evaluate(f"() => Boolean({expression})"):
                if time.monotonic() > deadline:
                    return False
                self.page.wait_for_timeout(20)
            return True
        except Exception as error:  # the page may be gone, which counts as false
            self.errors.append(f"while waiting for {expression}: {error}")
            return False

    def screenshot(self, path, full=False):
        """Writes a PNG of the visible part, or of the whole page."""
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(path), full_page=full, animations="disabled")

@contextmanager
def opened(browser, where, size=DESKTOP, dark=False, still=False, javascript=True, print_media=False, permissions=()):
    """Opens `where` in a new window. With `still`, the reader prefers reduced motion."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce" if still else "no-preference",
        java_script_enabled=javascript,
        permissions=list(permissions),
    )
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    if print_media:
        page.emulate_media(media="print")
    window = Opened(page, javascript)
    try:
        yield window.goto(where)
    finally:
        context.close()


class Checks:
    """Counts the checks that passed and failed. `done` prints the counts and returns the exit code."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def that(self, what, held, seen=None):
        if held:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}" + ("" if seen is None else f": {seen!r}"))
        return bool(held)

    def equal(self, what, seen, wanted):
        return self.that(f"{what} (expected {wanted!r})", seen == wanted, seen)

    def quiet(self, what, window, only=()):
        """Checks for errors, warnings, and requests other than the page's own and those that begin with `only`."""
        self.equal(f"{what}: console", window.errors, [])
        own = window.page.url.split("#")[0]
        stray = [url for url in window.requests if url.split("#")[0] != own and not url.startswith(tuple(only))]
        self.equal(f"{what}: requests to other URLs", stray, [])

    def done(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0
