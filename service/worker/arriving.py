"""The requests of one connection, put together from bytes as they arrive, however slowly; nothing here ever waits."""

import io
import os
import re
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from gunicorn.http.body import LengthReader
from gunicorn.http.errors import LimitRequestHeaders, NoMoreData
from gunicorn.http.message import Request

HEAD_END = b"\r\n\r\n"
MOST_HEAD = 1 << 15  # bytes of a request's head
IN_MEMORY = 1 << 24  # bytes of a body that is still arriving; a larger one goes on in a file
PIECE = 1 << 16
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r\n", re.DOTALL)
MOST_LINES = 1 << 16  # bytes of one chunk's head, or of all trailers


class Arriving:
    """One request at a time: `feed` takes what has arrived, and `ready` says that there is something to answer.

    It stands where Gunicorn has its parser, which would read from the socket and wait. Then `request` is Gunicorn's own
    reading of the head, or `error` what is wrong with it, and `whole` says whether the request ended where it should, so
    that another may follow; `expects` that the client waits for `100 Continue`.
    `limit` bounds the body, in bytes; `size` is what has arrived of it.
    """

    def __init__(self, cfg: Any, address: Any, directory: Path) -> None:
        self._cfg, self._address, self._directory = cfg, address, directory
        self._count = 0
        self._body: IO[bytes] | None = None
        self._known_head, self._known = b"", dict[str, Any]()
        self._start()

    def _start(self) -> None:
        self.request: Any = None
        self.error: Exception | None = None
        self.ready = self.whole = self.closed = self.expects = False
        self.limit = self.size = 0
        self._head = self._rest = b""
        self._left = 0
        self._chunks: Chunks | None = None

    @property
    def begun(self) -> bool:
        """Whether anything of a request has arrived."""
        return bool(self._head) or self.request is not None

    def feed(self, data: bytes) -> None:
        """Take in what has arrived; what belongs to a later request is kept for it."""
        if self.ready:
            self._rest += data
            return
        if self.request is None:
            body = self._take_head(data)
            if body is None:
                return
            data = body
        self._take_body(data)

    def end(self) -> None:
        """The client sends no more; what there is of a body is answered as one that ended early."""
        self.closed = True
        if self.request is not None:
            self.cut()

    def cut(self) -> None:
        """Wait for no more of this request; none can follow it."""
        self.ready, self.whole = True, False
        self._offer(self._body or io.BytesIO())
        self.request.force_close()

    def rewind(self) -> None:
        """Make the request what it was before anything was read of it."""
        self._parse()
        self._offer(self._body or io.BytesIO())

    def stand_in(self) -> "Arriving":
        """The same request without its body, the last of its connection, for another answer."""
        other = Arriving(self._cfg, self._address, self._directory)
        other._head = self._head
        other._parse()
        other.cut()
        return other

    def next(self) -> bool:
        """Go on to the next request; whether anything of it is here."""
        rest = self._rest
        self.close()
        self._start()
        if rest:
            self.feed(rest)
        return bool(rest)

    def close(self) -> None:
        """Let go of the body."""
        if self._body is not None:
            self._body.close()
            self._body = None

    def __next__(self) -> Any:
        """The request, as Gunicorn asks its parser for it."""
        if self.error is not None:
            raise self.error
        return self.request

    def finish_body(self, deadline: float | None = None) -> bool:  # noqa: ARG002 - Gunicorn's signature
        """Whether another request can follow, as Gunicorn asks its parser when the answer is written."""
        return self.whole and not getattr(self.request.body, "failed", False)

    def _take_head(self, data: bytes) -> bytes | None:
        """What follows the head in `data`; None when the head has not ended or cannot be read."""
        searched = max(0, len(self._head) - len(HEAD_END))
        data = self._head + data if self._head else data.removeprefix(b"\r\n")  # RFC 9112, 2.2
        end = data.find(HEAD_END, searched)
        if end < 0:
            self._head = data
            if len(data) > MOST_HEAD:
                self._fail(LimitRequestHeaders("max buffer headers"))
            elif data.count(b"\n", searched) > data.count(b"\r\n", max(0, searched - 1)):
                self._parse()  # a line that ends without CR, which Gunicorn refuses
            return None
        end += len(HEAD_END)
        self._head = data[:end]
        self._count += 1
        self._parse()
        return None if self.request is None else data[end:]

    def _parse(self) -> None:
        """Have Gunicorn read the head, unless it is the one that the connection brought last: most clients ask for the same again."""
        if self._head == self._known_head:
            self.request = Request.__new__(Request)
            vars(self.request).update(self._known)
            return
        try:
            request = Request(self._cfg, Received(io.BytesIO(self._head)), self._address, self._count)
            # Whether and when to say `100 Continue` is the worker's to decide.
            self.expects, request._expected_100_continue = request._expected_100_continue, False  # noqa: SLF001
            self.request = request
            if isinstance(request.body.reader, LengthReader) and not self.expects:  # what reads chunks is used up by it
                self._known_head, self._known = self._head, vars(request).copy()
        except NoMoreData as error:
            self._fail(LimitRequestHeaders(str(error)))
        except Exception as error:  # noqa: BLE001 - Gunicorn raises many kinds, and answers each in its own way
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.error, self.ready = error, True

    def _take_body(self, data: bytes) -> None:
        """Take in what belongs to the body, or to what follows it."""
        if not self.size and self._body is None:
            reader = self.request.body.reader
            self._left, self._chunks = (reader.length, None) if isinstance(reader, LengthReader) else (0, Chunks())
        end = min(self._left, len(data)) if self._chunks is None else self._chunks.feed(data)
        self.size += min(end, len(data))
        self._left -= end if self._chunks is None else 0
        ended = not self._left if self._chunks is None else self._chunks.ended
        part, self._rest = (data, b"") if end == len(data) else (data[:end], data[end:])
        if ended and self._body is None:
            self._body = io.BytesIO(part)
        else:
            if self._body is None:
                self._body = SpooledTemporaryFile(IN_MEMORY, dir=str(self._directory))  # noqa: SIM115 - closed by `close`
            self._body.write(part)
        if ended:
            self.ready = self.whole = True
            self._offer(self._body)
        elif self._chunks is not None and (self._chunks.malformed or self.size > self.limit > 0):
            self.cut()

    def _offer(self, body: IO[bytes]) -> None:
        """Let the request be read from what is here. A body of known length is read as it is, chunks by Gunicorn."""
        body.seek(0)
        if isinstance(self.request.body.reader, LengthReader):
            self.request.body = body
        else:
            self.request.unreader.file = body


class Received:
    """Bytes that are here, for Gunicorn's readers, which ask for them as from a socket."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def read(self, size: int | None = None, read_ahead: int | None = None) -> bytes:  # noqa: ARG002 - Gunicorn's signature
        """The next bytes; none at the end."""
        return self.file.read(PIECE if size is None else size)

    def unread(self, data: bytes) -> None:
        """Put back what was read last."""
        self.file.seek(-len(data), os.SEEK_CUR)


class Chunks:
    """Finds the end of a chunked body, piece by piece; that its chunks are right is for Gunicorn to say."""

    def __init__(self) -> None:
        self.ended = self.malformed = False
        self._skip = 0  # bytes of the present chunk, with the line end after it
        self._line = b""
        self._in_trailers, self._lines = False, 0

    def feed(self, data: bytes) -> int:
        """How many bytes of `data` belong to the body."""
        at = 0
        while at < len(data) and not self.ended and not self.malformed:
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            at = end
            if self._line.endswith(b"\n"):
                self._take_line(self._line)
                self._line = b""
            self.malformed |= len(self._line) + self._lines > MOST_LINES
        return len(data) if self.malformed else at

    def _take_line(self, line: bytes) -> None:
        """The head of a chunk, or a trailer."""
        if self._in_trailers:
            self._lines += len(line)
            self.ended = line == b"\r\n"
        elif size := CHUNK_SIZE.fullmatch(line):
            length = int(size[1], 16)
            self._in_trailers, self._skip = not length, length and length + 2
        else:
            self.malformed = True
