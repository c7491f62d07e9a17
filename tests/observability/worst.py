#!/usr/bin/env python3
"""Everything wrong at once: each alert fires in a real Prometheus, and its text is whole.

The unit tests prove when an alert fires. This proves what people then read: no template that
fails, no label that is empty, no value that is missing. The metrics come from a server of
this test's own, for no gapmend is ever in so bad a way.
"""

import re
import shutil
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kit
from servers import Prometheus, until

HOUR = 3600
NAMES = 'rule="live-rule",event_bus="default",landing="s3://landing/feed/"'


def broken(dataset: str, now: float, count: int, more: dict) -> dict:
    """A dataset in which all is wrong that can be at once."""
    values = {
        f"gapmend_dataset_info{{{NAMES}}}": 1,
        'gapmend_trigger_state{state="disabled_by_other"}': 1,
        "gapmend_trigger_disabled_since_timestamp_seconds": now - HOUR,
        "gapmend_trigger_held_since_timestamp_seconds": now - 2 * HOUR,
        "gapmend_trigger_held_until_timestamp_seconds": now - HOUR,
        "gapmend_next_arrival_timestamp_seconds": now + HOUR,
        "gapmend_live_dump_rescue_deadline_timestamp_seconds": now + HOUR,
        "gapmend_overlapping_loads_total": count,
        "gapmend_live_dumps_missed_total": count,
        "gapmend_latest_due_ready_by_timestamp_seconds": now - 40 * HOUR,
        "gapmend_latest_due_dump_arrived": 1,
        "gapmend_latest_due_whole": 0,
        "gapmend_scan_last_success_timestamp_seconds": now - 30 * HOUR,
        'gapmend_scans_total{outcome="blind"}': count,
        "gapmend_schedule_missed_slots_total": count,
        "gapmend_dates_behind": 9,
        "gapmend_lag_objective_dates": 8,
        "gapmend_backfill_stopped": 1,
        "gapmend_queue_depth": 3,
        "gapmend_queue_oldest_enqueued_timestamp_seconds": now - 80 * HOUR,
        "gapmend_run_last_success_timestamp_seconds": now - 90 * HOUR,
        'gapmend_runs_total{outcome="failed"}': 5 * count,
        "gapmend_run_stage_since_timestamp_seconds": now - 9 * HOUR,
        'gapmend_run_stage{stage="load"}': 1,
        'gapmend_stage_deadline_seconds{stage="load"}': 4 * HOUR,
        'gapmend_trigger_changes_total{action="enable",result="error"}': count,
        'gapmend_dates_flagged{flag="regressed"}': 1,
        "gapmend_paused_until_timestamp_seconds": 0,
    }
    for status in ["no_dump", "quarantined", "partial", "bad_dump", "unpublished"]:
        values[f'gapmend_dates{{status="{status}"}}'] = 2
    return {with_label(name, f'dataset="{dataset}"'): value for name, value in (values | more).items()}


def with_label(name: str, label: str) -> str:
    return name.replace("{", f"{{{label},") if "{" in name else f"{name}{{{label}}}"


def process(now: float, count: int, acting: int, ticked: float = HOUR) -> dict:
    return {
        'gapmend_build_info{version="0",revision="0"}': 1,
        "gapmend_acting": acting,
        "gapmend_loop_last_tick_timestamp_seconds": now - ticked,
        "gapmend_config_last_reload_successful": 0,
        "process_start_time_seconds": now if count % 2 else now - 1,
        'gapmend_ledger_errors_total{operation="create"}': count,
        'gapmend_aws_requests_total{service="glue",operation="GetTables",result="denied"}': count,
        'gapmend_aws_requests_total{service="glue",operation="GetTables",result="throttled"}': count,
    }


def worst(now: float, count: int) -> dict:
    unseen = {'gapmend_trigger_state{state="disabled_by_other"}': 0, 'gapmend_trigger_state{state="unknown"}': 1}
    pausing = {"gapmend_paused_until_timestamp_seconds": now + HOUR}
    return (process(now, count, 1) | broken("feed", now, count, {}) | broken("unseen", now, count, unseen)
            | broken("pausing", now, count, pausing))


def leads(now: float, count: int) -> dict:
    """One of two that are leaders."""
    return worst(now, count) | process(now, count, 1, ticked=0)


class Exporter:
    """Serves metrics; counters climb with each scrape."""

    def __init__(self, metrics):
        count = [0]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                count[0] += 1
                lines = (f"{name} {value}\n" for name, value in metrics(time.time(), count[0]).items())
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write("".join(lines).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # Prometheus hung up at its end
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def is_whole(alert: dict):
    name = alert["labels"]["alertname"]
    for what, text in alert["annotations"].items():
        if re.search(r"<error|<no value>|\{\{|%!|  |``| \.|NaN|\+Inf|name `|name $", text):
            raise SystemExit(f"{name}: its {what} is not whole: {text}")
    for label in ["severity", "app", "audience"]:
        if not alert["labels"].get(label):
            raise SystemExit(f"{name}: no label {label}")


def found_by(prometheus: Prometheus, expr: str) -> set:
    return {tuple(sorted((name, value) for name, value in series["metric"].items() if name != "__name__"))
            for series in prometheus.now(expr)}


def same_without_recording(prometheus: Prometheus, alert):
    """Grafana's form, in which the recording rules are inlined, finds the same series.

    A recording rule is as old as its last evaluation, and the counters go on climbing: a series that
    crosses a threshold in between is found by one form before the other. So they have to come to agree.
    """
    inlined = kit.inlined(alert.expr)
    if inlined == alert.expr:
        return
    until(f"{alert.name}: both forms find the same series",
          lambda: found_by(prometheus, alert.expr) == found_by(prometheus, inlined),
          show=lambda: f"; {found_by(prometheus, alert.expr)} by the rules, "
                       f"{found_by(prometheus, inlined)} in Grafana's form")


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="gapmend-worst-"))
    going, broken_one, one, two = Exporter(worst), Exporter(worst), Exporter(leads), Exporter(leads)
    idle = Exporter(lambda now, count: process(now, count, 0))
    targets = {"going": [going.address], "broken": [broken_one.address], "two": [one.address, two.address],
               "idle": [idle.address]}
    names = {alert.name for alert in kit.ALERTS}
    try:
        with Prometheus(folder, targets, kit.rules_without_waiting()) as prometheus:
            until("all but the silence fires", lambda: names - {"GapmendDown"} <= prometheus.firing(),
                  show=lambda: f"; not firing: {sorted(names - prometheus.firing())}")
            for alert in kit.ALERTS:
                same_without_recording(prometheus, alert)
            going.stop()
            until("silence fires", lambda: "GapmendDown" in prometheus.firing())
            alerts = [alert for alert in prometheus.alerts() if alert["state"] == "firing"]
            for alert in alerts:
                is_whole(alert)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(names)} alerts fire, {len(alerts)} texts are whole")
    return 0


if __name__ == "__main__":
    sys.exit(main())
