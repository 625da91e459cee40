"""Rows in whatever form they come, as the body of a request and the query beside it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from service.client.connection import Body
from service.client.frames import ARROW, CSV, Frame, arrow_of, columns_of, is_frame, plain

JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
NDJSON = "application/x-ndjson"
MEDIA = {
    ".csv": CSV, ".parquet": PARQUET, ".pq": PARQUET, ".arrow": ARROW, ".arrows": ARROW, ".feather": ARROW, ".ipc": ARROW,
    ".ndjson": NDJSON, ".jsonl": NDJSON,
}  # fmt: skip
Unframed = Mapping[str, Any] | Sequence[Any] | str | Path | BinaryIO
Table = Frame | Unframed
SEPARATOR = ","  # of lists in a query


def request_of(data: Table, options: Mapping[str, Any], targets: Any = None) -> tuple[Body, dict[str, Any]]:
    """The body of a request for these rows, and its query: JSON carries its options with it, all other forms beside them.

    `data` is a frame, an array [n, p], a list of rows (lists or objects), a mapping of columns, a file's path, or an open binary file
    whose `name` tells its form; files and frames are not looked into. `targets` go with rows that have no names.

    Raises:
        TypeError, ValueError: the rows, or an option beside a table, cannot be sent.
    """
    if isinstance(data, str | Path) or hasattr(data, "read"):
        _require_no_targets(targets)
        return _file(data), _query(options)
    if is_frame(data):
        _require_no_targets(targets)
        content = arrow_of(data)
        if content is not None:
            return Body(content, ARROW), _query(options)
        data = columns_of(data)
    return _json(_members(data, targets) | dict(options)), {}


def json_request(options: Mapping[str, Any]) -> Body:
    """A body of options alone."""
    return _json(dict(options))


def _members(data: Any, targets: Any) -> dict[str, Any]:
    if isinstance(data, Mapping):
        _require_no_targets(targets)
        return {"columns": dict(data)}
    if not isinstance(data, Sequence) and not hasattr(data, "tolist"):
        raise TypeError(f"rows cannot come as {type(data).__name__}: give a frame, an array, a list, a dict of columns or a file")
    return {"instances": data} | ({"targets": targets} if targets is not None else {})


def _json(document: dict[str, Any]) -> Body:
    try:
        return Body(json.dumps(document, default=_listed, allow_nan=False).encode(), JSON)
    except ValueError as error:
        raise ValueError("numbers must be finite: a missing value is None") from error


def _listed(value: Any) -> Any:
    """An array, a series or a number of numpy's as JSON has it, with null where a value is missing."""
    for name in ("tolist", "to_list"):
        if hasattr(value, name):
            listed = getattr(value, name)()
            return _without_nan(listed)
    if isinstance(value, Sequence | Mapping):
        return dict(value) if isinstance(value, Mapping) else list(value)
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON: give numbers, texts, lists and dicts")


def _without_nan(value: Any) -> Any:
    return [_without_nan(item) for item in value] if isinstance(value, list) else plain(value)


def _file(data: Any) -> Body:
    path = Path(data) if isinstance(data, str | Path) else Path(str(getattr(data, "name", "")))
    media_type = MEDIA.get(path.suffix.lower())
    if media_type is None:
        raise ValueError(f"a file must end in one of {', '.join(MEDIA)}, which tells its form")
    return Body(path if isinstance(data, str | Path) else data, media_type)


def _query(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options beside a table: lists are separated by commas or repeated, labels are `k=v,…`, a solver is its name or its JSON."""
    return {name: _text(name, value) for name, value in options.items()}


def _text(name: str, value: Any) -> str | list[str]:
    if isinstance(value, bool):
        return "true" if value else "false"
    if name == "labels":
        pairs = [f"{key}={text}" for key, text in value.items()]
        if any(SEPARATOR in pair or "=" in str(key) for pair, key in zip(pairs, value, strict=True)):
            raise ValueError("labels beside a table or a file have neither commas nor, in their names, '=': send the rows as a dict")
        return SEPARATOR.join(pairs)
    if isinstance(value, Mapping):
        return json.dumps(value, allow_nan=False)
    if isinstance(value, str | int | float):
        return str(value)
    names = [str(item) for item in value]
    if len(names) == 1 and SEPARATOR in names[0]:
        raise ValueError(f"one name with a comma cannot be given as {name} beside a table: send the rows as a dict")
    return names


def _require_no_targets(targets: Any) -> None:
    if targets is not None:
        raise ValueError("targets go with rows without names: name the column of a table as target")
