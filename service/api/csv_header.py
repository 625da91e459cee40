"""CSV whose header line may be absent, as it is for SageMaker's own algorithms."""

import csv
import io
from collections.abc import Mapping, Sequence

from service.documents import Body
from service.errors import Invalid, Unreadable

PRESENT = {"present": True, "absent": False}
SAY = "say in Content-Type whether there is a header line: text/csv; header=present or header=absent"


def with_header(body: Body, parameters: Mapping[str, str], features: Sequence[str]) -> Body:
    """A CSV body with its header line; where it has none, its columns are the features in their order.

    `parameters` are those of its Content-Type. Without `header` there, the first line is a header line if it names every feature;
    a line of numbers alone is not taken for names without being asked.

    Raises:
        Invalid: it cannot be told whether there is a header line.
        Unreadable: it is not CSV.
    """
    if _has_header(body, parameters, features):
        return body
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(features)
    return line.getvalue().encode() + body


def _has_header(body: Body, parameters: Mapping[str, str], features: Sequence[str]) -> bool:
    if "header" in parameters:
        if parameters["header"].lower() not in PRESENT:
            raise Invalid({"Content-Type": [SAY]})
        return PRESENT[parameters["header"].lower()]
    try:
        cells = next(csv.reader([body.partition(b"\n")[0].decode("utf-8-sig").strip()]), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unreadable("the body is not CSV in UTF-8") from error
    named = set(features) <= set(cells)
    if named and all(map(_is_number, cells)):
        raise Invalid({"Content-Type": [SAY]})
    return named


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
