"""Measures the official Python SDK, and prints its figures as JSON: the same cases as subject.mjs, with the same sizes."""

import json
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

SIZES = json.loads(sys.argv[1])
MIB = 1024 * 1024
figures = {}


def timed(work):
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1_000


def load():
    global AGB, CreateSessionParams
    from agb import AGB
    from agb.session_params import CreateSessionParams


def succeeded(result):
    if not result.success:
        raise RuntimeError(result.error_message)
    return result


def rss():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


figures["load"] = timed(load)
agb = AGB()


def create():
    return succeeded(agb.create(CreateSessionParams(image_id="agb-code-space-1"))).session


session = create()


def keep_alive(_=None):
    succeeded(session.keep_alive())


def measure_calls():
    keep_alive()
    figures["call"] = timed(lambda: [keep_alive() for _ in range(SIZES["calls"])]) / SIZES["calls"]
    with ThreadPoolExecutor(SIZES["atOnce"]) as pool:
        count = SIZES["parallelCalls"]
        figures["parallel"] = timed(lambda: list(pool.map(keep_alive, range(count)))) / count
    if os.path.exists("/proc/self/statm"):
        figures["memory"] = rss() / MIB


def measure_file():
    path, text = "/tmp/benchmark.txt", "🌍 hello " * -(-SIZES["fileBytes"] // 11)
    # Written in pieces of its own: what it does at the edge of a chunk is not the question here.
    session.command.execute(f"rm -f {path}", 20_000)
    for at in range(0, len(text), 40_000):
        succeeded(session.file.write(path, text[at : at + 40_000], mode="append" if at else "overwrite"))
    figures["readFile"] = timed(lambda: succeeded(session.file.read(path)))


def measure_upload():
    with tempfile.TemporaryDirectory() as directory:
        file = os.path.join(directory, "upload")
        # In pieces: the whole of it would count as memory of the subject.
        with open(file, "wb") as out:
            for left in range(SIZES["uploadBytes"], 0, -MIB):
                out.write(os.urandom(min(left, MIB)))
        to = f"{session.file.transfer_path()}/upload"
        figures["upload"] = timed(lambda: succeeded(session.file.upload(file, to)))


measure_calls()
measure_file()
figures["delete"] = timed(lambda: succeeded(agb.delete(create())))
measure_upload()
succeeded(agb.delete(session))
# In bytes on macOS, in KiB elsewhere.
figures["peakMemory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MIB if sys.platform == "darwin" else 1024)
print(json.dumps(figures))
