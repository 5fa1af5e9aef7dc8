"""Uses the WebSocket clients of the official Python SDK on the service named by AGB_ENDPOINT and AGB_API_KEY."""

import asyncio
import threading

from agb import AGB
from agb.modules.ws import AsyncWsClient, WsCancelledError, WsClient, WsConnectionState, WsHandshakeRejectedError

from harness import LONGEST_WAIT_S, Checks, eventually, same, session_of, succeeded

check = Checks()


def call(code, timeout_s=60):
    """The data of a call that runs Python."""
    return {"method": "run_code", "mode": "stream", "params": {"language": "python", "timeoutS": timeout_s, "code": code}}


class Run:
    """The session that the checks share."""

    def __init__(self):
        self.agb = AGB()
        self.session = session_of(self.agb)
        self.target = next(tool.server for tool in self.session.tool_list if tool.name == "run_code")

    def client(self, client=WsClient, **options):
        return client(self.session.ws_url, self.session.token, **options)

    @check
    def states(self):
        """a connection opens and closes, and tells so"""
        client = self.client()
        states = []
        client.on_connection_state_change(lambda state, _reason: states.append(state))
        client.connect()
        eventually("the connection", lambda: WsConnectionState.OPEN in states)
        client.close()
        eventually("the end", lambda: states[-1] == WsConnectionState.CLOSED)

    @check
    def events(self):
        """a stream's events come in order, and then its end"""
        events, ends = [], []
        with self.client() as client:
            handle = client.call_stream(
                target=self.target,
                data=call("print('a')\nprint('b')\n7"),
                on_event=lambda _id, data: events.append(data),
                on_end=lambda _id, data: ends.append(data),
                on_error=None,
            )
            end = handle.wait_end()
        same("".join(event["chunk"] for event in events if event["eventType"] == "stdout"), "a\nb\n")
        same(events[-1]["eventType"], "result")
        same(events[-1]["result"]["mime"]["text/plain"], "7")
        same(ends, [end])
        assert end["executionTime"] >= 0 and end.get("status") != "failed", end

    @check
    def heartbeat(self):
        """a connection lives on while only its heartbeat is heard"""
        # The SDK waits for a pong as long as for the next ping. A missing one would be noticed after two of these, so
        # the code sleeps for longer; and each is more than a busy machine needs.
        interval_s = 4
        with self.client(heartbeat_interval_s=interval_s) as client:
            states = []
            client.on_connection_state_change(lambda state, _reason: states.append(state))
            code = f"import time\ntime.sleep({2 * interval_s + 1})\n'slept'"
            client.call_stream(target=self.target, data=call(code), on_event=None, on_end=None, on_error=None).wait_end()
            same(states, [])

    @check
    def cancel(self):
        """a cancelled stream ends at once, and the connection serves the next one"""
        with self.client() as client:
            begun = threading.Event()
            handle = client.call_stream(
                target=self.target,
                data=call("import time\nprint('begun', flush=True)\ntime.sleep(2)"),
                on_event=lambda _id, _data: begun.set(),
                on_end=None,
                on_error=None,
            )
            assert begun.wait(LONGEST_WAIT_S)
            handle.cancel()
            try:
                handle.wait_end()
                raise AssertionError("it was not cancelled")
            except WsCancelledError:
                pass
            client.call_stream(target=self.target, data=call("1"), on_event=None, on_end=None, on_error=None).wait_end()

    @check
    def several(self):
        """streams that run at the same time share a connection, each with its own events"""

        async def run():
            client = self.client(AsyncWsClient)
            try:
                outputs = {}

                async def stream(name):
                    handle = await client.call_stream(
                        target=self.target,
                        data=call(f"for n in range(50): print('{name}', n)"),
                        on_event=lambda id, data: outputs.setdefault(id, []).append(data.get("chunk", "")),
                        on_end=None,
                        on_error=None,
                    )
                    await handle.wait_end()
                    return "".join(outputs[handle.invocation_id])

                names = ("one", "two", "three")
                expected = ["".join(f"{name} {n}\n" for n in range(50)) for name in names]
                same(await asyncio.gather(*map(stream, names)), expected)
            finally:
                await client.close()

        asyncio.run(run())

    @check
    def wrong_token(self):
        """a wrong token is refused"""
        client = WsClient(self.session.ws_url, "not-the-token")
        try:
            client.connect()
            raise AssertionError("it was accepted")
        except WsHandshakeRejectedError:
            pass
        finally:
            client.close()

    @check
    def delete(self):
        """the session ends, and its connections with it"""
        client = self.client()
        states = []
        client.on_connection_state_change(lambda state, _reason: states.append(state))
        client.connect()
        succeeded(self.agb.delete(self.session))
        eventually("the connection's end", lambda: set(states) - {WsConnectionState.OPEN})
        client.close()


if __name__ == "__main__":
    check.run(Run())
