"""The answers to requests whose head cannot be read: problem documents, which repeat nothing of what was sent."""

import json
from http import HTTPStatus

from gunicorn.http.errors import (
    ConfigurationProblem,
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)

# The first kind that an error is of decides.
HEADS: tuple[tuple[type[Exception], HTTPStatus, str], ...] = (
    (LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long: put long values into the body"),
    (LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the header fields are too many or too large: send fewer"),
    (UnsupportedTransferCoding, HTTPStatus.NOT_IMPLEMENTED, "a body is read as it is or in chunks: use no other Transfer-Encoding"),
    (ExpectationFailed, HTTPStatus.EXPECTATION_FAILED, "nothing but 100-continue can be expected"),
    (ConfigurationProblem, HTTPStatus.INTERNAL_SERVER_ERROR, "the service is not set up to read this; its log says why"),
    (ParseException, HTTPStatus.BAD_REQUEST, "the head of the request is malformed, or says twice where its body ends"),
)
FAILED = HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; its log says why"


def answer_to(error: Exception) -> tuple[HTTPStatus, bytes]:
    """The status, and the bytes of a whole response, for what came up before the application was asked."""
    status, detail = next(((status, detail) for kind, status, detail in HEADS if isinstance(error, kind)), FAILED)
    body = json.dumps({"title": status.phrase, "status": status.value, "detail": detail}).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return status, head.encode() + body
