"""The live Python interpreter of a session: runs cells in one namespace, as a notebook does.

Requests come in on descriptor 3, one JSON object a line: {"run", "code"} or {"interrupt": run}. Events go out on
descriptor 4: {"ready"}, {"run", "result", "main"} for every displayed object, {"run", "end", ...}. What a cell prints
goes to the real standard output and error, so that it can be forwarded while the cell runs.
"""

import ast
import base64
import builtins
import fcntl
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import linecache
import os
import queue
import re
import signal
import sys
import threading
import time
import traceback
import types
# A cell may replace the modules'.
from os import kill
from time import sleep

KERNEL_PID = os.getpid()
# The longest text of an error; a traceback on standard error has all of it.
ERROR_LENGTH = 10_000


def private(descriptor):
    """Out of the way of code that counts on low numbers, and closed in the programs that a cell starts."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 100)
    os.close(descriptor)
    return moved


REQUESTS = os.fdopen(private(3), encoding="utf-8", newline="\n")
EVENTS = private(4)
EVENTS_LOCK = threading.Lock()
BETWEEN_INTERRUPTS_S = 0.4


def send(event):
    try:
        text = json.dumps(event, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(without_nan(event), ensure_ascii=False)
    data = memoryview(text.encode("utf-8", "replace") + b"\n")
    with EVENTS_LOCK:
        while data:
            data = data[os.write(EVENTS, data):]


def without_nan(value):
    """JSON has no word for what is not finite."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return value


class State:
    run = None
    # The last run that has ended.
    ended = 0
    interruptible = False
    # Held while that changes, and from an interrupt's check to its signal: no other run begins between them.
    lock = threading.Lock()
    count = 0
    loop = None


# ---------------------------------------------------------------------------------------------------------- display

METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
    "_repr_pdf_": "application/pdf",
}


def as_data(value):
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        value = value[0]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode("ascii")
    return value


def call_quietly(method, *args, **kwargs):
    """A representation that fails is left out, and says why on standard error."""
    try:
        return method(*args, **kwargs)
    except NotImplementedError:
        return None
    except Exception:
        traceback.print_exc()
        return None


def method_of(value, name):
    """The method that displays the value, if it means to have one: a class shows no instance, and what has an attribute of
    any name (a mock, a proxy) has this one by accident. As in IPython."""
    try:
        if isinstance(value, type) or hasattr(value, "_no_object_has_this_on_purpose_"):
            return None
        method = getattr(value, name, None)
    except Exception:
        return None
    return method if callable(method) else None


def representations(value):
    bundle = {}
    whole = method_of(value, "_repr_mimebundle_")
    if whole:
        answer = call_quietly(whole, include=None, exclude=None)
        if isinstance(answer, tuple) and answer:
            answer = answer[0]
        if isinstance(answer, dict):
            bundle.update((mime, as_data(data)) for mime, data in answer.items())
    for name, mime in METHODS.items():
        method = method_of(value, name)
        if method and mime not in bundle:
            data = as_data(call_quietly(method))
            if data is not None:
                bundle[mime] = data
    if "image/png" not in bundle and is_figure(value):
        bundle["image/png"] = figure_png(value)
    if "text/plain" not in bundle:
        bundle["text/plain"] = repr(value)
    return json_safe(bundle)


def json_safe(bundle):
    safe = {}
    for mime, data in bundle.items():
        try:
            json.dumps(data)
            safe[mime] = data
        except (TypeError, ValueError):
            safe[mime] = str(data)
    return safe


def show(bundle, main=False):
    send({"run": State.run, "result": bundle, "main": main})


def display(*values, include=None, exclude=None, metadata=None, raw=False, display_id=None, clear=False, **_ignored):
    """Shows values in the richest ways they offer."""
    for value in values:
        if raw:
            show(json_safe({mime: as_data(data) for mime, data in value.items()}))
            continue
        own = method_of(value, "_ipython_display_")
        if own:
            own()
            continue
        bundle = representations(value)
        if include is not None:
            bundle = {mime: data for mime, data in bundle.items() if mime in include}
        if exclude is not None:
            bundle = {mime: data for mime, data in bundle.items() if mime not in exclude}
        show(bundle)


def publish_display_data(data, metadata=None, **_ignored):
    """Shows a ready bundle of representations by MIME type."""
    display(data, raw=True)


def clear_output(wait=False):
    """Nothing to clear: what was shown has been sent."""


class DisplayObject:
    """What is shown by its content, given as data, as a file's name or as a URL."""

    mode = "r"

    def __init__(self, data=None, url=None, filename=None, metadata=None, **_ignored):
        if isinstance(data, (str, os.PathLike)) and url is None and filename is None and self.is_url(data):
            data, url = None, str(data)
        self.data, self.url, self.filename, self.metadata = data, url, filename, metadata or {}
        self.reload()

    def is_url(self, data):
        return False

    def reload(self):
        """Reads the content again where it comes from a file or a URL."""
        if self.filename is not None:
            with open(self.filename, self.mode, encoding=None if "b" in self.mode else "utf-8") as file:
                self.data = file.read()
        elif self.url is not None and self.data is None:
            from urllib.request import urlopen

            with urlopen(self.url) as answer:
                content = answer.read()
            self.data = content if "b" in self.mode else content.decode("utf-8")


def display_class(name, method):
    def represent(self):
        return self.data

    return type(name, (DisplayObject,), {method: represent, "__module__": "IPython.display"})


HTML = display_class("HTML", "_repr_html_")
Markdown = display_class("Markdown", "_repr_markdown_")
Latex = display_class("Latex", "_repr_latex_")
SVG = display_class("SVG", "_repr_svg_")
JSON = display_class("JSON", "_repr_json_")
Javascript = display_class("Javascript", "_repr_javascript_")


class Pretty(DisplayObject):
    def __repr__(self):
        return str(self.data)


class Math(Latex):
    def _repr_latex_(self):
        return "$\\displaystyle %s$" % self.data.strip("$")


class IFrame:
    def __init__(self, src, width, height, **_ignored):
        self.src, self.width, self.height = src, width, height

    def _repr_html_(self):
        return '<iframe src="%s" width="%s" height="%s"></iframe>' % (self.src, self.width, self.height)


class Image(DisplayObject):
    mode = "rb"

    def __init__(self, data=None, url=None, filename=None, format=None, embed=None, **ignored):
        if isinstance(data, (str, os.PathLike)) and os.path.exists(data):
            data, filename = None, data
        super().__init__(data, url, filename, **ignored)
        self.format = (format or self.guess()).lower()

    def is_url(self, data):
        return str(data).startswith(("http://", "https://"))

    def guess(self):
        return "jpeg" if isinstance(self.data, bytes) and self.data[:2] == b"\xff\xd8" else "png"

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"image/jpeg" if self.format in ("jpeg", "jpg") else "image/%s" % self.format: self.data}


SHOWN = (HTML, Markdown, Latex, Math, SVG, JSON, Javascript, Pretty, IFrame, Image, DisplayObject)


# ------------------------------------------------------------------------------------------------------- matplotlib

BACKEND = "agb_matplotlib"
BACKEND_SOURCE = """
from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg


def show(*args, **kwargs):
    for manager in Gcf.get_all_fig_managers():
        _display(manager.canvas.figure)
    Gcf.destroy_all()


class FigureManager(FigureManagerBase):
    def show(self):
        _display(self.canvas.figure)

    @classmethod
    def pyplot_show(cls, *args, **kwargs):
        show()


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
"""


def is_figure(value):
    figures = sys.modules.get("matplotlib.figure")
    return figures is not None and isinstance(value, figures.Figure)


def figure_png(figure):
    import io

    if figure.canvas is None or not hasattr(figure.canvas, "print_png"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def show_open_figures():
    """As notebooks do: a figure that the cell made and nobody showed is shown at its end."""
    backend = sys.modules.get(BACKEND)
    if backend is not None:
        backend.show()


# ---------------------------------------------------------------------------------------------------------- imports


class Own(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of ours: the chart backend, and the part of IPython that cells use, where IPython is not installed."""

    names = ("IPython", "IPython.display", "IPython.core", "IPython.core.display", "IPython.core.display_functions")

    def find_spec(self, name, path=None, target=None):
        if name == BACKEND or name in self.names:
            return importlib.machinery.ModuleSpec(name, self, is_package=name in ("IPython", "IPython.core"))
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        if module.__name__ == BACKEND:
            exec(BACKEND_SOURCE, module.__dict__)
            module._display = display
        elif module.__name__ == "IPython":
            module.get_ipython = lambda: None
            module.display = importlib.import_module("IPython.display")
        else:
            for function in (display, publish_display_data, clear_output):
                setattr(module, function.__name__, function)
            for shown in SHOWN:
                setattr(module, shown.__name__, shown)


class InstalledIPython(importlib.abc.MetaPathFinder):
    """Makes the display of an installed IPython ours: its own only prints outside its shell."""

    names = ("IPython.core.display_functions", "IPython.core.display")

    def __init__(self):
        self.searching = False

    def find_spec(self, name, path=None, target=None):
        if name not in self.names or self.searching:
            return None
        self.searching = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.searching = False
        if spec is None or spec.loader is None or isinstance(spec.loader, Own):
            return spec
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            # Not by asking the module: one may answer with warnings for names that have moved.
            for function in (display, publish_display_data, clear_output):
                if function.__name__ in module.__dict__:
                    setattr(module, function.__name__, function)

        spec.loader.exec_module = exec_module
        return spec


# ------------------------------------------------------------------------------------------------------------ cells

MAIN = types.ModuleType("__main__")


def no_input(prompt=""):
    raise EOFError("input() has nobody to ask: a run has no standard input")


class Leave:
    def __call__(self, code=None):
        raise SystemExit(code)

    def __repr__(self):
        return "Use exit() to end the run"


def parse(code, name):
    lines = code.split("\n")
    while True:
        try:
            return compile("\n".join(lines), name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError as error:
            # Line by line where the compiler stumbles: one within a string is none, whatever it looks like.
            at = (error.lineno or 0) - 1
            if not 0 <= at < len(lines) or (translated := translate_magic(lines[at])) is None:
                raise
            lines[at] = translated


def translate_magic(line):
    """`!command` runs in a shell, `%pip` is `python -m pip`, other notebook magics mean nothing here; None: it is none."""
    match = re.match(r"(\s*)(!|%pip\s|%%?)(.*)$", line)
    if not match:
        return None
    indent, mark, rest = match.groups()
    if mark == "!":
        return "%s(__import__('os').system(%r), None)[1]" % (indent, rest)
    if mark.startswith("%pip"):
        pip = "[__import__('sys').executable, '-m', 'pip', *%r]" % rest.split()
        return "%s(__import__('subprocess').run(%s), None)[1]" % (indent, pip)
    return indent + "pass"


def execute(tree, name, silent):
    """Runs the statements; the value of a last expression is the cell's main result."""
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    if tree.body:
        evaluate(compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
    if last is None:
        return
    value = evaluate(compile(ast.Expression(last.value), name, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
    if value is not None and not silent:
        MAIN.__dict__["_"] = value
        show(representations(value), main=True)


def evaluate(code):
    if not code.co_flags & inspect.CO_COROUTINE:
        return eval(code, MAIN.__dict__)
    import asyncio

    if State.loop is None or State.loop.is_closed():
        State.loop = asyncio.new_event_loop()
    asyncio.set_event_loop(State.loop)
    return State.loop.run_until_complete(eval(code, MAIN.__dict__))


def let_interrupt(wanted):
    """Outside a cell an interrupt does nothing; a function, as children would inherit that it is ignored."""
    with State.lock:
        State.interruptible = wanted
    signal.signal(signal.SIGINT, signal.default_int_handler if wanted else lambda *_: None)


def interrupt(run):
    """As a terminal does, for the whole group: a program that the cell waits for ends too. Repeated until the run has
    ended, as it may not have begun yet, and as such a wait may have swallowed the first."""
    while State.ended < run:
        with State.lock:
            if State.run == run and State.interruptible:
                kill(0, signal.SIGINT)
        sleep(BETWEEN_INTERRUPTS_S)


def run_cell(code):
    """Runs one cell; returns the text of its error, or None."""
    name = "<cell %d>" % State.count
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    try:
        let_interrupt(True)
        try:
            execute(parse(code, name), name, silent=code.rstrip().endswith(";"))
            show_open_figures()
        finally:
            let_interrupt(False)
    except BaseException as error:
        let_interrupt(False)
        return report(error, name)
    return None


def report(error, name):
    """Writes the traceback without the kernel's own part to standard error; returns the error's own message."""
    if isinstance(error, SystemExit):
        return None if error.code in (None, 0) else ("SystemExit: %s" % (error.code,))[:ERROR_LENGTH]
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    try:
        lines = traceback.format_exception(type(error), error, trace)
        if isinstance(error, SyntaxError) and trace is None:
            lines = traceback.format_exception_only(type(error), error)
        sys.stderr.write("".join(lines))
        message = str(error)
    except Exception:
        message = "(its own message can't be made)"
    kind = type(error).__name__
    return ("%s: %s" % (kind, message))[:ERROR_LENGTH] if message else kind


def flush():
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}:
        try:
            stream.flush()
        except Exception:
            pass


def serve_interrupts(runs):
    while True:
        interrupt(runs.get())


def read_requests(cells, interrupts):
    for line in REQUESTS:
        request = json.loads(line)
        if "code" in request:
            cells.put(request)
        else:
            interrupts.put(request["interrupt"])
    os._exit(0)


def set_up():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.modules["__agb_kernel__"] = sys.modules["__main__"]
    sys.modules["__main__"] = MAIN
    sys.argv = [""]
    MAIN.__dict__["__builtins__"] = builtins
    builtins.display = display
    builtins.input = no_input
    builtins.exit = builtins.quit = Leave()
    sys.meta_path.insert(0, InstalledIPython())
    sys.meta_path.append(Own())
    os.environ.setdefault("MPLBACKEND", "module://" + BACKEND)
    let_interrupt(False)


def serve():
    set_up()
    cells, interrupts = queue.SimpleQueue(), queue.SimpleQueue()
    # Both before the first cell: one may replace what makes threads, or leave no room for more.
    threading.Thread(target=serve_interrupts, args=(interrupts,), daemon=True).start()
    threading.Thread(target=read_requests, args=(cells, interrupts), daemon=True).start()
    send({"ready": True})
    while True:
        request = cells.get()
        State.run = request["run"]
        State.count += 1
        started = time.perf_counter()
        error = run_cell(request["code"])
        State.ended = State.run
        flush()
        if os.getpid() != KERNEL_PID:
            # A child that the cell forked and did not end: it must not serve requests.
            os._exit(0)
        send({"run": State.run, "end": True, "count": State.count, "seconds": time.perf_counter() - started,
              "error": error})


serve()
