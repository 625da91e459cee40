"""Drawing beside predictions, in a running service."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import Reply, Service

ROWS: dict[str, Any] = {"instances": [[number] for number in range(500)], "targets": [(7 * number) % 31 for number in range(500)]}


@pytest.mark.slow
def test_predictions_are_answered_while_a_report_is_drawn(start_service: Callable[..., Service]) -> None:
    """The only worker answers predictions from the beginning of a drawing to its end, and keeps nothing of matplotlib."""
    service = start_service(WORKERS="1", DEVICE="cpu")
    assert service.post("/train", ROWS | {"model": "line", "sample": 500}).status == 201
    reports: list[Reply] = []
    drawing = threading.Thread(target=lambda: reports.append(service.get("/models/line/versions/1/report.html", timeout=90)))

    drawing.start()
    answered = 0
    while drawing.is_alive():
        assert service.post("/predict", {"model": "line", "instances": [[answered]]}).status == 200
        answered += drawing.is_alive()
        time.sleep(0.01)  # predictions come first: without a pause the drawing takes many times as long
    drawing.join()

    assert [report.status for report in reports] == [200]
    assert answered > 20
    (worker,) = service.worker_pids()
    with open(f"/proc/{worker}/maps") as maps:  # noqa: PTH123 - a file that has no size
        assert "matplotlib" not in maps.read()
