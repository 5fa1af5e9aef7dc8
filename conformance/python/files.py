"""Uses the commands and the file system of the official Python SDK on the service named by AGB_ENDPOINT and AGB_API_KEY."""

import threading

from agb import AGB

from harness import Checks, eventually, failed, same, session_of, succeeded

DIRECTORY = "/tmp/agb-conformance-files"
BYTES = bytes(range(256)) * 500

check = Checks()


class Run:
    """The sessions that the checks share: one on the link route, one on the API route."""

    def __init__(self):
        self.agb = AGB()
        self.session = session_of(self.agb)
        self.unlinked = session_of(self.agb)
        self.unlinked.link_url = ""
        self.file = self.session.file
        succeeded(self.file.mkdir(DIRECTORY))

    @check
    def commands(self):
        """commands have a directory, variables, two outputs, an exit code and a time limit, on both routes"""
        for session in (self.session, self.unlinked):
            execute = session.command.execute
            result = succeeded(execute('echo "$A" >&2; pwd', 10_000, "/tmp", {"A": "ä b"}))
            same((result.stdout, result.stderr, result.exit_code), ("/tmp\n", "ä b\n", 0))
            result = execute("exit 7", 10_000)
            failed(result)
            same(result.exit_code, 7)
            failed(execute("sleep 60", 300))
            try:
                execute("true", envs={"A": 1})
                raise AssertionError("a number as variable was accepted")
            except ValueError:
                pass

    @check
    def write_modes(self):
        """files are written over and appended to"""
        path = f"{DIRECTORY}/modes.txt"
        succeeded(self.file.write(path, "one\n"))
        succeeded(self.file.write(path, "three\n", mode="append"))
        same(succeeded(self.file.read(path)).content, "one\nthree\n")
        succeeded(self.file.write(path, "four", mode="overwrite"))
        same(succeeded(self.file.read(path)).content, "four")
        failed(self.file.write(path, "five", mode="sideways"))

    @check
    def read_batch(self):
        """several files are read at once"""
        contents = {f"{DIRECTORY}/{name}.txt": f"this is {name}" for name in ("a", "b", "c")}
        for path, content in contents.items():
            succeeded(self.file.write(path, content))
        same(succeeded(self.file.read_batch(list(contents))).contents, contents)

    @check
    def edit(self):
        """edits apply all together or not at all, and a dry run changes nothing"""
        path = f"{DIRECTORY}/edit.txt"
        succeeded(self.file.write(path, "alpha beta"))
        edits = [{"oldText": "alpha", "newText": "ALPHA"}, {"oldText": "beta", "newText": "BETA"}]
        succeeded(self.file.edit(path, edits, dry_run=True))
        same(succeeded(self.file.read(path)).content, "alpha beta")
        failed(self.file.edit(path, [edits[0], {"oldText": "gamma", "newText": "x"}]))
        same(succeeded(self.file.read(path)).content, "alpha beta")
        succeeded(self.file.edit(path, edits))
        same(succeeded(self.file.read(path)).content, "ALPHA BETA")

    @check
    def info(self):
        """files and directories tell what they are"""
        succeeded(self.file.write(f"{DIRECTORY}/info.txt", "12345"))
        info = succeeded(self.file.info(f"{DIRECTORY}/info.txt")).file_info
        same((int(info["size"]), info["isDirectory"]), (5, False))
        same(succeeded(self.file.info(DIRECTORY)).file_info["isDirectory"], True)
        failed(self.file.info(f"{DIRECTORY}/nothing"))

    @check
    def search(self):
        """names are found by a part and by a pattern, but for what is excluded"""
        succeeded(self.file.mkdir(f"{DIRECTORY}/deep/er"))
        for name in ("deep/needle.py", "deep/er/needle.txt"):
            succeeded(self.file.write(f"{DIRECTORY}/{name}", ""))
        found = succeeded(self.file.search(DIRECTORY, "needle")).matches
        same(sorted(path.rsplit("/", 1)[1] for path in found), ["needle.py", "needle.txt"])
        found = succeeded(self.file.search(DIRECTORY, "needle*", exclude_patterns=["*.py"])).matches
        same([path.rsplit("/", 1)[1] for path in found], ["needle.txt"])

    @check
    def bytes(self):
        """bytes are read on both routes"""
        path = f"{DIRECTORY}/bytes.bin"
        for session in (self.session, self.unlinked):
            succeeded(session.file.mkdir(DIRECTORY))
            program = f"open('{path}', 'wb').write(bytes(range(256)) * 500)"
            succeeded(session.code.run(program, "python"))
            same(succeeded(session.file.read(path, format="bytes")).content, BYTES)

    @check
    def watch(self):
        """a directory is watched on both routes: what is made, changed and deleted is told, until it is stopped"""
        for session in (self.session, self.unlinked):
            directory = f"{DIRECTORY}/watched"
            succeeded(session.file.mkdir(directory))
            seen = []
            stop = threading.Event()
            watcher = session.file.watch_dir(directory, seen.extend, interval=0.1, stop_event=stop)
            watcher.start()
            assert watcher.ready_event.wait(30)
            for kind, command in (("create", "echo 1 > a"), ("modify", "echo 22 >> a"), ("delete", "rm a")):
                succeeded(session.command.execute(command, 10_000, directory))
                event = eventually(kind, lambda: next((one for one in seen if one.event_type == kind), None))
                same((event.path, event.path_type), (f"{directory}/a", "file"))
            stop.set()
            watcher.join(30)
            assert not watcher.is_alive()

    @check
    def refusals(self):
        """what can't be done fails and says why"""
        for use in (
            lambda: self.file.read("/no/such/file"),
            lambda: self.file.list("/no/such/directory"),
            lambda: self.file.move("/no/such/file", f"{DIRECTORY}/x"),
            lambda: self.file.remove(DIRECTORY),
            lambda: self.file.write("/proc/nothing/here", "x"),
        ):
            failed(use())

    @check
    def delete(self):
        """the sessions end"""
        for session in (self.session, self.unlinked):
            succeeded(self.agb.delete(session))


if __name__ == "__main__":
    check.run(Run())
