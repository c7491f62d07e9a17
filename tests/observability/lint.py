#!/usr/bin/env python3
"""Lints the kit: the dashboard, the texts of the alerts, and the runbooks.

    lint.py [PATH-OF-GAPMEND]     with the binary, every command that a text names is looked up
"""

import re
import subprocess
import sys

import kit

HEADINGS = ["## What it means", "## First", "## Then", "## When it is over"]
MOST_PAGES = 6
faults = []


def fault(text: str):
    faults.append(text)


# ---- the dashboard ----------------------------------------------------------------------


def whole_dashboard(board: dict):
    expected = {"id": None, "uid": "gapmend", "editable": False, "timezone": "utc", "graphTooltip": 1}
    for name, value in expected.items():
        if board.get(name, "absent") != value:
            fault(f"dashboard: {name} is {board.get(name)!r} and not {value!r}")
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        fault("dashboard: an id twice")
    titles = [panel["title"] for panel in kit.panels()]
    for title in {title for title in titles if titles.count(title) > 1}:
        fault(f"dashboard: two panels are called {title}")
    taken = set()
    for panel in board["panels"]:
        grid = panel["gridPos"]
        cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"])
                 for y in range(grid["y"], grid["y"] + grid["h"])}
        if cells & taken or grid["x"] + grid["w"] > 24:
            fault(f"{panel['title']}: lies on another panel, or beside the grid")
        taken |= cells


def one_panel(panel: dict, variables: set):
    where = f"panel {panel['title']}"
    if not panel.get("description", "").endswith("."):
        fault(f"{where}: its description is no sentence")
    if panel["datasource"]["uid"] != "${datasource}":
        fault(f"{where}: its data source is not the variable")
    if "unit" not in panel["fieldConfig"]["defaults"]:
        fault(f"{where}: no unit")
    if not panel["targets"]:
        fault(f"{where}: no query")
    for target in panel["targets"]:
        if target["datasource"]["uid"] != "${datasource}" or not target["legendFormat"]:
            fault(f"{where} {target['refId']}: no data source or no legend")
        expression(f"{where} {target['refId']}", target["expr"], variables)


def expression(where: str, expr: str, variables: set):
    for name in re.findall(r"\$(?!__)\{?(\w+)", expr):
        if name not in variables:
            fault(f"{where}: no variable {name}")
    # What an expression is asked about must be the job that was chosen; `and` brings it along.
    if 'job=~"$job"' not in expr:
        fault(f"{where}: does not ask for the job")
    for function, metric in re.findall(r"\b(rate|increase|irate)\((\w+)", expr):
        if not metric.endswith(("_total", "_bucket", "_sum", "_count")):
            fault(f"{where}: {function} of {metric}, which is no counter")
    for window in re.findall(r"\[([^\]]+)\]", expr):
        if window not in ("$__rate_interval", "$__range"):
            fault(f"{where}: a fixed window of {window}")
    for name in re.findall(r"\b(gapmend_\w+_total)\b(?!.*\[)", expr):
        fault(f"{where}: the bare counter {name}")
    if "histogram_quantile" in expr and "le)" not in expr:
        fault(f"{where}: a quantile without le")


# ---- metrics ------------------------------------------------------------------------------


def metrics_exist(where: str, expr: str, known: dict) -> set:
    used = set()
    for name, labels in kit.SELECTOR.findall(expr):
        base = name if name in known else re.sub(r"_(bucket|sum|count)$", "", name)
        used.add(base)
        if base not in known:
            fault(f"{where}: no metric {name} in docs/metrics.md")
            continue
        for label, operator, value in re.findall(r'(\w+)(=~|!=|!~|=)"([^"]*)"', labels):
            if label in ("job", "instance"):
                continue
            if label not in known[base]:
                fault(f"{where}: {name} has no label {label}")
            elif known[base][label] and not value.startswith("$"):
                unknown = set(value.split("|")) - known[base][label]
                if unknown:
                    fault(f"{where}: {label} of {name} is never {', '.join(sorted(unknown))}")
    return used


# ---- alerts and runbooks ------------------------------------------------------------------


def one_alert(alert):
    if alert.urgency not in kit.SEVERITY:
        fault(f"{alert.name}: urgency {alert.urgency}")
    if not alert.summary.endswith(".") or "{{" in alert.summary:
        fault(f"{alert.name}: its summary is no constant sentence")
    if "`" not in alert.text and alert.urgency != "none":
        fault(f"{alert.name}: its text names nothing to do")
    path = kit.ROOT / f"docs/runbooks/{alert.name}.md"
    if not path.exists():
        fault(f"{alert.name}: no {path.relative_to(kit.ROOT)}")
        return
    text = path.read_text()
    if not text.startswith(f"# {alert.name}\n") or alert.summary not in text:
        fault(f"{path.name}: does not begin with its name, or lacks the summary")
    places = [text.find(heading) for heading in HEADINGS]
    if -1 in places or places != sorted(places):
        fault(f"{path.name}: needs {', '.join(HEADINGS)}, in this order")


def runbooks_are_listed():
    folder = kit.ROOT / "docs/runbooks"
    index = (folder / "README.md").read_text()
    names = {alert.name for alert in kit.ALERTS} | {"GapmendPrometheusUnreachable"}
    for path in folder.glob("*.md"):
        if path.stem not in names | {"README"}:
            fault(f"{path.name}: there is no such alert")
    for alert in kit.ALERTS:
        row = f"| [{alert.name}]({alert.name}.md) | {kit.SEVERITY[alert.urgency]} | {alert.summary} |"
        if row not in index:
            fault(f"docs/runbooks/README.md: no line {row}")


COMMAND = re.compile(r"`gapmend ((?:--dataset \S+ )?)([^`]*)`")


def commands_exist(gapmend: str):
    texts = {alert.name: alert.text for alert in kit.ALERTS}
    for path in [*(kit.ROOT / "docs/runbooks").glob("*.md"), kit.KIT / "README.md"]:
        texts[path.name] = path.read_text()
    found = {}
    for where, text in texts.items():
        for _, words in COMMAND.findall(re.sub(r"\{\{[^}]*\}\}", "NAME", text)):
            found.setdefault(tuple(words.split()), where)
    for words, where in sorted(found.items()):
        verbs = [word for word in words if re.fullmatch(r"[a-z]+", word)][:2]
        options = {word for word in words if word.startswith("--")}
        depth = 2 if verbs[:1] in (["trigger"], ["config"], ["ledger"]) else 1
        asked = subprocess.run([gapmend, *verbs[:depth], "--help"], capture_output=True, text=True)
        unknown = {option for option in options if option not in asked.stdout}
        if asked.returncode or unknown:
            fault(f"{where}: `gapmend {' '.join(words)}` is no command ({', '.join(unknown) or asked.stderr.strip()})")


def main() -> int:
    board, known = kit.dashboard(), kit.metrics_page()
    variables = {variable["name"] for variable in board["templating"]["list"]}
    whole_dashboard(board)
    used = set()
    for panel in kit.panels():
        one_panel(panel, variables)
    for where, expr, _ in kit.expressions():
        used |= metrics_exist(where, expr, known)
    for alert in kit.ALERTS:
        one_alert(alert)
        used |= metrics_exist(alert.name, kit.inlined(alert.expr), known)
    for name in sorted(known.keys() - used):
        if name.startswith("gapmend_"):
            fault(f"{name} is on no panel and in no alert")
    pages = [alert.name for alert in kit.ALERTS if alert.urgency == "page"]
    if len(pages) > MOST_PAGES:
        fault(f"{len(pages)} alerts wake somebody")
    runbooks_are_listed()
    if len(sys.argv) > 1:
        commands_exist(sys.argv[1])
    for text in faults:
        print(text, file=sys.stderr)
    print(f"{len(board['panels'])} panels, {len(kit.ALERTS)} alerts, {len(pages)} of them pages: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
