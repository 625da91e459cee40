"""The main job, end to end: train over HTTP, serve from every worker, be scraped."""

import numpy as np

from tests.support import Service


def test_a_line_is_trained_served_and_counted(service: Service) -> None:
    """What POST /train fits, POST /predict serves, and /metrics counts both."""
    x = np.arange(20.0)
    trained = service.post("/train", {"model": "first-path", "instances": x[:, None].tolist(), "targets": (2 * x + 1).tolist()})
    predicted = service.post("/predict", {"model": "first-path", "instances": [[100], [-1]]})
    metrics = service.get("/metrics").body.decode()

    assert (trained.status, trained.headers["location"]) == (201, "/models/first-path/versions/1")
    assert predicted.status == 200
    np.testing.assert_allclose(predicted.json["predictions"], [201, -1], rtol=1e-12)
    assert 'plumbline_model_info{device="cpu",model="first-path",version="1"} 1.0' in metrics
    assert 'plumbline_rows_predicted_total{model="first-path"} 2.0' in metrics
