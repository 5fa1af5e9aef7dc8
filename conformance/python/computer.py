"""Uses the desktop of the official Python SDK on the service named by AGB_ENDPOINT and AGB_API_KEY."""

import json
import urllib.request
import warnings

from agb import AGB
from agb.exceptions import ScreenError
from agb.modules.computer import MouseButton, ScrollDirection

from harness import Checks, eventually, failed, same, session_of, succeeded

warnings.simplefilter("ignore", DeprecationWarning)

check = Checks()


def did(result):
    """A result that says that it was done."""
    same(succeeded(result).data, True)


class Run:
    """The sessions that the checks share: one with a link, one without; and a terminal in the first."""

    def __init__(self):
        self.agb = AGB()
        self.session = session_of(self.agb, "agb-computer-use-ubuntu-2204")
        self.unlinked = session_of(self.agb, "agb-computer-use-1")
        self.computer = self.session.computer
        self.pid = 0
        self.window = 0

    @check
    def screen(self):
        """the screen has a size"""
        size = succeeded(self.computer.screen.get_size()).data
        assert size["width"] >= 1024 and size["height"] >= 768 and size["dpiScalingFactor"] > 0, size

    @check
    def mouse(self):
        """the mouse moves, clicks, drags and scrolls"""
        mouse = self.computer.mouse
        did(mouse.move(300, 200))
        position = json.loads(succeeded(mouse.get_position()).data)
        same((position["x"], position["y"]), (300, 200))
        for button in MouseButton:
            did(mouse.click(310, 210, button))
        did(mouse.drag(300, 200, 340, 240))
        for direction in ScrollDirection:
            did(mouse.scroll(300, 200, direction, 2))

    @check
    def applications(self):
        """applications are listed and started"""
        app = self.computer.app
        installed = succeeded(app.list_installed(start_menu=True, desktop=True, ignore_system_apps=False)).data
        assert any("term" in one.start_cmd for one in installed), [one.start_cmd for one in installed]
        process = succeeded(app.start("xterm -e sh -c 'read -r line; echo \"$line\" >new; mv new typed; cat'")).data[0]
        self.pid = process.pid
        assert self.pid > 0 and process.pname, vars(process)
        # A start is answered after a while also when there is no window yet.
        eventually("its window", lambda: self.pid in [one.pid for one in succeeded(app.get_visible()).data])

    @check
    def windows(self):
        """windows are listed, changed and brought to the front"""
        window = self.computer.window

        def of_terminal():
            return next((one for one in succeeded(window.list_root_windows(20_000)).windows if one.pid == self.pid), None)

        self.window = eventually("the window", of_terminal).window_id
        did(window.maximize(self.window))
        did(window.restore(self.window))
        did(window.fullscreen(self.window))
        did(window.restore(self.window))
        did(window.resize(self.window, 500, 400))
        did(window.minimize(self.window))
        did(window.activate(self.window))
        same(succeeded(window.get_active_window()).window.window_id, self.window)
        did(window.focus_mode(True))
        did(window.focus_mode(False))
        failed(window.activate(1))

    @check
    def keyboard(self):
        """what is typed arrives, and pictures show it"""
        keyboard, screen = self.computer.keyboard, self.computer.screen
        before = succeeded(screen.beta_take_screenshot()).data
        did(keyboard.type("grüezi"))
        did(keyboard.press(["Shift"], hold=True))
        did(keyboard.release(["Shift"]))
        did(keyboard.press(["Enter"]))
        read = self.session.file.read
        eventually("what was typed", lambda: (lambda one: one.success and one.content == "grüezi\n")(read("typed")))
        after = succeeded(screen.beta_take_screenshot())
        same((after.data[:4], after.mime_type), (b"\x89PNG", "image/png"))
        assert after.data != before
        same(succeeded(screen.beta_take_screenshot("jpeg")).data[:2], b"\xff\xd8")

    @check
    def other_route(self):
        """a session without a link gives its pictures as URLs, and each route refuses the other's"""
        assert not self.unlinked.link_url
        url = succeeded(self.unlinked.computer.screen.capture()).data
        with urllib.request.urlopen(url, timeout=30) as reply:
            same(reply.read()[:4], b"\x89PNG")
        assert "beta_take_screenshot" in failed(self.computer.screen.capture())
        try:
            self.unlinked.computer.screen.beta_take_screenshot()
            raise AssertionError("it took one")
        except ScreenError:
            pass

    @check
    def deprecated(self):
        """the deprecated names still work"""
        computer = self.computer
        for result in (
            computer.click_mouse(5, 5),
            computer.move_mouse(6, 6),
            computer.drag_mouse(5, 5, 9, 9),
            computer.scroll(5, 5, ScrollDirection.DOWN, 1),
            computer.get_cursor_position(),
            computer.activate_window(self.window),
            computer.input_text("x"),
            computer.press_keys(["a"]),
            computer.release_keys(["a"]),
            computer.list_root_windows(20_000),
            computer.get_active_window(),
            computer.maximize_window(self.window),
            computer.restore_window(self.window),
            computer.resize_window(self.window, 400, 300),
            computer.fullscreen_window(self.window),
            computer.minimize_window(self.window),
            computer.focus_mode(False),
            computer.get_installed_apps(True, True, True),
            computer.list_visible_apps(),
            computer.get_screen_size(),
            self.unlinked.computer.screenshot(),
        ):
            succeeded(result)

    @check
    def stop(self):
        """applications are ended by name, number and command, and windows are closed"""
        app, window = self.computer.app, self.computer.window
        did(window.close(self.window))
        processes = [succeeded(app.start(f"xterm -T {n}")).data[0] for n in range(3)]
        succeeded(app.stop_by_pid(processes[0].pid))
        succeeded(app.stop_by_cmd(f"kill -9 {processes[1].pid}"))
        succeeded(app.stop_by_pname("xterm"))
        eventually("no window", lambda: not succeeded(window.list_root_windows(20_000)).windows)

    @check
    def delete(self):
        """the sessions end, and images without a desktop say so"""
        for session in (self.session, self.unlinked):
            succeeded(self.agb.delete(session))
        session = session_of(self.agb)
        assert "click_mouse" in failed(session.computer.mouse.click(1, 1))
        succeeded(self.agb.delete(session))


if __name__ == "__main__":
    check.run(Run())
