"""Uses the extensions of the official Python SDK on the service named by AGB_ENDPOINT and AGB_API_KEY."""

import io
import tempfile
import zipfile
from pathlib import Path

from agb import AGB
from agb.extension import ExtensionOption, ExtensionsService
from agb.modules.browser.browser import BrowserFingerprintContext
from agb.session_params import BrowserContext

from harness import Checks, same, session_of, succeeded

check = Checks()


def archive(name):
    """A browser extension of that name, as the bytes of a zip file."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("manifest.json", f'{{"manifest_version": 3, "name": "{name}", "version": "1"}}')
    return data.getvalue()


def refused(error, use):
    try:
        use()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


class Run:
    """The service and the extensions that the checks share."""

    def __init__(self):
        self.agb = AGB()
        self.directory = tempfile.TemporaryDirectory()
        self.zip = Path(self.directory.name, "one.zip")
        self.zip.write_bytes(archive("one"))
        self.extensions = ExtensionsService(self.agb, "conformance-extensions")
        self.ids = []

    @check
    def create(self):
        """extensions are stored, and listed by their ids"""
        self.ids = [self.extensions.create(str(self.zip)).id for _ in range(2)]
        same(sorted(extension.id for extension in self.extensions.list()), sorted(self.ids))
        same(ExtensionsService(self.agb, "conformance-extensions").context_id, self.extensions.context_id)

    @check
    def update(self):
        """an extension is replaced by another file, and an unknown one is not"""
        self.zip.write_bytes(archive("another one"))
        same(self.extensions.update(self.ids[0], str(self.zip)).id, self.ids[0])
        same(len(self.extensions.list()), 2)
        refused(ValueError, lambda: self.extensions.update("ext_unknown.zip", str(self.zip)))

    @check
    def refusals(self):
        """what is no extension is refused"""
        refused(FileNotFoundError, lambda: self.extensions.create("/no/such/file.zip"))
        text = Path(self.directory.name, "text.txt")
        text.write_text("text")
        refused(ValueError, lambda: self.extensions.create(str(text)))
        refused(ValueError, lambda: self.extensions.create_extension_option([]))

    @check
    def mounted(self):
        """a session has the extensions that it asks for, and no others; its browser's data and fingerprint are mounted"""
        option = self.extensions.create_extension_option([self.ids[0]])
        assert isinstance(option, ExtensionOption) and option.validate(), option
        data = succeeded(self.agb.context.create("conformance-browser-data")).context
        fingerprint = BrowserFingerprintContext(succeeded(self.agb.context.create("conformance-fingerprint")).context.id)
        session = session_of(
            self.agb,
            "agb-browser-use-1",
            browser_context=BrowserContext(data.id, extension_option=option, fingerprint_context=fingerprint),
        )
        items = succeeded(session.context.info()).context_status_data
        mounted = {item.context_id for item in items}
        assert {self.extensions.context_id, fingerprint.fingerprint_context_id} <= mounted, mounted
        listed = succeeded(session.command.execute("ls /tmp/extensions", timeout_ms=20_000)).stdout
        assert self.ids[0].removesuffix(".zip") in listed, listed
        assert self.ids[1].removesuffix(".zip") not in listed, listed
        succeeded(self.agb.delete(session))

    @check
    def delete(self):
        """extensions are deleted, and the context with them"""
        assert self.extensions.delete(self.ids[0])
        same([extension.id for extension in self.extensions.list()], self.ids[1:])
        assert self.extensions.cleanup()
        assert not self.agb.context.get("conformance-extensions").success
        for name in ("conformance-browser-data", "conformance-fingerprint"):
            succeeded(self.agb.context.delete(succeeded(self.agb.context.get(name)).context))
        self.directory.cleanup()


if __name__ == "__main__":
    check.run(Run())
