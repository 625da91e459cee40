"""The page: its files, read once when the service starts, and the start address, which is the page to a browser.

A request names a file of this list or none; nothing that a client sends is ever looked for on the disk.
"""

from pathlib import Path

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from service.api.answers import Answer, json_answer
from service.api.flask_answers import conditional, to_response

WEB = Path(__file__).parent.parent / "web"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
ALIVE = {"status": "alive"}
START = "index.html"
# Scripts, styles and requests of this service alone. Pictures may also be made by the page itself, to be saved as files.
POLICY = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = (
    ("Cache-Control", "no-cache"),  # kept, but asked for anew: a new release is seen at once, and an old file costs a 304
    ("Content-Security-Policy", POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)


def packaged() -> dict[str, Answer]:
    """Every file of the page, by its path beneath `/web/`."""
    files = sorted(path for path in WEB.rglob("*") if path.suffix in MEDIA_TYPES)
    return {path.relative_to(WEB).as_posix(): Answer(200, path.read_bytes(), MEDIA_TYPES[path.suffix], HEADERS) for path in files}


def web_doors() -> Blueprint:
    """Doors to the page."""
    doors = Blueprint("web", __name__)
    files = packaged()

    @doors.get("/web/<path:file>")
    def web(file: str) -> Response:
        if file not in files:
            raise NotFound("the page has no such file")
        return conditional(files[file])

    @doors.get("/")
    def start() -> Response:
        wanted = request.accept_mimetypes.best_match(["application/json", "text/html"])
        response = conditional(files[START]) if wanted == "text/html" else to_response(json_answer(ALIVE))
        response.vary.add("Accept")
        return response

    return doors
