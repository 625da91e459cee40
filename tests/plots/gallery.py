"""Versions of one store to draw, and the reading of what was drawn: marks in an SVG, in the units of its axes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
from werkzeug.test import Client

from model_store.store import ModelStore
from service.app import create_app
from service.config import Config
from service.plots.gathering import gather
from service.plots.kinds import file_of
from service.plots.subject import Subject
from service.training.jobs import Jobs
from service.training.runner import run_job
from service.training.sources import Limits

Array = npt.NDArray[np.float64]
SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
CORNER = rf"[ML] ({NUMBER}) ({NUMBER})"


class Gallery:
    """A store with versions trained through the API."""

    def __init__(self, root: Path) -> None:
        self.root = root
        config = Config.from_environ({"PLUMBLINE_STORE": str(root)})
        self.store = ModelStore.open(root)
        jobs = Jobs(self.store, config.spool, limit=16)
        limits = Limits(config.max_rows, config.max_columns)
        self.client = Client(create_app(config, ring=lambda job_id: run_job(jobs, self.store, limits, job_id)))

    def train(self, model: str, **document: Any) -> None:
        """Publish a version."""
        answer = self.client.post("/train", json={"model": model, **document})
        assert answer.status_code == 201, answer.text

    def subject(self, model: str, kind: str) -> Subject:
        """What a kind of figure of the model's newest version is drawn from."""
        return gather(self.store, self.store.manifest(model, self.store.latest(model) or 0), kind)

    def draw(self, model: str, kind: str, form: str = "svg") -> bytes:
        """The file."""
        return file_of(self.subject(model, kind), kind, form)


class Panel:
    """One of the axes of a drawn figure; positions in it are told in the units of its ticks."""

    def __init__(self, file: bytes, number: int = 1) -> None:
        root = ET.fromstring(file)
        self._parents = {child: parent for parent in root.iter() for child in parent}
        self.axes = next(group for group in root.iter(f"{SVG}g") if group.get("id") == f"axes_{number}")

    def _scale(self, kind: str, place: int) -> tuple[float, float]:
        """Slope and offset from pixels to units, by the first and the last tick that is labelled."""
        ticks: list[tuple[float, float]] = []
        for group in self.axes.iter(f"{SVG}g"):
            if not str(group.get("id", "")).startswith(kind):
                continue
            marks = [(use.get("x"), use.get("y")) for use in group.iter(f"{SVG}use")]
            marks += [found[0] for path in group.iter(f"{SVG}path") if (found := re.findall(CORNER, str(path.get("d"))))]
            text = "".join(group.itertext()).strip().replace("−", "-")
            if marks and re.fullmatch(NUMBER, text):
                ticks.append((float(marks[0][place]), float(text)))
        (first, a), (last, b) = ticks[0], ticks[-1]
        slope = (b - a) / (last - first)
        return slope, a - slope * first

    def _units(self, points: Array) -> Array:
        scales = self._scale("xtick", 0), self._scale("ytick", 1)
        return np.column_stack([points[:, place] * slope + offset for place, (slope, offset) in enumerate(scales)])

    def _group(self, gid: str) -> ET.Element:
        return next(group for group in self.axes.iter(f"{SVG}g") if group.get("id") == gid)

    def markers(self, gid: str) -> Array:
        """The places [k, 2] of the markers of a part."""
        uses = self._group(gid).iter(f"{SVG}use")
        return self._units(np.array([(float(use.get("x", 0)), float(use.get("y", 0))) for use in uses]))

    def line(self, gid: str) -> Array:
        """The corners [k, 2] of the line, or of the outline, of a part."""
        path = next(element for element in self._group(gid).iter(f"{SVG}path") if "d" in element.attrib)
        pairs = re.findall(CORNER, str(path.get("d")))
        return self._units(np.array([(float(x), float(y)) for x, y in pairs]))

    def has(self, gid: str) -> bool:
        """Whether a part was drawn."""
        return any(group.get("id") == gid for group in self.axes.iter(f"{SVG}g"))


def texts(file: bytes) -> list[str]:
    """Every text of an SVG."""
    return ["".join(element.itertext()) for element in ET.fromstring(file).iter(f"{SVG}text")]


def ids(file: bytes) -> list[str]:
    """Every id of an SVG."""
    return [identity for element in ET.fromstring(file).iter() if (identity := element.get("id"))]


def mean_squared_error(X: Array, y: Array, parameters: Mapping[str, float] | Array) -> float:
    """Over all rows, of a line with an intercept."""
    b = np.array(list(parameters.values()) if isinstance(parameters, Mapping) else parameters)
    return float(np.mean((y - np.column_stack([np.ones(len(X)), X]) @ b) ** 2))
