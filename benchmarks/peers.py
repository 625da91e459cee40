"""Other servers of predictions in Python, each in a virtual environment of its own, with the model that Plumbline serves beside them.

    python -m benchmarks.peers setup [NAME ...]      make the environments, with pip: some minutes and gigabytes

The names are mlserver, kserve, litserve, bentoml and mlflow; all of them when none is given. The environments lie in $PEERS_HOME,
by default ~/.cache/peers.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import running
from benchmarks.requests import FORMS
from tests.support import free_port

HOME = Path(os.environ.get("PEERS_HOME", Path.home() / ".cache" / "peers"))
TORCH = "torch==2.13.0"
# Every program finds in its folder `linear.json`: the model's `weight` and `bias`, the `port`, the number of `workers`.
LINEAR = """\
import json
import torch
given = json.load(open("linear.json"))
linear = torch.nn.Linear(len(given["weight"]), 1, dtype=torch.float64).eval()
linear.load_state_dict({name: torch.tensor([given[name]], dtype=torch.float64) for name in ("weight", "bias")})
def answer(rows):
    with torch.inference_mode():
        return linear(torch.tensor(rows, dtype=torch.float64)).tolist()
"""
SKLEARN = """\
import json
import numpy
from sklearn.linear_model import LinearRegression
given = json.load(open("linear.json"))
model = LinearRegression()
model.coef_, model.intercept_, model.n_features_in_ = numpy.array(given["weight"]), given["bias"], len(given["weight"])
"""
PROGRAMS = {
    "litserve": LINEAR
    + """
import litserve
class Api(litserve.LitAPI):
    def setup(self, device):
        pass
    def decode_request(self, request):
        return request["instances"]
    def predict(self, rows):
        return answer(rows)
    def encode_response(self, output):
        return {"predictions": output}
if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=given["workers"])
    server.run(port=given["port"], host="127.0.0.1", generate_client_file=False, num_api_servers=given["workers"])
""",
    "bentoml": LINEAR
    + """
import bentoml
@bentoml.service(workers=given["workers"])
class Lin:
    @bentoml.api
    def predict(self, instances: list[list[float]]) -> list:
        return answer(instances)
""",
    "kserve": LINEAR
    + """
import kserve
class Lin(kserve.Model):
    def __init__(self):
        super().__init__("lin")
        self.ready = True
    def predict(self, payload, headers=None):
        return {"predictions": answer(payload["instances"])}
if __name__ == "__main__":
    kserve.ModelServer(http_port=given["port"], enable_grpc=False, workers=given["workers"]).start([Lin()])
""",
    "mlserver": SKLEARN
    + """
import joblib
joblib.dump(model, "model.joblib")
described = {"name": "lin", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./model.joblib", "version": "1"}}
json.dump(described, open("model-settings.json", "w"))
ports = {"http_port": given["port"], "grpc_port": given["ports"][0], "metrics_port": given["ports"][1]}
workers = given["workers"] if given["workers"] > 1 else 0  # 0: in the server's own process, the fastest for one
json.dump({"host": "127.0.0.1", "debug": False, "parallel_workers": workers} | ports, open("settings.json", "w"))
""",
    "mlflow": SKLEARN
    + """
import mlflow.sklearn
from mlflow.models import infer_signature
rows = numpy.zeros((2, len(given["weight"])))
mlflow.sklearn.save_model(model, "model", signature=infer_signature(rows, model.predict(rows)), serialization_format="cloudpickle")
""",
}


@dataclass(frozen=True)
class Peer:
    """A server: what pip installs, how it is started, where it predicts, and the forms of rows it takes."""

    install: tuple[str, ...]
    command: tuple[str, ...]
    path: str
    forms: tuple[str, ...]
    prepares: bool = False  # its program only writes what the command then serves


PEERS = {
    "mlserver": Peer(("mlserver", "mlserver-sklearn"), ("mlserver", "start", "."), "/v2/models/lin/infer", ("v2",), prepares=True),
    "kserve": Peer((TORCH, "kserve"), ("python", "app.py"), "/v1/models/lin:predict", ("instances",)),
    "litserve": Peer((TORCH, "litserve"), ("python", "app.py"), "/predict", ("instances",)),
    "bentoml": Peer((TORCH, "bentoml"), ("bentoml", "serve", "app:Lin", "--host", "127.0.0.1", "-p", "{port}"), "/predict", ("instances",)),
    "mlflow": Peer(
        ("mlflow", "scikit-learn"),
        ("mlflow", "models", "serve", "-m", "model", "-h", "127.0.0.1", "-p", "{port}", "--env-manager", "local", "-w", "{workers}"),
        "/invocations",
        ("inputs",),
        prepares=True,
    ),
}


def setup(names: Sequence[str]) -> None:
    """Make the virtual environments that are not there yet."""
    for name in names:
        place = HOME / name
        if (place / "ok").exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin" / "pip", "install", "-q", *PEERS[name].install], check=True)
        (place / "ok").touch()
        print("made", place, flush=True)


def present() -> list[str]:
    """The peers whose environments are made."""
    return [name for name in PEERS if (HOME / name / "ok").exists()]


def version(name: str) -> str:
    """The release that is installed of a peer."""
    folders = [str(folder) for folder in (HOME / name / "lib").glob("python3*/site-packages")]
    return next(found.version for found in importlib.metadata.distributions(name=name, path=folders))


@contextmanager
def peer(name: str, folder: Path, model: tuple[list[float], float], *, workers: int) -> Iterator[tuple[str, int]]:
    """A peer that serves y = weight·x + bias; yields its address and the id of its first process."""
    described = PEERS[name]
    port = free_port()
    settings = {"weight": model[0], "bias": model[1], "port": port, "workers": workers, "ports": [free_port(), free_port()]}
    (folder / "linear.json").write_text(json.dumps(settings))
    (folder / "app.py").write_text(PROGRAMS[name])
    environ = os.environ | {
        "PATH": f"{HOME / name / 'bin'}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "BENTOML_DO_NOT_TRACK": "True",  # no word to others about a benchmark
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    environ.pop("PYTHONPATH", None)
    if described.prepares:
        done = subprocess.run(
            [HOME / name / "bin" / "python", "app.py"], cwd=folder, env=environ, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    command = [part.format(port=port, workers=workers) for part in described.command]
    url = f"http://127.0.0.1:{port}"
    first = FORMS[described.forms[0]](described.path, [[0.0] * len(model[0])])
    with running(command, folder, environ, url, first) as pid:
        yield url, pid


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["setup"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PEERS))
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    setup(asked.names or list(PEERS))
