"""Uses the contexts and the file transfer of the official Python SDK against the service named by AGB_ENDPOINT and
AGB_API_KEY.
"""

import asyncio
import tempfile
import urllib.request
import uuid
from pathlib import Path

from agb import AGB
from agb.context import Context, ContextListParams
from agb.context_sync import (
    BWList,
    ContextSync,
    Lifecycle,
    MappingPolicy,
    RecyclePolicy,
    SyncPolicy,
    UploadMode,
    UploadPolicy,
    WhiteList,
)
from agb.session_params import CreateSessionParams

from harness import CODE_IMAGE as IMAGE, Checks, same, succeeded

BYTES = bytes(range(256)) * 1_000

check = Checks()


def send(method, url, body=None):
    """One request to a pre-signed URL; its status and its body."""
    with urllib.request.urlopen(urllib.request.Request(url, data=body, method=method), timeout=30) as reply:
        return reply.status, reply.read()


class Run:
    """The client and the context that the checks share, in the order in which they stand here."""

    def __init__(self):
        self.agb = AGB()
        self.contexts = self.agb.context
        self.context = None
        self.path = f"/tmp/agb-conformance-{uuid.uuid4().hex}"

    def mounted(self, context, path, policy=None):
        sync = ContextSync.new(context.id, path, policy or SyncPolicy())
        params = CreateSessionParams(image_id=IMAGE, context_syncs=[sync])
        return succeeded(self.agb.create(params)).session

    @check
    def create(self):
        """create a context, once for its name, and find it by name and id"""
        self.context = succeeded(self.contexts.create("conformance")).context
        assert self.context.id
        same(succeeded(self.contexts.create("conformance")).context.id, self.context.id)
        same(succeeded(self.contexts.get("conformance")).context.id, self.context.id)
        same(succeeded(self.contexts.get(context_id=self.context.id)).context.name, "conformance")
        assert not self.contexts.create("  ").success
        assert not self.contexts.get("no such context").success

    @check
    def list(self):
        """list contexts, never more than asked for"""
        succeeded(self.contexts.create("conformance-2"))
        names = [context.name for context in succeeded(self.contexts.list()).contexts]
        assert {"conformance", "conformance-2"} <= set(names), names
        same(len(succeeded(self.contexts.list(ContextListParams(max_results=1))).contexts), 1)

    @check
    def files(self):
        """files go in and out through URLs, are listed and deleted"""
        url = succeeded(self.contexts.get_file_upload_url(self.context.id, "/tmp/d/data.bin"))
        assert url.expire_time, url
        same(send("PUT", url.url, BYTES)[0], 200)
        url = succeeded(self.contexts.get_file_download_url(self.context.id, "/tmp/d/data.bin")).url
        same(send("GET", url), (200, BYTES))
        listed = succeeded(self.contexts.list_files(self.context.id, "/tmp/d"))
        same([(entry.file_name, entry.size) for entry in listed.entries], [("data.bin", len(BYTES))])
        same(listed.count, 1)
        succeeded(self.contexts.delete_file(self.context.id, "/tmp/d/data.bin"))
        same(succeeded(self.contexts.list_files(self.context.id, "/tmp/d")).entries, [])

    @check
    def persistence(self):
        """what a session leaves in a mount is there for the next, and for no other context"""
        first = self.mounted(self.context, self.path)
        succeeded(first.file.write(f"{self.path}/kept.txt", "kept"))
        items = succeeded(first.context.info()).context_status_data
        assert any(item.context_id == self.context.id and item.path == self.path for item in items), items
        succeeded(asyncio.run(first.context.sync()))
        succeeded(self.agb.delete(first, sync_context=True))
        second = self.mounted(self.context, self.path)
        same(succeeded(second.file.read(f"{self.path}/kept.txt")).content, "kept")
        succeeded(self.agb.delete(second))
        other = succeeded(self.contexts.create("conformance-2")).context
        third = self.mounted(other, self.path)
        same(succeeded(third.command.execute(f"ls -A {self.path}", timeout_ms=20_000)).output, "")
        succeeded(self.agb.delete(third))

    @check
    def policies(self):
        """policies of every kind are accepted, and data appear where a mapping says"""
        policy = SyncPolicy(mapping_policy=MappingPolicy(path=self.path))
        mapped = self.mounted(self.context, self.path + "-mapped", policy)
        same(succeeded(mapped.file.read(f"{self.path}-mapped/kept.txt")).content, "kept")
        succeeded(self.agb.delete(mapped))
        policy = SyncPolicy(
            upload_policy=UploadPolicy(upload_mode=UploadMode.ARCHIVE),
            recycle_policy=RecyclePolicy(lifecycle=Lifecycle.LIFECYCLE_30DAYS, paths=["/logs"]),
            bw_list=BWList(white_lists=[WhiteList(path="/src", exclude_paths=["/out"])]),
        )
        other = succeeded(self.contexts.create("conformance-2")).context
        for expected in ("", "a\n"):
            session = self.mounted(other, self.path, policy)
            command = f"mkdir -p {self.path}/src; ls {self.path}/src; touch {self.path}/src/a"
            same(succeeded(session.command.execute(command, timeout_ms=20_000)).stdout, expected)
            succeeded(self.agb.delete(session))
        assert succeeded(self.contexts.list_files(other.id, self.path)).entries

    @check
    def transfer(self):
        """files go to a session and come back through its internal context"""
        session = succeeded(self.agb.create(CreateSessionParams(image_id=IMAGE))).session
        with tempfile.TemporaryDirectory() as directory:
            source, target = Path(directory, "source.bin"), Path(directory, "target.bin")
            source.write_bytes(BYTES)
            for remote in (f"{session.file.transfer_path()}/data.bin", f"{self.path}-transfer/data.bin"):
                uploaded = session.file.upload(str(source), remote)
                assert uploaded.success, uploaded
                same(uploaded.bytes_sent, len(BYTES))
                assert uploaded.request_id_upload_url and uploaded.request_id_sync, uploaded
                same(succeeded(session.file.read(remote, format="bytes")).content, BYTES)
                downloaded = session.file.download(remote, str(target))
                assert downloaded.success, downloaded
                same(target.read_bytes(), BYTES)
        succeeded(self.agb.delete(session))

    @check
    def clear(self):
        """clear a context, which stays usable"""
        same(succeeded(self.contexts.clear_async(self.context.id)).status, "clearing")
        same(succeeded(self.contexts.clear(self.context.id, timeout=30)).status, "available")
        same(succeeded(self.contexts.list_files(self.context.id, self.path)).entries, [])
        assert not self.contexts.clear_async("no-such-context").success

    @check
    def delete(self):
        """rename and delete contexts"""
        succeeded(self.contexts.update(Context(id=self.context.id, name="conformance-renamed")))
        same(succeeded(self.contexts.get("conformance-renamed")).context.id, self.context.id)
        for name in ("conformance-renamed", "conformance-2"):
            succeeded(self.contexts.delete(succeeded(self.contexts.get(name)).context))
            assert not self.contexts.get(name).success


if __name__ == "__main__":
    check.run(Run())
