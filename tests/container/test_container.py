"""The image, built and run for real."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.container.engine import STORE, Box, Served, sh
from tests.support import ROOT

pytestmark = pytest.mark.container

X = np.arange(24.0).reshape(8, 3) ** 1.5
Y = X @ [2.0, -1.0, 0.5] + 3
LINE = {"model": "line", "instances": X.tolist(), "targets": Y.tolist()}
CSV = "area,rooms,rent\n50,2,600\n70,3,800\n90,3,990\n110,5,1250\n"
BUDGET_BYTES = 1_500_000_000
OPTIMIZERS = """
import torch
x = torch.arange(12, dtype=torch.float64).reshape(6, 2) / 10
y = x @ torch.tensor([[1.0], [2.0]], dtype=torch.float64)
for optimizer in (torch.optim.SGD, torch.optim.Adam, torch.optim.Adagrad, torch.optim.RMSprop, torch.optim.LBFGS):
    line = torch.nn.Linear(2, 1, dtype=torch.float64)
    steps = optimizer(line.parameters(), lr=0.01)
    def loss():
        steps.zero_grad()
        value = torch.nn.functional.mse_loss(line(x), y)
        value.backward()
        return value
    before = loss().item()
    steps.step(loss)
    print(optimizer.__name__, loss().item() < before)
"""
MISFITS = """
import json, pathlib, sys
packages = next(pathlib.Path(path) for path in sys.path if path.endswith('site-packages'))
print(json.dumps({
    'tests': [str(p) for p in packages.glob('**/tests')],
    'uncompiled': [str(p) for p in pathlib.Path('/opt/plumbline').glob('**/*.py')
                   if not list((p.parent / '__pycache__').glob(p.stem + '.*.pyc'))],
    'ours': sorted(p.name for p in pathlib.Path('/opt/plumbline').iterdir()),
    'caches': [p for p in ('/root/.cache', '/build') if pathlib.Path(p).exists()],
}))
"""


def test_the_main_job_in_a_container(box: Box) -> None:
    """Train with the generated token, predict, scrape, stop by SIGTERM; with the same volume the model and the token are still there."""
    volume = box.volume()
    first = box.serve("-v", f"{volume}:{STORE}")
    token = box.token(volume)
    refused = first.post("/train", LINE)
    trained = first.post("/train", LINE, token)
    predicted = first.post("/predict", {"model": "line", "instances": X.tolist()})
    metrics = first.get("/metrics").body.decode()
    exit_code = first.stop()

    second = box.serve("-v", f"{volume}:{STORE}")
    again = second.post("/predict", {"model": "line", "instances": X.tolist()})
    retrained = second.post("/train", LINE, token)

    assert (refused.status, refused.headers["content-type"]) == (401, "application/problem+json")
    assert (trained.status, trained.headers["location"]) == (201, "/models/line/versions/1")
    np.testing.assert_allclose(predicted.json["predictions"], Y, rtol=1e-12)
    assert 'plumbline_rows_predicted_total{model="line"} 8.0' in metrics
    assert exit_code == 0
    assert again.json == predicted.json
    assert retrained.json["version"] == "2"
    assert token["Authorization"].removeprefix("Bearer ") not in first.log() + second.log()


def test_a_locked_container_does_the_main_job(box: Box, locked: tuple[str, ...]) -> None:
    """With a read-only root, no capability and a user id of its own the service trains, predicts and stops with exit code 0."""
    volume = box.volume()
    served = box.serve("-v", f"{volume}:{STORE}", *locked)
    token = box.once(["--user", "12345", "--entrypoint", "cat", "-v", f"{volume}:{STORE}"], [f"{STORE}/write-token"]).stdout.strip()
    trained = served.post("/train", LINE, {"Authorization": f"Bearer {token}"})
    predicted = served.post("/predict", {"model": "line", "instances": X.tolist()})

    assert trained.status == 201
    np.testing.assert_allclose(predicted.json["predictions"], Y, rtol=1e-12)
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in served.processes()} == {12345}
    assert served.stop() == 0


def test_a_csv_file_is_trained_by_a_container_and_served_by_another(box: Box, locked: tuple[str, ...], tmp_path: Path) -> None:
    """`run IMAGE train FILE` publishes in the volume what a service on that volume then predicts."""
    file = tmp_path / "rent.csv"
    file.write_text(CSV)
    volume = box.volume()
    mounts = ["-v", f"{volume}:{STORE}", "-v", f"{file}:/data/rent.csv:ro"]
    trained = box.once([*mounts, *locked], ["train", "/data/rent.csv", "--target", "rent", "--model", "rent"])
    served = box.serve(*mounts, *locked)
    predicted = served.post("/predict", {"model": "rent", "instances": [{"area": 70, "rooms": 3}]})

    design = np.array([[1, 50, 2], [1, 70, 3], [1, 90, 3], [1, 110, 5]])
    weights = np.linalg.lstsq(design, np.array([600, 800, 990, 1250]), rcond=None)[0]
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.startswith("rent version 1: n = 4")
    np.testing.assert_allclose(predicted.json["predictions"], [weights @ [1, 70, 3]], rtol=1e-12)


def test_the_health_check_tells_a_ready_service_from_an_absent_one(box: Box) -> None:
    """The image's own health check ends with 0 beside a service that is ready and with 1 where none listens."""
    served = box.serve()
    check = box.engine.inspect(served.container)["Config"]["Healthcheck"]["Test"]
    options = ["--entrypoint", check[1]]

    assert check[0] == "CMD"
    assert box.once([*options, "--network", f"container:{served.container}"], check[2:]).returncode == 0
    assert box.once(options, check[2:]).returncode == 1


def test_a_wrong_setting_ends_the_container_with_a_sentence(box: Box) -> None:
    """A setting that cannot be used is told in one line, with exit code 1."""
    done = box.once(["-e", "PLUMBLINE_WORKERS=many"])

    assert done.returncode == 1
    assert "Error: PLUMBLINE_WORKERS must be a whole number, at least 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_optimizer_steps_in_the_image(box: Box, locked: tuple[str, ...]) -> None:
    """What was left out of the image is nothing that `torch.optim` needs, in a locked container too."""
    done = box.python(OPTIMIZERS, *locked)

    assert done.stdout.split() == ["SGD", "True", "Adam", "True", "Adagrad", "True", "RMSprop", "True", "LBFGS", "True"], done.stderr


def test_the_image_holds_what_runs_and_nothing_else(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    """No root user, no shell around the service, no tests, no caches; our own modules are compiled; within the size budget."""
    about = box.engine.inspect(box.image)
    done = box.python(MISFITS, "--user", "0")
    with capsys.disabled():
        sys.stdout.write(f"\n  image: {about['Size'] / 1e9:.2f} GB\n")

    assert about["Config"]["Entrypoint"] == ["python", "-m", "service"]
    assert about["Config"]["Cmd"] == ["serve"]
    assert about["Config"]["User"] == "10001:0"
    assert list(about["Config"]["Volumes"]) == [STORE]
    assert json.loads(done.stdout) == {
        "tests": [],
        "uncompiled": [],
        "ours": ["__pycache__", "gunicorn.conf.py", "health.py", "model_store", "service"],
        "caches": [],
    }
    assert about["Size"] <= BUDGET_BYTES


def test_start_up_and_memory_are_told(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    """A service with two workers becomes ready; the time it took and the proportional memory of its processes are printed."""
    served = box.serve("-e", "PLUMBLINE_WORKERS=2")
    assert served.post("/predict", {"instances": [[1]]}).status == 404
    memory = sorted(proportional_megabytes(served))
    with capsys.disabled():
        told = ", ".join(f"{megabytes:.0f}" for megabytes in memory)
        sys.stdout.write(f"\n  ready {served.ready_seconds:.1f} s after `run`; PSS of its processes: {told} MB\n")

    assert len(memory) == 5, "a master, the trainer's supervisor, the trainer and two web workers"


def proportional_megabytes(served: Served) -> list[float]:
    """The PSS of each process of a container."""
    texts = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in served.processes())
    return [next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024 for text in texts]


@pytest.mark.parametrize(("build", "cuda"), [("cpu", False), ("cuda", True)])
def test_the_build_argument_chooses_the_build_of_torch(build: str, cuda: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """TORCH=cpu resolves to the CPU build, TORCH=cuda to one that needs the CUDA libraries, by the command that the Dockerfile runs."""
    command = "pip install --no-compile --no-deps -r /build/torch-${TORCH}.txt"
    assert command in (ROOT / "Dockerfile").read_text()
    report = tmp_path / "report.json"
    file = ROOT / "deploy" / f"torch-{build}.txt"
    options = ["--dry-run", "--ignore-installed", "--quiet", "--report", str(report)]
    done = sh(sys.executable, "-m", "pip", "install", "--no-compile", "--no-deps", "-r", file, *options, timeout=300)

    assert done.returncode == 0, done.stderr
    (chosen,) = json.loads(report.read_text())["install"]
    needs = [line for line in chosen["metadata"]["requires_dist"] if line.startswith(("nvidia-", "cuda-"))]
    assert chosen["metadata"]["name"] == "torch"
    assert chosen["metadata"]["version"].partition("+")[0] == "2.13.0"
    assert ("+cpu" in chosen["metadata"]["version"]) is not cuda
    assert bool(needs) is cuda
