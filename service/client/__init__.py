"""A Python client of a running service: `from service.client import Plumbline`.

It needs urllib3 and nothing of the service itself; pandas, polars, pyarrow and numpy are used when rows come in their forms.
"""

from service.client.plumbline import Plumbline
from service.client.problem import Problem
from service.client.results import Coefficient, Difference, Job, Model, Move, Prediction, Selection, Version

__all__ = ["Coefficient", "Difference", "Job", "Model", "Move", "Plumbline", "Prediction", "Problem", "Selection", "Version"]
