#!/usr/bin/env python3
"""The kit against a running gapmend: `live.py PATH-OF-GAPMEND`.

Debian's Prometheus scrapes `gapmend demo` while it heals. Every expression of the dashboard
and every selector of the alerts must return data, then or in the troubles that follow: the
rule disabled behind gapmend's back an hour before the live dump, a pause, a bad
configuration. Alertmanager must bring the alert of each to a webhook, and its end too.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import kit
from servers import Alertmanager, Process, Prometheus, Webhook, until

# What shows nothing while all is well nor in the troubles of this test, and why.
SILENT = {
    "Rescue possible for / {{dataset}}": "needs a supplier who comes today: tests/scenarios/telling.rs",
    "Disabled for / held by us, {{dataset}}": "the demo holds nothing: tests/scenarios/trigger.rs",
    "Disabled for / ours may last until, {{dataset}}": "the same",
    "annotation Holds": "the same",
}
# What depends on chance here.
MAYBE_SILENT = {
    "Errors / {{service}}:{{operation}} {{result}}": "the demo's AWS seldom fails; tests/end_to_end/faults.rs",
}
# What the demo's data is about: its alerts, and no page.
OF_THE_DEMO = {
    "GapmendNoDump", "GapmendDatesQuarantined", "GapmendDatesDamaged", "GapmendLagOverObjective",
    "GapmendWatchdog",
}
KEYS = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"}
RULE = "liberator-to-rds-snapshot-event"


class Demo(Process):
    def __init__(self, gapmend: str, folder: Path):
        self.gapmend = gapmend
        env = {**os.environ, "TMPDIR": str(folder)}
        super().__init__([gapmend, "demo"], folder / "demo.log", env)
        self.metrics = until("the demo's daemon begins", lambda: self.find(r"metrics: http://(\S+)/metrics"))
        self.aws = self.find(r"(http://127\.0\.0\.1:\d+)\.\n")
        self.config = next(folder.glob("gapmend-demo-*")) / "gapmend.toml"

    def find(self, pattern: str):
        found = re.search(pattern, self.said())
        return found and found.group(1)

    def is_healed(self) -> bool:
        return "goes on until Ctrl-C" in self.said()

    def command(self, *words: str):
        env = {**os.environ, **KEYS}
        subprocess.run([self.gapmend, "--config", self.config, *words], check=True, env=env,
                       stdout=subprocess.DEVNULL)

    def events(self, operation: str):
        """A call to the embedded EventBridge, as an operator's."""
        request = urllib.request.Request(
            f"{self.aws}/", json.dumps({"Name": RULE}).encode(),
            {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"AWSEvents.{operation}",
             "authorization": "AWS4-HMAC-SHA256 Credential=demo/20260101/eu-west-2/events/aws4_request,"
                              " SignedHeaders=host, Signature=00"})
        urllib.request.urlopen(request, timeout=10).read()

    def configure(self, name: str, text: str):
        """A file beside the configuration; the daemon reads it by itself."""
        folder = self.config.parent / "conf.d"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)


class Silence:
    """The expressions that have not returned anything yet."""

    def __init__(self, prometheus: Prometheus, began: float):
        self.prometheus, self.began = prometheus, began
        self.variables = {"job": "gapmend", "dataset": "liberator"}
        self.waiting = {where: (expr, legend) for where, expr, legend in kit.expressions()}

    def look(self):
        now = time.time()
        for where, (expr, legend) in list(self.waiting.items()):
            found = self.prometheus.range(kit.filled_in(expr, self.variables), self.began, now)
            found = [series for series in found if any(value != "NaN" for _, value in series["values"])]
            if found:
                self.has_labels(where, legend, found)
                del self.waiting[where]

    def has_labels(self, where: str, legend: str, found: list):
        for label in re.findall(r"\{\{(\w+)\}\}", legend):
            if not any(label in series["metric"] for series in found):
                raise SystemExit(f"{where}: no series has the label {label}")


def all_selectors_return(prometheus: Prometheus):
    """An alert that is quiet because of a misspelt name would be quiet for ever."""
    missing = set()
    for alert in kit.ALERTS:
        for name, labels in kit.SELECTOR.findall(alert.expr):
            if not prometheus.now(f"{name}{labels}"):
                missing.add(f"{alert.name}: nothing is shown for {name}{labels}")
    if missing:
        raise SystemExit("\n".join(sorted(missing)))


def variables_have_values(prometheus: Prometheus):
    for variable in kit.dashboard()["templating"]["list"]:
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", ""))
        if found:
            selector = found.group(1).replace("$job", "gapmend")
            values = prometheus.ask(f"label/{found.group(2)}/values", **{"match[]": selector})
            if not values:
                raise SystemExit(f"variable {variable['name']} has no values")


def soon() -> str:
    """The time of day in an hour, in UTC."""
    return time.strftime("%H:%M", time.gmtime(time.time() + 3600))


def notified(webhook: Webhook, path: str, name: str, status: str) -> dict:
    alert = until(f"the webhook gets {name} {status}", lambda: webhook.got(path, name, status))
    print(f"{time.strftime('%H:%M:%S')} {status:8} {path:8} {name}: {alert['annotations']['summary']}")
    return alert


def is_sound(alert: dict, *words: str):
    text = alert["annotations"]["description"]
    for word in words:
        if word not in text:
            raise SystemExit(f"{alert['labels']['alertname']} does not tell {word}: {text}")
    if not alert["annotations"]["runbook_url"].endswith(f"{alert['labels']['alertname']}.md"):
        raise SystemExit(f"{alert['annotations']['runbook_url']} is no runbook of it")


def healthy(demo: Demo, prometheus: Prometheus, silence: Silence, webhook: Webhook):
    until("the demo is healed", demo.is_healed)
    until("the demo's alerts fire", lambda: OF_THE_DEMO <= prometheus.firing(),
          show=lambda: sorted(prometheus.firing()))
    pages = {alert.name for alert in kit.ALERTS if alert.severity == "page"} & prometheus.firing()
    if pages or prometheus.firing() - OF_THE_DEMO:
        raise SystemExit(f"the demo fires {sorted(prometheus.firing() - OF_THE_DEMO)}")
    variables_have_values(prometheus)
    all_selectors_return(prometheus)
    silence.look()
    notified(webhook, "watchdog", "GapmendWatchdog", "firing")
    is_sound(notified(webhook, "supplier", "GapmendNoDump", "firing"), "scan", "liberator")
    print(f"healthy: {len(kit.expressions())} expressions, silent yet: {sorted(silence.waiting)}")


def rule_disabled(demo: Demo, prometheus: Prometheus, silence: Silence, webhook: Webhook):
    demo.events("DisableRule")
    demo.configure("50-arrival.toml", f'[datasets.liberator.trigger]\narrival = "{soon()}"\n')
    alert = notified(webhook, "pages", "GapmendTriggerOffBeforeDump", "firing")
    is_sound(alert, f"aws events enable-rule --name {RULE}", "trigger release", "expected in 5")
    silence.look()
    demo.events("EnableRule")
    demo.configure("50-arrival.toml", f'[datasets.liberator.trigger]\narrival = "{soon()}"\n# again\n')
    demo.configure("51-again.toml", "[datasets.liberator.window]\nlag_objective_dates = 9\n")
    notified(webhook, "pages", "GapmendTriggerOffBeforeDump", "resolved")


def paused(demo: Demo, prometheus: Prometheus, silence: Silence, webhook: Webhook):
    demo.command("pause", "--for", "1h", "--reason", "a test")
    is_sound(notified(webhook, "tickets", "GapmendPauseEnding", "firing"), "liberator", "ends in 5")
    until("a pause quiets the lag", lambda: "GapmendLagOverObjective" not in prometheus.firing())
    silence.look()
    demo.command("resume", "--reason", "a test")
    notified(webhook, "tickets", "GapmendPauseEnding", "resolved")


def misconfigured(demo: Demo, prometheus: Prometheus, silence: Silence, webhook: Webhook):
    demo.configure("60-wrong.toml", "nonsense = 1\n")
    is_sound(notified(webhook, "tickets", "GapmendConfigRefused", "firing"), "/readyz")
    demo.configure("60-wrong.toml", "[datasets.liberator.window]\nlag_objective_dates = 7\n")
    notified(webhook, "tickets", "GapmendConfigRefused", "resolved")


def gone(demo: Demo, webhook: Webhook):
    demo.__exit__()
    is_sound(notified(webhook, "tickets", "GapmendDown", "firing"), "systemctl status gapmend")


def main() -> int:
    gapmend = str(Path(sys.argv[1]).resolve())
    folder = Path(tempfile.mkdtemp(prefix="gapmend-observability-"))
    webhook, began = Webhook(), time.time()
    try:
        with Alertmanager(folder / "alertmanager", kit.ALERTMANAGER, webhook) as alertmanager, \
                Demo(gapmend, folder) as demo, \
                Prometheus(folder / "prometheus", {"gapmend": [demo.metrics]}, kit.rules_without_waiting(),
                           alertmanager.address) as prometheus:
            silence = Silence(prometheus, began)
            for trouble in [healthy, rule_disabled, paused, misconfigured]:
                trouble(demo, prometheus, silence, webhook)
            silence.look()
            unheard = silence.waiting.keys() - SILENT.keys() - MAYBE_SILENT.keys()
            stale = SILENT.keys() - silence.waiting.keys()
            if unheard or stale:
                raise SystemExit(f"no data for {sorted(unheard)}; data after all for {sorted(stale)}")
            gone(demo, webhook)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(kit.expressions())} expressions, {len(SILENT)} of them silent here, in {time.time() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
