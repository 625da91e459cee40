"""The yardstick: a Flask application that answers a constant, with the body left to Gunicorn or read first."""

from flask import Flask, Response, request

app = Flask(__name__)
ANSWER = b'{"model":"default","version":"1","predictions":[152.133484162896]}'
app.is_quick = lambda method, _path: method == b"POST"  # type: ignore[attr-defined]  # as the service's predictions are


@app.post("/answer")
def answer() -> Response:
    """The constant."""
    return Response(ANSWER, content_type="application/json")


@app.post("/read")
def read() -> Response:
    """The constant, after the body was read."""
    request.get_data()
    return Response(ANSWER, content_type="application/json")
