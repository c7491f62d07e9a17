#!/usr/bin/env python3
"""Makes the files that are generated here, or says which of them are out of date.

    dashboards/make.py                      writes them
    dashboards/make.py --check              fails when one differs from what it would write
    dashboards/make.py --runbooks URL --selector 'namespace="data"' --severity page=P1 ...
                                            writes them for your installation
    dashboards/make.py --tests FOLDER       writes the alerts' unit tests, for promtool

Needs nothing but Python.
"""

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "source"))

import board  # noqa: E402
import cases  # noqa: E402
import forms  # noqa: E402
import situations  # noqa: E402
import yamlish  # noqa: E402

MADE = "# Made by dashboards/make.py from dashboards/source/; change it there.\n"


def files(options: forms.Options) -> dict:
    panels = board.panel_ids()
    return {
        "gapmend.json": json.dumps(board.dashboard(options.runbooks), indent=2, ensure_ascii=False) + "\n",
        "prometheus/gapmend.rules.yaml": MADE + yamlish.text(forms.prometheus(options)),
        "grafana/provisioning/alerting/gapmend-rules.yaml": MADE
        + yamlish.text(forms.grafana(options, panels)),
    }


def write_tests(folder: Path, parts: int = 2) -> None:
    """In parts, for promtool uses one core only."""
    rules = str(HERE / "prometheus/gapmend.rules.yaml")
    for part in range(parts):
        text = yamlish.text(cases.promtool(rules, cases.CASES[part::parts]))
        (folder / f"alerts-{part}.yaml").write_text(text)
    for name, chosen, every in [
        ("short", [one for one in situations.SITUATIONS if not one.is_long()], "1m"),
        ("long", [one for one in situations.SITUATIONS if one.is_long()], "4m"),
    ]:
        made = {"rule_files": [rules], "evaluation_interval": every, "tests": list(map(situations.test, chosen))}
        (folder / f"situations-{name}.yaml").write_text(yamlish.text(made))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--runbooks", default=forms.Options.runbooks, metavar="URL",
                        help="where your people read docs/runbooks")
    parser.add_argument("--selector", default="", metavar="MATCHERS",
                        help="more matchers for every metric, e.g. 'job=\"gapmend\",namespace=\"data\"'")
    parser.add_argument("--expect", action="append", default=[], metavar="MATCHERS",
                        help="an environment that must answer, e.g. 'environment=\"prod\"'; may be repeated")
    parser.add_argument("--severity", action="append", default=[], metavar="URGENCY=LABEL",
                        help="the severity of page, ticket or note; by default critical, warning, info")
    parser.add_argument("--tests", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.tests:
        write_tests(options.tests)
        return 0
    severities = forms.Options().severities | dict(one.split("=", 1) for one in options.severity)
    chosen = forms.Options(options.runbooks, options.selector, tuple(options.expect), severities)
    stale = []
    for name, text in files(chosen).items():
        path = HERE / name
        if path.exists() and path.read_text() == text:
            continue
        if options.check:
            stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote dashboards/{name}")
    for name in stale:
        print(f"dashboards/{name} is out of date: run dashboards/make.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
