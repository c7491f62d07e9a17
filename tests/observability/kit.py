"""What the tests of this folder know of the kit: the files, and the expressions in them."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KIT = ROOT / "dashboards"
RULES = KIT / "prometheus/gapmend.rules.yaml"
ALERTMANAGER = KIT / "prometheus/alertmanager.example.yaml"
sys.path.insert(0, str(KIT / "source"))

from alerts import ALERTS  # noqa: E402, F401
from forms import Options  # noqa: E402, F401
from promql import RECORDS, inlined  # noqa: E402, F401

SEVERITY = Options().severities

SELECTOR = re.compile(r"\b((?:gapmend|process)_\w+)(\{[^}]*\})?")
# What Grafana would put in for a scrape a second.
MACROS = {"$__rate_interval": "15s", "$__interval": "5s", "$__range": "10m"}


def dashboard() -> dict:
    return json.loads((KIT / "gapmend.json").read_text())


def panels() -> list:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list:
    """Every expression of the dashboard, with where it stands."""
    found = [
        (f"{panel['title']} / {target['legendFormat']}", target["expr"], target["legendFormat"])
        for panel in panels()
        for target in panel["targets"]
    ]
    notes = dashboard()["annotations"]["list"]
    found += [(f"annotation {note['name']}", note["expr"], note["titleFormat"]) for note in notes if "expr" in note]
    return found


def filled_in(expr: str, variables: dict) -> str:
    """The expression as Grafana would send it."""
    for name, value in (MACROS | {f"${name}": value for name, value in variables.items()}).items():
        expr = expr.replace(name, value)
    if "$" in expr:
        raise ValueError(f"an unknown variable in {expr}")
    return expr


def rules_without_waiting() -> str:
    """The rule file with its waits and its interval cut to a second."""
    text = RULES.read_text()
    text = re.sub(r'^(\s+)(for|keep_firing_for): "\d+[mh]"$', r"\1\2: 1s", text, flags=re.M)
    return re.sub(r'^(\s+)interval: "\d+[mh]"$', r"\1interval: 1s", text, flags=re.M)


def metrics_page() -> dict:
    """docs/metrics.md: the labels of each metric, with their values where they are listed."""
    known = {}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        if not line.startswith("| `"):
            continue
        name, _, _, labels, _ = [cell.strip() for cell in line.strip("|").split("|", 4)]
        listed = {}
        for part in filter(None, labels.split("; ")):
            label, _, values = part.partition(": ")
            listed[label.strip("`")] = set(values.split(", ")) if values else None
        known[name.strip("`")] = listed
    return known
