"""A client's end of a connection, on which nothing ever waits."""

import socket

MOST_PARTS = 64


class Client(socket.socket):
    """A socket that keeps what is written to it until `flush` can send it.

    Beside it stands what the worker knows of the present request: the `refusal` to answer with instead of the
    application's answer, whether it is a prediction in a thread (`predicting`) and a `short` one, whether it was answered in the
    thread's place (`abandoned`), and whether the connection lives on after the answer (`keep`).
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(fileno=descriptor)
        super().setblocking(False)  # noqa: FBT003 - the socket's signature
        self._parts: list[bytes | memoryview] = []
        self.watched = 0  # the events that the poller looks for
        self.refusal: Exception | None = None
        self.predicting = self.short = self.abandoned = self.keep = self.lingering = False

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the socket's signature
        """Stay as it is: Gunicorn would have it wait."""

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]  # noqa: ARG002 - the socket's signature
        """Keep `data` to be sent."""
        if data:
            self._parts.append(data)

    @property
    def unsent(self) -> int:
        """Bytes that the client has yet to take."""
        return sum(map(len, self._parts))

    def flush(self) -> bool:
        """Send what can be sent at once; whether that was all.

        Raises:
            OSError: the connection is broken.
        """
        while self._parts:
            try:
                sent = self.sendmsg(self._parts[:MOST_PARTS])
            except BlockingIOError:
                return False
            done = 0
            while done < len(self._parts) and sent >= len(self._parts[done]):
                sent -= len(self._parts[done])
                done += 1
            del self._parts[:done]
            if sent:
                self._parts[0] = memoryview(self._parts[0])[sent:]
        return True
