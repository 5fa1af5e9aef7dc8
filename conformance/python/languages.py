"""Runs programs through the official Python SDK on the service named by AGB_ENDPOINT and AGB_API_KEY.

    languages.py python javascript java r     only these: not every machine has all of them
"""

import sys

from agb import AGB

from harness import Checks, failed, same, session_of, succeeded

WANTED = sys.argv[1:] or ["python", "javascript", "java", "r"]

# One program for each language in each of three roles: it prints and ends with a value; it uses what the first left; it
# fails, and says "boom".
PROGRAMS = {
    "python": ("kept = 20\nprint('out')\nkept + 1", "kept * 2", "raise ValueError('boom')"),
    "javascript": ("let kept = 20; console.log('out'); kept + 1", "kept * 2", "throw new Error('boom')"),
    "java": (
        'int kept = 20; System.out.println("out"); kept + 1',
        "kept * 2",
        'throw new IllegalStateException("boom");',
    ),
    "r": ("kept <- 20\ncat('out\\n')\nkept + 1", "kept * 2", "stop('boom')"),
}
ALIASES = {"python": ["Python", "py"], "javascript": ["JavaScript", "js", "node"], "java": ["JAVA"], "r": ["R"]}

check = Checks()
only_python = check if "python" in WANTED else lambda test: test


def main_of(result):
    """The text of the main result."""
    return succeeded(result).result


class Run:
    """The session that the checks share."""

    def __init__(self):
        self.agb = AGB()
        self.session = session_of(self.agb)
        self.code = self.session.code

    @check
    def prints_and_keeps(self):
        """each language prints, gives its last value, and keeps its state to itself"""
        for language in WANTED:
            first, second, _ = PROGRAMS[language]
            result = succeeded(self.code.run(first, language, timeout_s=120))
            same("".join(result.logs.stdout), "out\n")
            assert result.result.endswith("21"), (language, result.result)
            assert main_of(self.code.run(second, language)).endswith("40"), language

    @check
    def fails(self):
        """each language's exceptions are failures that say what happened, and the state survives"""
        for language in WANTED:
            _, second, third = PROGRAMS[language]
            assert "boom" in failed(self.code.run(third, language)), language
            assert main_of(self.code.run(second, language)).endswith("40"), language

    @check
    def aliases(self):
        """languages go by all their names"""
        for language in WANTED:
            for alias in ALIASES[language]:
                assert main_of(self.code.run(PROGRAMS[language][1], alias)).endswith("40"), alias
        assert "cobol" in failed(self.code.run("1", "cobol"))

    @check
    def streams(self):
        """each language's output comes while it runs, on the session's WebSocket, with the same state"""
        for language in WANTED:
            chunks, errors = [], []
            result = self.code.run(
                PROGRAMS[language][0].replace("let kept", "kept"),
                language,
                stream_beta=True,
                on_stdout=chunks.append,
                on_error=errors.append,
            )
            succeeded(result)
            same(("".join(chunks), errors), ("out\n", []))
            same("".join(result.logs.stdout), "out\n")
            assert result.result.endswith("21"), (language, result.result)

    @check
    def stream_fails(self):
        """a streamed program that fails is a failure with its message, told to the callback"""
        for language in WANTED:
            errors = []
            result = self.code.run(PROGRAMS[language][2], language, stream_beta=True, on_error=errors.append)
            assert "boom" in failed(result), (language, result.error_message)
            same(len(errors), 1)

    @only_python
    def rich(self):
        """Python displays objects in every form they have"""
        result = succeeded(
            self.code.run(
                """
def rich(method, value):
    return type("Rich", (), {method: lambda self: value, "__repr__": lambda self: "plain"})()

for method, value in (
    ("_repr_html_", "<b>h</b>"), ("_repr_markdown_", "# m"), ("_repr_latex_", "$l$"), ("_repr_svg_", "<svg/>"),
    ("_repr_json_", {"b": 1, "a": [2]}), ("_repr_png_", b"png"), ("_repr_jpeg_", b"jpeg"),
):
    display(rich(method, value))
rich("_repr_html_", "<i>last</i>")
""",
                "python",
            )
        )
        forms = ("html", "markdown", "latex", "svg", "json", "png", "jpeg")
        shown = [{form: getattr(item, form) for form in forms if getattr(item, form)} for item in result.results]
        same(
            shown,
            [
                {"html": "<b>h</b>"},
                {"markdown": "# m"},
                {"latex": "$l$"},
                {"svg": "<svg/>"},
                {"json": {"b": 1, "a": [2]}},
                {"png": "cG5n"},
                {"jpeg": "anBlZw=="},
                {"html": "<i>last</i>"},
            ],
        )
        same([item.is_main_result for item in result.results], [False] * 7 + [True])
        same({item.text for item in result.results}, {"plain"})

    @only_python
    def rich_stream(self):
        """displayed objects come in a stream, too"""
        program = 'display(type("Rich", (), {"_repr_html_": lambda self: "<b>h</b>"})())\n"last"'
        result = succeeded(self.code.run(program, "python", stream_beta=True))
        same([item.html for item in result.results], ["<b>h</b>", None])
        same([item.is_main_result for item in result.results], [False, True])

    @only_python
    def both_outputs(self):
        """standard output and standard error stay apart"""
        program = "import sys\nprint('o')\nprint('e', file=sys.stderr)"
        logs = succeeded(self.code.run(program, "python")).logs
        same(("".join(logs.stdout), "".join(logs.stderr)), ("o\n", "e\n"))
        out, err = [], []
        succeeded(self.code.run(program, "python", stream_beta=True, on_stdout=out.append, on_stderr=err.append))
        same(("".join(out), "".join(err)), ("o\n", "e\n"))

    @only_python
    def too_long(self):
        """a program over its time limit is ended, and its interpreter lives on"""
        failed(self.code.run("import time\ntime.sleep(60)", "python", timeout_s=1))
        same(main_of(self.code.run("1 + 1", "python")), "2")

    @check
    def end(self):
        """the session ends, and can't be used any more"""
        succeeded(self.agb.delete(self.session))
        failed(self.code.run("1", WANTED[0]))


if __name__ == "__main__":
    check.run(Run())
