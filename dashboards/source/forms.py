"""The two forms of the alerts: Prometheus' rule file and Grafana's provisioning.

Both mean the same. Grafana evaluates the expression as Prometheus does (node `query`), takes
every series that came back, whatever its value (node `found`), and fires on it: so a
condition that is written as a filter means the same in both. Grafana has no recording rules
here: they are inlined.
"""

import re
from dataclasses import dataclass, field

from alerts import ALERTS, Alert
from promql import RECORDS, inlined, selecting

EVERY = "1m"
FOLDER = "gapmend"
DATASOURCE = "gapmend-prometheus"   # the uid in provisioning/datasources
DASHBOARD = "gapmend"
APP = "gapmend"
UNREACHABLE = Alert(
    "GapmendPrometheusUnreachable", "ticket",
    "absent(vector(1))",
    "15m",
    "Grafana cannot query Prometheus: no alert about gapmend can fire.",
    "Grafana's data source `gapmend-prometheus` gives no answer. The other rules keep the state that they had, "
    "and the watchdog stops. `up{job=\"prometheus\"}` in Prometheus itself, then Grafana's log.",
    "alive", keep="0m",
)


@dataclass(frozen=True)
class Options:
    """What an installation decides; `make.py --help` names each."""

    # Where your people read docs/runbooks.
    runbooks: str = "https://git.example/gapmend/blob/main/docs/runbooks"
    selector: str = ""
    expected: tuple = ()
    severities: dict = field(default_factory=lambda: {
        "page": "critical", "ticket": "warning", "note": "info", "none": "none"})


def expr_of(alert: Alert, options: Options) -> str:
    expr = selecting(alert.expr, options.selector)
    if alert.name != "GapmendDown":
        return expr
    # Environments that must be there even if no sample of them ever came.
    return " or ".join([expr, *(f"absent_over_time(gapmend_build_info{{{one}}}[15m])" for one in options.expected)])


def labels(alert: Alert, options: Options) -> dict:
    return {"severity": options.severities[alert.urgency], "app": APP, "audience": alert.audience}


def annotations(alert: Alert, options: Options) -> dict:
    return {
        "summary": alert.summary,
        "description": alert.text,
        "runbook_url": f"{options.runbooks}/{alert.name}.md",
    }


def prometheus(options: Options) -> dict:
    """One group: its rules are evaluated in order, so what is recorded is there for the alerts."""
    records = [
        {"record": one.name, "expr": in_lines(selecting(one.of(), options.selector))} for one in RECORDS.values()
    ]
    rules = [rule(alert, options) for alert in ALERTS]
    return {"groups": [{"name": "gapmend", "interval": EVERY, "rules": records + rules}]}


def rule(alert: Alert, options: Options) -> dict:
    made = {"alert": alert.name, "expr": in_lines(expr_of(alert, options))}
    if alert.wait != "0m":
        made["for"] = alert.wait
    if alert.keep != "0m":
        made["keep_firing_for"] = alert.keep
    return made | {"labels": labels(alert, options), "annotations": annotations(alert, options)}


def grafana(options: Options, panels: dict) -> dict:
    rules = [grafana_rule(alert, options, panels) for alert in [*ALERTS, UNREACHABLE]]
    group = {"orgId": 1, "name": "gapmend", "folder": FOLDER, "interval": EVERY, "rules": rules}
    return {"apiVersion": 1, "groups": [group]}


def grafana_rule(alert: Alert, options: Options, panels: dict) -> dict:
    texts = {name: in_grafana(text) for name, text in annotations(alert, options).items()}
    made = {
        "uid": uid(alert.name),
        "title": alert.name,
        "condition": "fires",
        "data": [query(in_lines(inlined(expr_of(alert, options)))), found(), fires()],
        # A series that is gone is a condition that ended; silence has alerts of its own.
        "noDataState": "OK",
        "execErrState": on_error(alert),
        "for": alert.wait,
    }
    if alert.keep != "0m":
        made["keepFiringFor"] = alert.keep
    return made | {
        "dashboardUid": DASHBOARD,
        "panelId": panels[alert.panel],
        "annotations": texts
        | {"__dashboardUid__": DASHBOARD, "__panelId__": str(panels[alert.panel])},
        "labels": labels(alert, options),
        "isPaused": False,
    }


def on_error(alert: Alert) -> str:
    """An unreachable data source raises one alert. The others keep their state; the watchdog,
    which a dead man's service waits for, falls silent."""
    if alert is UNREACHABLE:
        return "Alerting"
    return "OK" if alert.urgency == "none" else "KeepLast"


def in_lines(expr: str) -> str:
    """A line for each operand, for those who read the file."""
    return re.sub(r" (and|unless|or|\* ignoring) ", r"\n\1 ", expr)


def uid(name: str) -> str:
    """`GapmendDown` becomes `gapmend-down`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def in_grafana(text: str) -> str:
    """Prometheus' `$value` is the value of the node `query` in Grafana."""
    return text.replace("$value", "$values.query.Value")


def query(expr: str) -> dict:
    return {
        "refId": "query",
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": DATASOURCE,
        "model": {
            "refId": "query",
            "expr": expr,
            "instant": True,
            "range": False,
            "intervalMs": 1000,
            "maxDataPoints": 43200,
            "datasource": {"type": "prometheus", "uid": DATASOURCE},
        },
    }


def found() -> dict:
    anything = "is_number($query) || is_nan($query) || is_inf($query)"
    return expression("found", {"type": "math", "expression": anything})


def fires() -> dict:
    condition = {
        "type": "query",
        "evaluator": {"type": "gt", "params": [0]},
        "operator": {"type": "and"},
        "reducer": {"type": "last", "params": []},
        "query": {"params": ["found"]},
    }
    return expression(
        "fires", {"type": "threshold", "expression": "found", "conditions": [condition]}
    )


def expression(ref: str, model: dict) -> dict:
    return {
        "refId": ref,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": "__expr__",
        "model": {
            "refId": ref,
            "intervalMs": 1000,
            "maxDataPoints": 43200,
            "datasource": {"type": "__expr__", "uid": "__expr__"},
        }
        | model,
    }
