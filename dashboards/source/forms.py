"""The two forms of the alerts: Prometheus' rule file and Grafana's provisioning.

Both say the same. Grafana evaluates the expression as Prometheus does (node `query`), takes
every series that came back, whatever its value (node `found`), and fires on it: so a
condition that is written as a filter means the same in both.
"""

import re

from alerts import ALERTS, Alert

EVERY = "1m"
FOLDER = "gapmend"
DATASOURCE = "gapmend-prometheus"   # the uid in provisioning/datasources
DASHBOARD = "gapmend"
# Where your people read docs/runbooks: `make.py --runbooks URL` puts your address in its place.
RUNBOOKS = "https://git.example/gapmend/blob/main/docs/runbooks"


def labels(alert: Alert) -> dict:
    return {"severity": alert.severity, "service": "gapmend", "audience": alert.audience}


def annotations(alert: Alert, runbooks: str) -> dict:
    return {
        "summary": alert.summary,
        "description": alert.text,
        "runbook_url": f"{runbooks}/{alert.name}.md",
    }


def prometheus(runbooks: str) -> dict:
    groups = {}
    for alert in ALERTS:
        groups.setdefault(alert.severity, []).append(rule(alert, runbooks))
    return {
        "groups": [
            {"name": f"gapmend-{severity}", "interval": EVERY, "rules": rules}
            for severity, rules in groups.items()
        ]
    }


def rule(alert: Alert, runbooks: str) -> dict:
    made = {"alert": alert.name, "expr": in_lines(alert.expr)}
    if alert.wait != "0m":
        made["for"] = alert.wait
    return made | {"labels": labels(alert), "annotations": annotations(alert, runbooks)}


def grafana(runbooks: str, panels: dict) -> dict:
    groups = {}
    for alert in ALERTS:
        groups.setdefault(alert.severity, []).append(grafana_rule(alert, runbooks, panels))
    return {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": 1,
                "name": f"gapmend-{severity}",
                "folder": FOLDER,
                "interval": EVERY,
                "rules": rules,
            }
            for severity, rules in groups.items()
        ],
    }


def grafana_rule(alert: Alert, runbooks: str, panels: dict) -> dict:
    texts = {name: in_grafana(text) for name, text in annotations(alert, runbooks).items()}
    return {
        "uid": uid(alert.name),
        "title": alert.name,
        "condition": "fires",
        "data": [query(in_lines(alert.expr)), found(), fires()],
        # A series that is gone is a condition that is over; silence has alerts of its own.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.wait,
        "dashboardUid": DASHBOARD,
        "panelId": panels[alert.panel],
        "annotations": texts
        | {"__dashboardUid__": DASHBOARD, "__panelId__": str(panels[alert.panel])},
        "labels": labels(alert),
        "isPaused": False,
    }


def in_lines(expr: str) -> str:
    """A line for each operand, for those who read the file."""
    return re.sub(r" (and on|unless on|or|\* on) ", r"\n\1 ", expr)


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
