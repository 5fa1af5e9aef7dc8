"""What the programs share: checks in order, one line for each, and an exit code that is 0 only when every check passed.

Each prints "ok NAME" or "FAILED NAME: why", and at the end "N checks".
"""

import sys
import time
import traceback

from agb.session_params import CreateSessionParams

CODE_IMAGE = "agb-code-space-1"
# Far longer than anything takes here.
LONGEST_WAIT_S = 30


class Checks:
    """The checks of one program, in the order in which they stand there."""

    def __init__(self):
        self._tests = []

    def __call__(self, test):
        """Adds a function to the checks; its docstring is the name."""
        self._tests.append(test)
        return test
        return test

    def run(self, state):
        """Runs all checks with the state that they share, and ends the program."""
        failures = 0
        for test in self._tests:
            name = test.__doc__
            try:
                test(state)
                print(f"ok {name}", flush=True)
            except Exception as error:  # a check may fail in any way; the others still run
                failures += 1
                print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
                if not isinstance(error, AssertionError):
                    traceback.print_exc()
        print(f"{len(self._tests)} checks")
        sys.exit(1 if failures else 0)


def succeeded(result):
    """The result itself, if it says that all went well."""
    assert result.success, f"{type(result).__name__}: {result.error_message!r}"
    return result


def failed(result):
    """The message of a result that says that the operation failed."""
    assert not result.success, f"{type(result).__name__} claims success"
    assert result.error_message, f"{type(result).__name__} fails without a message"
    return result.error_message


def same(actual, expected):
    assert actual == expected, f"expected {expected!r:.200}, got {actual!r:.200}"


def session_of(agb, image=CODE_IMAGE, **params):
    """A new session of an image."""
    return succeeded(agb.create(CreateSessionParams(image_id=image, **params))).session


def eventually(what, look):
    """What `look` gives, as soon as it gives something."""
    end = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen
        time.sleep(0.05)
    raise AssertionError(f"{what} has not come about within {LONGEST_WAIT_S} s")
