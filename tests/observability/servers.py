"""Prometheus, Alertmanager and a webhook on loopback ports, for the tests of this folder."""

import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PATIENCE_SECONDS = 90


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what: str, is_true, patience: float = PATIENCE_SECONDS, show=lambda: ""):
    """Waits until something is true, and answers with it; else `show` says what is."""
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        found = is_true()
        if found:
            return found
        time.sleep(0.2)
    raise SystemExit(f"after {patience:.0f} s, still not: {what} {show()}")


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


class Process:
    """A process of ours, ended with the block that it is used in."""

    def __init__(self, command: list, log: Path, env=None):
        self.log = log
        self.child = subprocess.Popen(
            [str(word) for word in command], stdout=log.open("wb"), stderr=subprocess.STDOUT, env=env
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            self.child.kill()

    def said(self) -> str:
        return self.log.read_text(errors="replace")


def is_ready(url: str) -> bool:
    try:
        return bool(get(f"{url}/-/ready") or True)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


class Prometheus(Process):
    def __init__(self, folder: Path, targets: dict, rules: str = "", alertmanager: str = ""):
        self.url = f"http://127.0.0.1:{free_port()}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rules.yaml").write_text(rules or "groups: []\n")
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": addresses}]}
                for job, addresses in targets.items()
            ],
        }
        if alertmanager:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
        (folder / "prometheus.yaml").write_text(json.dumps(config))  # JSON is YAML too
        listen = self.url.removeprefix("http://")
        super().__init__(
            ["prometheus", f"--config.file={folder}/prometheus.yaml",
             f"--storage.tsdb.path={folder}/data", f"--web.listen-address={listen}"],
            folder / "prometheus.log",
        )
        until("Prometheus is ready", lambda: is_ready(self.url))

    def ask(self, path: str, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            answer = json.loads(get(url))
        except urllib.error.HTTPError as error:
            answer = json.loads(error.read())
        if answer["status"] != "success" or answer.get("warnings"):
            raise ValueError(answer.get("error") or answer.get("warnings"))
        return answer["data"]

    def now(self, expr: str) -> list:
        return self.ask("query", query=expr)["result"]

    def range(self, expr: str, start: float, end: float, step: float = 1) -> list:
        return self.ask("query_range", query=expr, start=start, end=end, step=step)["result"]

    def alerts(self) -> list:
        return self.ask("alerts")["alerts"]

    def firing(self) -> set:
        return {alert["labels"]["alertname"] for alert in self.alerts() if alert["state"] == "firing"}


class Webhook:
    """Keeps what Alertmanager sends, by path."""

    def __init__(self):
        self.received = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                for alert in json.loads(body)["alerts"]:
                    received.append((self.path.strip("/"), alert))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def got(self, path: str, name: str, status: str):
        for where, alert in list(self.received):
            if (where, alert["labels"]["alertname"], alert["status"]) == (path, name, status):
                return alert
        return None


class Alertmanager(Process):
    """With the example configuration, only its times made short and its receivers ours."""

    def __init__(self, folder: Path, example: Path, webhook: Webhook):
        folder.mkdir(parents=True, exist_ok=True)
        text = example.read_text().replace("127.0.0.1:9099", f"127.0.0.1:{webhook.port}")
        for long, short in [("group_wait: 30s", "group_wait: 0s"), ("group_interval: 5m", "group_interval: 1s"),
                            ("group_interval: 1m", "group_interval: 1s")]:
            if long not in text:
                raise SystemExit(f"{example}: no {long}; the test shortens it")
            text = text.replace(long, short)
        (folder / "alertmanager.yaml").write_text(text)
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__(
            ["prometheus-alertmanager", f"--config.file={folder}/alertmanager.yaml",
             f"--storage.path={folder}/data", f"--web.listen-address={self.address}",
             "--cluster.listen-address="],
            folder / "alertmanager.log",
        )
        until("Alertmanager is ready", lambda: is_ready(f"http://{self.address}"))
