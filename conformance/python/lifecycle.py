"""Uses the official Python SDK against the service named by AGB_ENDPOINT and AGB_API_KEY, from creation to deletion.

A service that this client can work with speaks the protocol; our own client can't prove that.
"""

from agb import AGB
from agb.session_params import CreateSessionParams

import harness
from harness import CODE_IMAGE as IMAGE, Checks, failed, same

LABELS = {"suite": "conformance", "language": "python"}
# Longer than one chunk of the SDK (50 KiB), with characters of one to four bytes across the chunk's edge.
TEXT = "aé漢😀\n" * 10_000
BINARY = bytes(range(256)) * 300
DIRECTORY = "/tmp/agb-conformance"

check = Checks()


def succeeded(result):
    """The result itself, if it says that all went well and which request it belongs to."""
    harness.succeeded(result)
    assert result.request_id, f"{type(result).__name__} has no request id"
    return result


def stdout_of(result):
    return "".join(succeeded(result).logs.stdout)


class Run:
    """The client and the sessions that the checks share, in the order in which they stand here."""

    def __init__(self):
        self.agb = AGB()
        self.session = None
        self.others = []

    def created(self, **params):
        return succeeded(self.agb.create(CreateSessionParams(image_id=IMAGE, **params))).session

    @check
    def create(self):
        """create a session with labels and an idle timeout"""
        self.session = self.created(labels=LABELS, idle_release_timeout=300)
        assert self.session.session_id
        same(self.session.image_id, IMAGE)

    @check
    def python_prints(self):
        """run Python and read its output"""
        same(stdout_of(self.session.code.run("print('Hello', 1 + 1)", "python")).strip(), "Hello 2")

    @check
    def python_keeps_state(self):
        """Python keeps its state from one run to the next"""
        succeeded(self.session.code.run("kept = 41", "python"))
        same(succeeded(self.session.code.run("kept + 1", "python")).result, "42")

    @check
    def python_error(self):
        """an exception in Python is a failure that names it"""
        result = self.session.code.run("1 / 0", "python")
        assert not result.success
        assert "division by zero" in result.error_message, result.error_message

    @check
    def javascript(self):
        """run JavaScript and read its output"""
        same(stdout_of(self.session.code.run("console.log([1, 2, 3].map((n) => n * n).join())", "javascript")).strip(), "1,4,9")

    @check
    def command(self):
        """run a shell command with a directory and a variable"""
        result = succeeded(self.session.command.execute('echo "$GREETING" in "$PWD"', 10_000, "/tmp", {"GREETING": "hi"}))
        same(result.stdout.strip(), "hi in /tmp")
        same(result.exit_code, 0)

    @check
    def command_fails(self):
        """a command's exit code and error output arrive"""
        result = self.session.command.execute("echo oops >&2; exit 3", 10_000)
        assert not result.success
        same(result.exit_code, 3)
        same(result.stderr.strip(), "oops")

    @check
    def directories(self):
        """make and list a directory"""
        succeeded(self.session.file.mkdir(f"{DIRECTORY}/inner"))
        succeeded(self.session.file.write(f"{DIRECTORY}/a.txt", "a"))
        entries = succeeded(self.session.file.list(DIRECTORY)).entries
        same(sorted((entry["name"], entry["isDirectory"]) for entry in entries), [("a.txt", False), ("inner", True)])

    @check
    def text_file(self):
        """write and read a text file of several chunks, with characters of up to four bytes"""
        succeeded(self.session.file.write(f"{DIRECTORY}/text.txt", TEXT))
        size = succeeded(self.session.command.execute(f"wc -c < {DIRECTORY}/text.txt", 10_000)).stdout.strip()
        same(int(size), len(TEXT.encode()))
        # The SDK itself cuts text at bytes when it reads, so only its first chunk is compared as characters.
        small = TEXT[:5_000]
        succeeded(self.session.file.write(f"{DIRECTORY}/small.txt", small))
        same(succeeded(self.session.file.read(f"{DIRECTORY}/small.txt")).content, small)

    @check
    def binary_file(self):
        """read a binary file of several chunks"""
        succeeded(self.session.code.run(f"open('{DIRECTORY}/b.bin', 'wb').write(bytes(range(256)) * 300)", "python"))
        same(succeeded(self.session.file.read(f"{DIRECTORY}/b.bin", format="bytes")).content, BINARY)

    @check
    def edit_move_search(self):
        """edit, move, find and remove a file"""
        file = self.session.file
        succeeded(file.edit(f"{DIRECTORY}/a.txt", [{"oldText": "a", "newText": "edited"}]))
        succeeded(file.move(f"{DIRECTORY}/a.txt", f"{DIRECTORY}/inner/moved.txt"))
        same(succeeded(file.read(f"{DIRECTORY}/inner/moved.txt")).content, "edited")
        matches = succeeded(file.search(DIRECTORY, "moved")).matches
        assert any(match.endswith("moved.txt") for match in matches), matches
        same(int(succeeded(file.info(f"{DIRECTORY}/inner/moved.txt")).file_info["size"]), len("edited"))
        succeeded(file.remove(f"{DIRECTORY}/inner/moved.txt"))
        assert not file.read(f"{DIRECTORY}/inner/moved.txt").success

    @check
    def keep_alive(self):
        """keep the session alive"""
        succeeded(self.session.keep_alive())

    @check
    def labels(self):
        """read and replace labels"""
        same(succeeded(self.session.get_labels()).data, LABELS)
        changed = {**LABELS, "step": "2"}
        succeeded(self.session.set_labels(changed))
        same(succeeded(self.session.get_labels()).data, changed)

    @check
    def list_pages(self):
        """list sessions by label, page by page"""
        self.others = [self.created(labels={"suite": "pages"}) for _ in range(5)]
        wanted = sorted(session.session_id for session in self.others)
        pages = [succeeded(self.agb.list({"suite": "pages"}, page, 2)) for page in (1, 2, 3)]
        same([len(page.session_ids) for page in pages], [2, 2, 1])
        same(sorted(id for page in pages for id in page.session_ids), wanted)
        same({page.total_count for page in pages}, {5})
        assert "No more pages" in failed(self.agb.list({"suite": "pages"}, 4, 2))

    @check
    def get(self):
        """get the session by its id and use it"""
        again = succeeded(self.agb.get(self.session.session_id)).session
        same(again.session_id, self.session.session_id)
        same(stdout_of(again.code.run("print(kept)", "python")).strip(), "41")

    @check
    def status_and_info(self):
        """read status and info"""
        same(succeeded(self.session.get_status()).status, "RUNNING")
        same(succeeded(self.session.info()).data["session_id"], self.session.session_id)

    @check
    def metrics(self):
        """read metrics"""
        metrics = succeeded(self.session.get_metrics()).metrics
        assert metrics.cpu_count >= 1, metrics.cpu_count
        assert metrics.mem_total > 0, metrics.mem_total

    @check
    def tools(self):
        """list the tools of the image"""
        names = {tool.name for tool in succeeded(self.session.list_mcp_tools()).tools}
        assert {"run_code", "shell", "read_file", "write_file"} <= names, names

        same([tool.name for tool in self.session.tool_list if tool.name == "shell"], ["shell"])

    @check
    def call_tool(self):
        """call a tool by its name, and one that is not there"""
        called = succeeded(self.session.call_mcp_tool("shell", {"command": "echo direct", "timeout_ms": 10_000}))
        assert "direct" in called.data, called.data
        assert "no_such_tool" in failed(self.session.call_mcp_tool("no_such_tool", {}))

    @check
    def link(self):
        """get links to ports, and none to a port that is not allowed"""
        first = succeeded(self.session.get_link("https", 30100)).data
        assert "://" in first, first
        assert succeeded(self.session.get_link("wss", 30199)).data != first
        failed(self.session.get_link("https", 80))

    @check
    def get_session(self):
        """read what the service says of a session"""
        data = succeeded(self.agb.get_session(self.session.session_id)).data
        same(data.session_id, self.session.session_id)
        same((data.link_url, data.token), (self.session.link_url, self.session.token))
        assert data.resource_url, data

    @check
    def labels_that_cannot_be(self):
        """labels without a name or a value are refused"""
        for labels in ({}, {"": "x"}, {"x": ""}, {"x": None}):
            failed(self.session.set_labels(labels))

    @check
    def delete(self):
        """delete the sessions"""
        for session in [self.session, *self.others]:
            succeeded(self.agb.delete(session))
        for labels in (LABELS, {"suite": "pages"}):
            same(succeeded(self.agb.list(labels)).session_ids, [])

    @check
    def deleted(self):
        """whatever uses a deleted session fails and says why"""
        session = self.session
        for use in (
            session.keep_alive,
            session.info,
            session.get_metrics,
            lambda: session.code.run("print(1)", "python"),
            lambda: session.command.execute("true"),
            lambda: session.file.write("/tmp/late.txt", "late"),
            lambda: session.file.read("/tmp/late.txt"),
            lambda: self.agb.get(session.session_id),
        ):
            failed(use())
        # The service may remember for a while that there was such a session.
        assert session.get_status().status != "RUNNING"

    @check
    def wrong_key(self):
        """a wrong key is refused"""
        failed(AGB(api_key="not-the-key").create(CreateSessionParams(image_id=IMAGE)))


if __name__ == "__main__":
    check.run(Run())
