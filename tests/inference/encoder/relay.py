"""A network in between that breaks connections when it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Relay:
    """Passes bytes on to `target` on this machine. Start with `relayed`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self.hung_up = 0
        self._hangs_up = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [self._begin(self._welcome)]

    def hang_up_next(self) -> None:
        """The next thing that a client sends ends its connection instead."""
        self._hangs_up.set()

    def close(self) -> None:
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for end in self._open:
            _close(end)
        for thread in self._threads:
            thread.join()

    def _begin(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments)
        thread.start()
        return thread

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                self._threads.append(self._begin(self._pass_on, client, server, True))
                self._threads.append(self._begin(self._pass_on, server, client, False))

    def _pass_on(self, source: socket.socket, target: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if is_client and self._hangs_up.is_set():
                    self._hangs_up.clear()
                    self.hung_up += 1
                    break
                target.sendall(data)
        _close(source)
        _close(target)


@contextmanager
def relayed(target: int | None) -> Iterator[Relay]:
    assert target
    relay = Relay(target)
    try:
        yield relay
    finally:
        relay.close()


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
