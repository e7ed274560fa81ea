"""A real Chromium for the tests of our pages: what it shows, what it asks for, what it complains about.

Needs playwright==1.65.2 from PyPI (without a browser of its own) and Chromium from the system: on Debian the package
`chromium`. `CHROMIUM` names another executable.
"""

import os
import pathlib
import shutil
import time
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

# Nothing on these pages should take longer; a test that waits for this has failed.
TIMEOUT_MS = 5_000

DESKTOP = (1280, 800)
PHONE = (390, 844)


@contextmanager
def chromium():
    """Starts the browser; ends it with the block."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("no Chromium here: install the package `chromium`, or name one with CHROMIUM=/path/to/it")
    # Root cannot have Chromium's sandbox, and a container seldom has a large /dev/shm.
    arguments = ["--disable-gpu", "--disable-dev-shm-usage"] + (["--no-sandbox"] if os.geteuid() == 0 else [])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """One page in a window of its own: `page` is Playwright's, the rest is what happened to it since it was opened."""

    def __init__(self, page, javascript=True):
        self.page = page
        self.javascript = javascript
        # What the console called an error or a warning, exceptions that nobody caught, and breaches of the CSP.
        self.errors = []
        # The URL of every request, the page's own first.
        self.requests = []
        # From asking for the page until its load event and the paint after it.
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
        # Without JavaScript nothing can be evaluated in the page; its load event has to do.
        if self.javascript:
            self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        self.opened_ms = (time.monotonic() - began) * 1000
        return self

    def text(self, selector):
        """The text of the first match, white space collapsed; None if there is none."""
        found = self.page.query_selector(selector)
        return None if found is None else " ".join((found.text_content() or "").split())

    def wait(self, expression):
        """Waits until a JavaScript expression is true, and says whether it ever was."""
        try:
            # Polled on a timer: watching for frames would need eval, which a strict CSP refuses.
            deadline = time.monotonic() + TIMEOUT_MS / 1000
            while not self.page.evaluate(f"() => Boolean({expression})"):
                if time.monotonic() > deadline:
                    return False
                self.page.wait_for_timeout(20)
            return True
        except Exception as error:  # a page that went away is an answer too
            self.errors.append(f"while waiting for {expression}: {error}")
            return False

    def screenshot(self, path, full=False):
        """A PNG of what the window shows, or of the whole page."""
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(path), full_page=full, animations="disabled")

@contextmanager
def opened(browser, where, size=DESKTOP, dark=False, still=False, javascript=True, print_media=False, permissions=()):
    """Opens `where` in a fresh window. `still`: the reader prefers reduced motion."""
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
    """Counts what held and what did not; `done` is the exit code, and prints the closing line."""

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
        return self.that(f"{what} (wanted {wanted!r})", seen == wanted, seen)

    def quiet(self, what, window, only=()):
        """No error, no warning, and no request but the page's own and those that begin with one of `only`."""
        self.equal(f"{what}: console", window.errors, [])
        own = window.page.url.split("#")[0]
        stray = [url for url in window.requests if url.split("#")[0] != own and not url.startswith(tuple(only))]
        self.equal(f"{what}: requests to elsewhere", stray, [])

    def done(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0
