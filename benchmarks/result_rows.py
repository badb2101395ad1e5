"""What every line of results/*.json carries beside its numbers, and how lines take the place of older ones."""

import datetime
import platform
from importlib import metadata
from pathlib import Path

from parentcare.manifest import current_commit, read_json, write_json

CPU = f"CPU, {platform.machine()}"


def provenance(device: str, packages: list[str], commit: str = "") -> dict:
    """Return `device`, `versions` of Python and the packages, `commit` (the one checked out) and today's `date`."""
    return {
        "device": device,
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in packages},
        "commit": commit or current_commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def rate_row(setting: str, outcomes: list[bool], digits: int, common: dict) -> dict:
    """Return the line of a share in per cent, with its 95 % Wilson interval."""
    # the checker needs Kiwi, which a GPU machine may lack
    from parentcare.evaluation.faithfulness import count_rate

    rate = count_rate(outcomes)
    shares = {
        name: round(100 * rate[key], digits) for name, key in (("value", "rate"), ("low", "low"), ("high", "high"))
    }
    return {"setting": setting, "unit": "%", "count": rate["count"], "of": rate["of"]} | shares | common


def replace_rows(path: Path, rows: list[dict]) -> None:
    """Write the rows into a file of results, in the place of those with the same settings."""
    settings = {row["setting"] for row in rows}
    write_json(path, [row for row in read_json(path, []) if row["setting"] not in settings] + rows)
