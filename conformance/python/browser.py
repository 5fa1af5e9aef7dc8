"""Uses the browser and its agent of the official Python SDK on the service named by AGB_ENDPOINT and AGB_API_KEY.

The agent needs a model. Here its answers are scripted: a service that is tried with this program says to an action, an
instruction or a question that contains "script" what the checks expect.
"""

import asyncio
import base64
import functools

from agb import AGB
from agb.exceptions import BrowserError
from agb.modules.browser import BrowserFingerprint, BrowserOption, BrowserScreen, BrowserViewport
from agb.modules.browser.browser_agent import ActOptions, ExtractOptions, ObserveOptions, ObserveResult
from playwright.async_api import async_playwright
from pydantic import BaseModel

from harness import Checks, same, session_of, succeeded

PAGE = "data:text/html,<title>Harbour</title><h1>Ships</h1>"

check = Checks()


class Price(BaseModel):
    price: int


def in_loop(test):
    """A check that awaits."""

    @functools.wraps(test)
    def run(self):
        return asyncio.run(test(self))

    return run


class Run:
    """The session that the checks share."""

    def __init__(self):
        self.agb = AGB()
        self.session = session_of(self.agb, "agb-browser-use-1")
        self.browser = self.session.browser
        self.agent = self.browser.agent

    @check
    def before(self):
        """a browser that is not initialized says so"""
        for use in (self.browser.get_endpoint_url, lambda: asyncio.run(self.agent.navigate_async(PAGE))):
            try:
                use()
                raise AssertionError("it did not")
            except BrowserError as error:
                assert "initialized" in str(error), error

    @check
    def initialize(self):
        """a browser starts with options, once"""
        option = BrowserOption(
            use_stealth=True,
            user_agent="Conformance/1",
            viewport=BrowserViewport(width=900, height=600),
            screen=BrowserScreen(width=1280, height=800),
            fingerprint=BrowserFingerprint(devices=["desktop"], operating_systems=["linux"], locales=["en-US"]),
        )
        assert self.browser.initialize(option)
        assert self.browser.initialize(option) and self.browser.is_initialized()
        assert self.browser.get_option() is option
        assert self.browser.get_endpoint_url().startswith("ws"), self.browser.get_endpoint_url()

    @check
    def link(self):
        """the session has a link to its browser"""
        assert succeeded(self.session.get_link()).data.startswith("ws")

    @check
    @in_loop
    async def playwright(self):
        """Playwright drives it at its address, and the agent's tools drive the same pages"""
        async with async_playwright() as playwright:
            remote = await playwright.chromium.connect_over_cdp(self.browser.get_endpoint_url())
            page = remote.contexts[0].pages[0]
            assert "Failed" not in await self.agent.navigate_async(PAGE)
            await page.wait_for_function("document.title === 'Harbour'")
            same(await page.evaluate("navigator.userAgent"), "Conformance/1")
            picture = base64.b64decode((await self.agent.screenshot_async(page)).split(",")[-1])
            same(picture[:2], b"\xff\xd8")
            picture = await self.browser.screenshot(page, full_page=True)
            same(picture[:4], b"\x89PNG")
            await remote.close()

    @check
    @in_loop
    async def wrong_address(self):
        """an address that leads nowhere is told"""
        assert (await self.agent.navigate_async("http://no-such-host.invalid/")).startswith("Navigation failed")

    @check
    @in_loop
    async def act(self):
        """the agent acts, on words and on what it observed"""
        result = await self.agent.act_async(ActOptions(action="script: press the bell"))
        assert result.success and "rang" in result.message, vars(result)
        observed = ObserveResult("#bell", "the bell", "click", {"why": "the script says so"})
        result = await self.agent.act_async(observed)
        assert result.success and "rang" in result.message, vars(result)

    @check
    @in_loop
    async def observe(self):
        """the agent observes"""
        success, found = await self.agent.observe_async(ObserveOptions(instruction="script: find the bell"))
        assert success
        same([(one.selector, one.method, one.arguments) for one in found], [("#bell", "click", {"times": 1})])

    @check
    @in_loop
    async def extract(self):
        """the agent extracts"""
        options = ExtractOptions(instruction="script: what is the price?", schema=Price)
        success, price = await self.agent.extract_async(options)
        assert success
        same(price.price, 7)

    @check
    def stop(self):
        """the agent's work ends, the browser stops, and the session ends"""
        assert asyncio.run(self.agent.close_async())
        self.browser.destroy()
        succeeded(self.agb.delete(self.session))

    @check
    def other_images(self):
        """an image without a browser has none to start"""
        session = session_of(self.agb)
        assert not session.browser.initialize(BrowserOption())
        succeeded(self.agb.delete(session))


if __name__ == "__main__":
    check.run(Run())
