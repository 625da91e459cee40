"""Request bodies: announced or in chunks, compressed or not, each read to its very end and never beyond the limit."""

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gunicorn.http.errors import ParseException

from service.errors import TooLarge, Unreadable, UnsupportedMedia

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PART = 1 << 20
WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # what zlib calls the frame around the compressed bytes


def check_body(environ: "WSGIEnvironment", max_body_bytes: int) -> None:
    """Refuse a body that is announced as too large, or compressed in a way that is not read, before any of it is read."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal():
        raise Unreadable("Content-Length must be a whole number")
    if int(length) > max_body_bytes:
        raise _too_large(max_body_bytes)
    if "HTTP_CONTENT_ENCODING" in environ and _encoding(environ) not in ("identity", *WINDOWS):
        raise UnsupportedMedia("this Content-Encoding is not read here: send the body as it is, or compressed by gzip or deflate")


def body_parts(environ: "WSGIEnvironment", max_body_bytes: int) -> Iterator[bytes]:
    """The body part by part, decompressed, to its very end: a body cut off on the way must never pass for a smaller one.

    Raises:
        Unreadable: it ends early, its chunks are malformed, or it is not compressed as its Content-Encoding says.
        TooLarge: it is larger than allowed, as it comes or decompressed.
    """
    parts = _sent(environ, max_body_bytes)
    if "HTTP_CONTENT_ENCODING" in environ and (encoding := _encoding(environ)) != "identity":
        return _decompressed(parts, WINDOWS[encoding], max_body_bytes)
    return parts


def whole_body(environ: "WSGIEnvironment", max_body_bytes: int) -> bytearray:
    """The body in one piece of memory that may be written to, so that torch takes a view of it for a tensor. Raises as `body_parts`."""
    return bytearray().join(body_parts(environ, max_body_bytes))


def _encoding(environ: "WSGIEnvironment") -> str:
    encoding: str = environ["HTTP_CONTENT_ENCODING"]
    return encoding.strip().lower()


def _sent(environ: "WSGIEnvironment", max_body_bytes: int) -> Iterator[bytes]:
    """The body as it comes."""
    length = environ.get("CONTENT_LENGTH")
    chunked = not length and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    left = int(length) if length else max_body_bytes + 1 if chunked else 0
    while left:
        try:
            part: bytes = environ["wsgi.input"].read(min(left, PART))
        except (OSError, ParseException) as error:
            raise Unreadable("the body ended before its last chunk, or its chunks are malformed") from error
        if not part:
            break
        left -= len(part)
        yield part
    if left and length:
        raise Unreadable("the body ended before its Content-Length")
    if not left and chunked:
        raise _too_large(max_body_bytes)


def _decompressed(parts: Iterable[bytes], window: int, max_body_bytes: int) -> Iterator[bytes]:
    """A compressed body, made plain in parts of at most `PART` bytes, so that a bomb is met before it fills the memory."""
    reader, left, begun = zlib.decompressobj(window), max_body_bytes, False
    for part in parts:
        begun, waiting, plain = True, part, b""
        while waiting or (len(plain) == PART and not reader.eof):
            if reader.eof:  # gzip allows one member after the other
                reader = zlib.decompressobj(window)
            try:
                plain = reader.decompress(waiting, PART)
            except zlib.error as error:
                raise Unreadable("the body is not compressed as its Content-Encoding says") from error
            waiting = reader.unused_data or reader.unconsumed_tail
            left -= len(plain)
            if left < 0:
                raise _too_large(max_body_bytes, "decompressed, ")
            yield plain
    if begun and not reader.eof:
        raise Unreadable("the body ended before its compressed data did")


def _too_large(max_body_bytes: int, how: str = "") -> TooLarge:
    return TooLarge(f"{how}the body is larger than {max_body_bytes} bytes, the limit that PLUMBLINE_MAX_BODY_BYTES sets")
