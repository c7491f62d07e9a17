#!/usr/bin/env python3
"""The kit against a running gapmend: `live.py PATH-OF-GAPMEND`.

Debian's Prometheus scrapes `gapmend demo` while it heals. Every expression of the dashboard
and every selector of the alerts must return data, then or in the troubles that follow: a dump
that is uploaded under a hold, the rule disabled behind gapmend's back an hour before the live
dump, a live dump that lands meanwhile and is rescued as the alert says, an AWS that does not
answer, a pause, a bad configuration. Alertmanager must bring the alert of each to a webhook,
and its end too.
"""

import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from pathlib import Path

import kit
from servers import Alertmanager, Process, Prometheus, Webhook, get, until

# What the demo's data is about: its alerts, and no page.
OF_THE_DEMO = {
    "GapmendNoDump", "GapmendDatesQuarantined", "GapmendDatesDamaged", "GapmendLagOverObjective",
    "GapmendWatchdog",
}
KEYS = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"}
RULE = "liberator-to-rds-snapshot-event"
LANDING = "dataplatform-prod-liberator-data-storage/parking/"
NEVER_CAME_DAYS = 28  # the demo's date without a dump
# A hold that is long enough to be scraped and short enough to be waited for.
HOLD = """[datasets.liberator.trigger]
hold = "upload"
propagation = "4s"
settle = "4s"
max_hold = "50m"
dead_man = { group = "gapmend", role_arn = "arn:aws:iam::111122223333:role/dead-man", after = "1h" }
"""
# The whole test, generously: it must not cross midnight.
DAY_NEEDED_SECONDS = 8 * 60
# Longer than a request waits for its answer.
ANSWER_SECONDS = 60


class Demo(Process):
    def __init__(self, gapmend: str, folder: Path):
        self.gapmend, self.woken = gapmend, 0
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
        ran = subprocess.run([self.gapmend, "--config", self.config, *map(str, words)], env=env, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if ran.returncode:
            raise SystemExit(f"gapmend {' '.join(map(str, words))}: {ran.stdout}")

    def aws_call(self, service: str, request: urllib.request.Request):
        """A call to the embedded AWS, as an operator's or the supplier's."""
        scope = f"demo/20260101/eu-west-2/{service}/aws4_request"
        request.add_header("authorization", f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00")
        urllib.request.urlopen(request, timeout=10).read()

    def events(self, operation: str):
        self.aws_call("events", urllib.request.Request(
            f"{self.aws}/", json.dumps({"Name": RULE}).encode(),
            {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"AWSEvents.{operation}"}))

    def put_dump(self, day: datetime.date, body: bytes, **headers: str):
        url = f"{self.aws}/{LANDING}liberator_dump_{day:%y%m%d}.zip"
        self.aws_call("s3", urllib.request.Request(url, body, headers, method="PUT"))

    def configure(self, name: str, text: str):
        """A file beside the configuration; the daemon reads it by itself."""
        folder = self.config.parent / "conf.d"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    def wake(self):
        """A change of the configuration makes the daemon look at once, whatever it is."""
        self.woken += 1
        self.configure("70-again.toml", f"[datasets.liberator.backfill]\nstop_after = {5 + self.woken % 2}\n")


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
        for name, labels in kit.SELECTOR.findall(kit.inlined(alert.expr)):
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


def metrics_are_clean(demo: Demo):
    page = get(f"http://{demo.metrics}/metrics")
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    if checked.returncode or checked.stderr:
        raise SystemExit(f"promtool check metrics: {checked.stderr.decode()}")
    print(f"promtool check metrics: {page.count(b'# TYPE ')} metrics are clean")


def dump_of(day: datetime.date, folder: Path) -> Path:
    path = folder / f"{day}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"liberator_{day}.sql", f"-- liberator dump of {day}\n" + "-" * 4096)
    return path


def today() -> datetime.date:
    return datetime.datetime.now(datetime.timezone.utc).date()


def soon() -> str:
    """The time of day in an hour, in UTC."""
    return time.strftime("%H:%M", time.gmtime(time.time() + 3600))


def wait_for_a_whole_hour_of_today():
    """The rescue of a live dump ends with its UTC day, and so does what this test calls today.
    Within its last minutes the test waits for the next day; no gapmend runs meanwhile."""
    left = 86400 - time.time() % 86400
    if left < DAY_NEEDED_SECONDS:
        print(f"the UTC day ends in {left:.0f} s: waiting for the next one")
        time.sleep(left + 1)


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
    pages = {alert.name for alert in kit.ALERTS if alert.urgency == "page"} & prometheus.firing()
    if pages or prometheus.firing() - OF_THE_DEMO:
        raise SystemExit(f"the demo fires {sorted(prometheus.firing() - OF_THE_DEMO)}")
    metrics_are_clean(demo)
    variables_have_values(prometheus)
    all_selectors_return(prometheus)
    silence.look()
    notified(webhook, "watchdog", "GapmendWatchdog", "firing")
    is_sound(notified(webhook, "supplier", "GapmendNoDump", "firing"), "scan", "liberator")
    print(f"healthy: {len(kit.expressions())} expressions, silent yet: {sorted(silence.waiting)}")


def held(demo: Demo, prometheus: Prometheus, silence: Silence, webhook: Webhook):
    """The dump that never came is uploaded by hand, under a hold; then it is missed no more."""
    demo.configure("52-hold.toml", HOLD)
    day = today() - datetime.timedelta(NEVER_CAME_DAYS)
    file = dump_of(day, demo.config.parent)
    demo.command("upload", file, "--date", day, "--force-size", "--reason", "a test")
    silence.look()
    notified(webhook, "supplier", "GapmendNoDump", "resolved")


def stranded(demo: Demo, prometheus: Prometheus, silence: Silence, webhook: Webhook):
    """A live dump lands while the rule is off, and is rescued by what the alert says."""
    day = today()
    demo.events("DisableRule")
    demo.put_dump(day, dump_of(day, demo.config.parent).read_bytes())
    demo.wake()
    alert = notified(webhook, "pages", "GapmendLiveDumpStranded", "firing")
    is_sound(alert, f"aws events enable-rule --name {RULE}", f"aws s3 cp s3://{LANDING}KEY s3://{LANDING}KEY")
    silence.look()
    demo.events("EnableRule")
    key = f"/{LANDING}liberator_dump_{day:%y%m%d}.zip"
    demo.put_dump(day, b"", **{"x-amz-copy-source": key, "x-amz-metadata-directive": "REPLACE"})
    demo.wake()
    notified(webhook, "pages", "GapmendLiveDumpStranded", "resolved")


def unanswered(demo: Demo, prometheus: Prometheus, silence: Silence, webhook: Webhook):
    """AWS takes every call, and answers none."""
    demo.child.send_signal(signal.SIGSTOP)
    try:
        demo.wake()
        failed = 'sum(increase(gapmend_aws_requests_total{result="timeout"}[1m])) > 0'
        until("a call has no answer", lambda: prometheus.now(failed), ANSWER_SECONDS)
    finally:
        demo.child.send_signal(signal.SIGCONT)
    silence.look()


def rule_disabled(demo: Demo, prometheus: Prometheus, silence: Silence, webhook: Webhook):
    demo.events("DisableRule")
    demo.configure("50-arrival.toml", f'[datasets.liberator.trigger]\narrival = "{soon()}"\n')
    alert = notified(webhook, "pages", "GapmendTriggerOffBeforeDump", "firing")
    is_sound(alert, f"aws events enable-rule --name {RULE}", "trigger release", "expected in 5")
    silence.look()
    demo.events("EnableRule")
    demo.wake()
    notified(webhook, "pages", "GapmendTriggerOffBeforeDump", "resolved")


def paused(demo: Demo, prometheus: Prometheus, silence: Silence, webhook: Webhook):
    demo.command("pause", "--for", "1h", "--reason", "a test")
    is_sound(notified(webhook, "notes", "GapmendPauseEnding", "firing"), "liberator", "ends in 5")
    until("a pause quiets the lag", lambda: "GapmendLagOverObjective" not in prometheus.firing())
    silence.look()
    demo.command("resume", "--reason", "a test")
    notified(webhook, "notes", "GapmendPauseEnding", "resolved")


def misconfigured(demo: Demo, prometheus: Prometheus, silence: Silence, webhook: Webhook):
    demo.configure("60-wrong.toml", "nonsense = 1\n")
    is_sound(notified(webhook, "tickets", "GapmendConfigRefused", "firing"), "/readyz")
    demo.configure("60-wrong.toml", "")
    notified(webhook, "tickets", "GapmendConfigRefused", "resolved")


def gone(demo: Demo, webhook: Webhook):
    demo.__exit__()
    is_sound(notified(webhook, "tickets", "GapmendDown", "firing"), "systemctl status gapmend")


def main() -> int:
    gapmend = str(Path(sys.argv[1]).resolve())
    folder = Path(tempfile.mkdtemp(prefix="gapmend-observability-"))
    wait_for_a_whole_hour_of_today()
    webhook, began = Webhook(), time.time()
    try:
        with Alertmanager(folder / "alertmanager", kit.ALERTMANAGER, webhook) as alertmanager, \
                Demo(gapmend, folder) as demo, \
                Prometheus(folder / "prometheus", {"gapmend": [demo.metrics]}, kit.rules_without_waiting(),
                           alertmanager.address) as prometheus:
            silence = Silence(prometheus, began)
            for trouble in [healthy, held, rule_disabled, stranded, unanswered, paused, misconfigured]:
                trouble(demo, prometheus, silence, webhook)
            silence.look()
            if silence.waiting:
                raise SystemExit(f"no data for {sorted(silence.waiting)}")
            gone(demo, webhook)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(kit.expressions())} expressions have returned data, in {time.time() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
