"""What benchmarks leave for others to read: a JSON file of rows, and where they were measured."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def save(path: Path, benchmark: str, rows: list[Row], **measured: Any) -> None:
    """Write the rows of a benchmark; `measured` says more about the run."""
    document = {"benchmark": benchmark, "measured": machine() | measured, "rows": rows}
    path.write_text(json.dumps(document, indent=1) + "\n")


def machine() -> Row:
    """The machine, and how busy it is just now."""
    models = {line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")}
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": ", ".join(sorted(models)),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def heading() -> str:
    """The machine in a line above a table."""
    found = machine()
    return f"{found['cores']} cores, {found['processor']}, Python {found['python']}; load average {found['load_average']:.2f} at the start"
