"""The yardstick: a Flask application that answers a constant, with the body left to Gunicorn or read first."""

from flask import Flask, Response, request

app = Flask(__name__)
ANSWER = b'{"model":"default","version":"1","predictions":[152.133484162896]}'
# What the worker asks of an application: answer in the main loop as the service's predictions are, by way of Gunicorn as Flask needs it.
app.is_quick = lambda method, _path: method == "POST"  # type: ignore[attr-defined]
app.is_prediction = lambda _method, _path: False  # type: ignore[attr-defined]
app.awaits = lambda _environ: 1 << 28  # type: ignore[attr-defined]


@app.post("/answer")
def answer() -> Response:
    """The constant."""
    return Response(ANSWER, content_type="application/json")


@app.post("/read")
def read() -> Response:
    """The constant, after the body was read."""
    request.get_data()
    return Response(ANSWER, content_type="application/json")
