"""The write token of a service that others could reach: made once, kept in a file that only its owner reads, never shown."""

import stat
from collections.abc import Callable

from tests.support import Service, free_port

LINE = {"model": "m", "instances": [[0], [1], [2]], "targets": [1, 3, 5]}


def test_a_service_on_all_addresses_makes_itself_a_token(make_service: Callable[..., Service]) -> None:
    """Bound beyond loopback without a token, one is made: its path is printed, it alone opens the writing doors, and it is kept."""
    port = free_port()
    service = make_service(BIND=f"0.0.0.0:{port}")
    service.url = f"http://127.0.0.1:{port}"
    service.start()
    path = service.store / "write-token"
    token = path.read_text().strip()
    right, wrong = {"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {token[:-1]}"}

    assert len(token) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"The write token is in {path}" in service.log.read_text()
    assert service.post("/train", LINE).status == 401
    assert service.post("/train", LINE, headers=wrong).status == 403
    assert service.post("/train", LINE, headers=right).status == 201
    assert service.post("/predict", {"model": "m", "instances": [[3]]}).status == 200
    assert service.get("/readyz", headers={"Host": "plumbline.example"}).status == 200

    assert service.stop() == 0
    service.start()
    assert path.read_text().strip() == token
    assert service.post("/train", LINE, headers=right).status == 201
    assert token not in service.log.read_text()
    assert token not in service.get("/metrics").body.decode()
