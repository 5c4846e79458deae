"""A page in a browser whose every message and request is kept."""

import contextlib


@contextlib.contextmanager
def browsed(browser, address, width=1280, **options):
    """The page at `address`, `width` pixels wide, with `complaints` and `addresses`, alone with its storage."""
    context = browser.new_context(viewport={"width": width, "height": 844}, **options)
    opened = context.new_page()
    opened.complaints, opened.addresses = [], []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("request", lambda asked: opened.addresses.append(asked.url))
    opened.goto(address, wait_until="load")
    try:
        yield opened
    finally:
        context.close()


def overflowing(page):
    """The beginning of every element that reaches over the right edge, and whether the page itself scrolls sideways."""
    wide = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .map(one => one.outerHTML.slice(0, 120))"""
    )
    fits = page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    return wide if fits else [*wide, "the page"]
