"""The dashboard, row by row. What a panel looks like is in `panels.py`.

The first row answers in five seconds: is the trigger safe, does gapmend act, through which
date is the data whole, what is running, is anything stuck.
"""

from forms import DASHBOARD, DATASOURCE
from panels import (
    DS, Row, bars, fixed_colours, gauge_bars, join, lines, place, prom, stat, table, timeline,
)

OF = 'job=~"$job",dataset=~"$dataset"'
LEADER = '(gapmend_acting{job=~"$job"} == 1)'


def lead(metric: str, more: str = "", by: str = "dataset") -> str:
    """A gauge as the process that acts shows it."""
    labels = join(OF, more)
    return f"max by ({by}) (gapmend_{metric}{{{labels}}} and on (job, instance) {LEADER})"


def counter(metric: str, by: str, window: str, more: str = "") -> str:
    return f"sum by ({by}) (increase(gapmend_{metric}{{{join(OF, more)}}}[{window}]))"


def quantile(q: float, metric: str, by: str, labels: str, window: str) -> str:
    return (
        f"histogram_quantile({q}, sum by ({by}, le)"
        f" (increase(gapmend_{metric}_bucket{{{labels}}}[{window}])))"
    )


def code(metric: str, label: str, values: list) -> str:
    """One number for the value of a state set: its place in the list."""
    one = [lead(metric, f'{label}="{value}"') for value in values]
    return " + ".join(f"{at} * {series}" for at, series in enumerate(one))


TRIGGER = ["enabled", "held", "disabled_by_other", "unknown"]
TRIGGER_LOOKS = [("safe", "green"), ("held by gapmend", "yellow"), ("OFF, not by us", "red"),
                 ("cannot be seen", "orange")]
# A line of a timeline is there while its stage or reason is in effect; blue judges nothing.
IN_EFFECT = [("", "text"), ("in effect", "blue")]
NEED_A_PERSON = "quarantined|partial|empty|unregistered|unpublished|bad_dump|no_dump"
NO_GAPS = "available|waived|not_expected|not_due"

STAGE = f"{lead('run_stage', by='dataset, stage')} == 1"
BLOCKED = f"{lead('resting', by='dataset, reason')} == 1"
IN_STAGE = f"time() - ({lead('run_stage_since_timestamp_seconds')} > 0)"
DEADLINE = (
    f"max by (dataset) (gapmend_stage_deadline_seconds{{{OF}}} and on (job, instance, dataset, stage)"
    f" (gapmend_run_stage == 1) and on (job, instance) {LEADER})"
)
NEED = (
    f'sum by (dataset) (gapmend_dates{{{OF},status=~"{NEED_A_PERSON}"}} and on (job, instance) {LEADER})'
    f" + {lead('backfill_stopped')}"
)
AGE_OF_LOOK = f"time() - {lead('scan_last_success_timestamp_seconds')}"


def first_row() -> list:
    return [
        stat("trigger", "Trigger", code("trigger_state", "state", TRIGGER),
             "Whether the rule that fires the live run is enabled. Red: somebody has it disabled, and the "
             "next live dump would be lost.", looks=TRIGGER_LOOKS, width=3),
        stat("alive", "gapmend", 'max(gapmend_acting{job=~"$job"})',
             "Whether a gapmend answers, and may start and change things.",
             looks=[("standby", "orange"), ("leader", "green")], empty="gone", width=3),
        stat("whole", "Complete through", f"({lead('whole_through_timestamp_seconds')} > 0) * 1000 - 1",
             "The last date up to which every expected date is there or waived.",
             unit="time:YYYY-MM-DD", empty="never", width=3),
        stat("newest", "Newest date",
             f"{lead('latest_due_whole')} + 2 * (1 - {lead('latest_due_whole')})"
             f" * {lead('latest_due_dump_arrived')}",
             "What became of the newest date that is due: complete; its dump is there and the data is not "
             "(see the live run); or no dump (see the supplier).",
             looks=[("no dump", "orange"), ("whole", "green"), ("not whole", "red")], width=3),
        stat("running", "Running", STAGE, "The stage that the run in progress is in.",
             text="name", legend="{{stage}}", empty="nothing", width=3),
        stat("stuck", "Stage deadline used", f"({IN_STAGE}) / on (dataset) {DEADLINE}",
             "How much of its deadline the stage in progress has used. Over 100 % it is stuck.",
             unit="percentunit", steps=[(None, "green"), (0.75, "yellow"), (1, "red")],
             empty="nothing runs", width=3),
        stat("person", "Needs attention", NEED,
             "Dates that gapmend will not mend by itself: quarantined, half there, without a usable dump; "
             "and one more when the backfill stopped itself.",
             steps=[(None, "green"), (1, "orange")], width=3),
        stat("scan_age", "Last complete scan", AGE_OF_LOOK,
             "The age of the last complete scan. It should be one night at most.", unit="s",
             steps=[(None, "green"), (25 * 3600, "orange"), (26 * 3600, "red")], width=3),
    ]


def lag_row() -> list:
    return [
        lines("lag", "Dates behind", [
            ("{{dataset}}", lead("dates_behind")),
            ("objective of {{dataset}}", lead("lag_objective_dates")),
        ], "Expected and due dates after the watermark, and how many are agreed to be too many. Old gaps "
           "count: healing a new date does not move the watermark past an older hole.", width=8,
              dashed="objective.*", decimals=0),
        bars("dates", "Gaps by status",
             [("{{status}}", f'sum by (status) (gapmend_dates{{{OF},status!~"{NO_GAPS}"}}'
                             f" and on (job, instance) {LEADER}) > 0")],
             "Dates that are expected, due and not there, by what is the matter with them.", width=8,
             empty="no gaps", overrides=fixed_colours({
                 "bad_dump": "red", "partial": "red", "quarantined": "red", "no_dump": "orange",
                 "unpublished": "orange", "empty": "orange", "unregistered": "orange", "missing": "yellow"})),
        lines("queue", "Queue", [("{{dataset}}", lead("queue_depth"))],
              "Dates that can be healed and wait for their run.", width=4, decimals=0),
        lines("queue_age", "Longest wait", [
            ("{{dataset}}", f"time() - ({lead('queue_oldest_enqueued_timestamp_seconds')} > 0)")],
              "How long the first date of the queue has been known to be missing.", width=4, unit="s",
              empty="the queue is empty"),
        table("datasets", "Datasets", [
            ("complete through", f"({lead('whole_through_timestamp_seconds')} > 0) * 1000 - 1", "time:YYYY-MM-DD"),
            ("newest available", f"({lead('latest_available_timestamp_seconds')} > 0) * 1000 - 1",
             "time:YYYY-MM-DD"),
            ("newest due", f"({lead('latest_due_timestamp_seconds')} > 0) * 1000 - 1", "time:YYYY-MM-DD"),
            ("newest dump", f"({lead('latest_dump_timestamp_seconds')} > 0) * 1000 - 1", "time:YYYY-MM-DD"),
            ("oldest gap", f"({lead('oldest_gap_timestamp_seconds')} > 0) * 1000 - 1", "time:YYYY-MM-DD"),
            ("behind", lead("dates_behind"), "none"),
            ("queued", lead("queue_depth"), "none"),
            ("needs attention", NEED, "none"),
            ("last complete scan", AGE_OF_LOOK, "s"),
        ], "One line for each dataset.", width=16),
        bars("flags", "Flags", [("{{flag}}", lead("dates_flagged", by="flag"))],
             "Dates that have regressed, were delivered again, or hold two writes. Told, never acted on.",
             width=8, decimals=0, height=6),
    ]


def run_row() -> list:
    return [
        timeline("stages", "Stage of the run in progress", [("{{dataset}}: {{stage}}", STAGE)],
                 "What ran when: one run at a time, over all datasets.", looks=IN_EFFECT, width=16),
        lines("deadlines", "Time in the stage, and its deadline", [
            ("{{dataset}}", IN_STAGE), ("deadline of {{dataset}}", DEADLINE)],
              "How long the run in progress is in its stage. A stage past its deadline is ended by gapmend; "
              "one that stays above it is stuck.", width=8, unit="s", dashed="deadline.*",
              empty="nothing runs"),
        bars("outcomes", "Runs by outcome",
             [("{{outcome}}", counter("runs_total", "outcome", "$__rate_interval"))],
             "Runs that ended. Void ones yielded to a live run and count against nothing.", width=6, decimals=0,
             overrides=fixed_colours({"succeeded": "green", "failed": "red", "cancelled": "yellow", "void": "text"})),
        gauge_bars("failures", "Failures by stage and reason",
                   [("{{stage}}: {{reason}}", counter("run_failures_total", "stage, reason", "$__range") + " > 0")],
                   "Failed runs in the time shown, by where they ended and why.", width=6, decimals=0,
                   empty="no run failed"),
        gauge_bars("durations", "Stage duration, p95", [
            ("{{stage}}", quantile(0.95, "stage_duration_seconds", "stage", OF, "$__range") + " > 0")],
                   "The 95th percentile of each stage's duration, in the time shown.", width=6, unit="s",
                   empty="no stage ended"),
        lines("heal", "Time to heal", [
            ("p50", quantile(0.5, "time_to_heal_seconds", "job", OF, "$__range")),
            ("p95", quantile(0.95, "time_to_heal_seconds", "job", OF, "$__range"))],
              "From the first scan that found a gap to the one that found its data.", width=6, unit="s",
              empty="nothing was healed"),
        timeline("rests", "Idle reason", [("{{dataset}}: {{reason}}", BLOCKED)],
                 "The reason that the last pass gave for starting nothing.", looks=IN_EFFECT, width=12),
        stat("pause", "Paused for", f"({lead('paused_until_timestamp_seconds')} - time()) > 0",
             "How long the operator's pause still lasts.", unit="s", empty="not paused", width=4,
             steps=[(None, "yellow")]),
        table("last_runs", "Last runs", [
            ("began", f"({lead('run_last_start_timestamp_seconds')} > 0) * 1000", "dateTimeAsIso"),
            ("ended", f"({lead('run_last_completion_timestamp_seconds')} > 0) * 1000", "dateTimeAsIso"),
            ("succeeded", f"({lead('run_last_success_timestamp_seconds')} > 0) * 1000", "dateTimeAsIso"),
            ("runs now", lead("run_active"), "none"),
        ], "When a run last began, ended, and ended well.", width=8),
    ]


def trigger_row() -> list:
    return [
        timeline("trigger_states", "Trigger over time", [("{{dataset}}", code("trigger_state", "state", TRIGGER))],
                 "The state of the rule over time, and who had it disabled.", looks=TRIGGER_LOOKS, width=12),
        lines("off_since", "Disabled for", [
            ("{{dataset}}", f"time() - ({lead('trigger_disabled_since_timestamp_seconds')} > 0)"),
            ("held by us, {{dataset}}", f"time() - ({lead('trigger_held_since_timestamp_seconds')} > 0)"),
            ("ours may last until, {{dataset}}",
             f"({lead('trigger_held_until_timestamp_seconds')} > 0)"
             f" - on (dataset) {lead('trigger_held_since_timestamp_seconds')}")],
              "How long the rule is seen disabled, how long we hold it, and how long we may.", width=8, unit="s",
              empty="enabled"),
        [stat("arrival", "Next live dump in", f"({lead('next_arrival_timestamp_seconds')} > 0) - time()",
             "When the live dump is expected, as learned from the landing bucket. The rule must be enabled "
             "by then.", unit="s", empty="not known", width=4,
             steps=[(None, "red"), (0, "yellow"), (7200, "green")]),
         stat("rescue", "Rescue possible for",
             f"({lead('live_dump_rescue_deadline_timestamp_seconds')} > 0) - time()",
             "A live dump landed and fired nothing: how long its live run can still be started today.",
             unit="s", empty="nothing to rescue", width=4, steps=[(None, "red")])],
        bars("trigger_history", "Changes, overlaps, lost dumps", [
            ("{{action}}: {{result}}", counter("trigger_changes_total", "action, result", "$__rate_interval")),
            ("two loads at once", f"sum(increase(gapmend_overlapping_loads_total{{{OF}}}[$__rate_interval]))"),
            ("live dumps lost", f"sum(increase(gapmend_live_dumps_missed_total{{{OF}}}[$__rate_interval]))")],
             "What we asked of the rule and how AWS took it; two loads at once; live dumps lost to a hold.",
             width=24, decimals=0),
    ]


def scan_row() -> list:
    return [
        bars("scans", "Scans by outcome",
             [("{{outcome}}", counter("scans_total", "outcome", "$__rate_interval"))],
             "A blind scan could not read everything: it starts nothing and marks no date missing.", width=12,
             decimals=0, overrides=fixed_colours({"clear": "green", "blind": "orange"})),
        gauge_bars("scan_seconds", "Scan duration", [
            ("p50", quantile(0.5, "scan_duration_seconds", "job", OF, "$__range")),
            ("p95", quantile(0.95, "scan_duration_seconds", "job", OF, "$__range"))],
                   "The duration of a scan, in the time shown.", width=8, unit="s",
                   empty="no scan"),
        [stat("next_scan", "Next scan in",
             '(max(gapmend_schedule_next_scan_timestamp_seconds{job=~"$job"}) > 0) - time()',
             "The schedule's next slot.", unit="s", empty="none", width=4),
         stat("missed_slots", "Slots missed", f"sum(increase(gapmend_schedule_missed_slots_total{{{OF}}}[$__range]))",
             "Nights without a look, in the time shown; they are caught up by one.", width=4,
             steps=[(None, "green"), (0.5, "orange")], decimals=0)],
        table("modes", "Newest date, mode and names", [
            ("ready by", f"({lead('latest_due_ready_by_timestamp_seconds')} > 0) * 1000", "dateTimeAsIso"),
            ("mode", f"{lead('dataset_mode', by='dataset, mode')} == 1", None),
            ("names", lead("dataset_info", by="dataset, rule, landing"), None),
        ], "What each dataset may do, what its rule is called, where its dumps land.", width=24, height=5),
    ]


def aws_row() -> list:
    return [
        lines("aws", "Calls", [
            ("{{service}}", 'sum by (service) (rate(gapmend_aws_requests_total{job=~"$job"}[$__rate_interval])) > 0')],
              "Attempts at requests, by service; a retry is another attempt.", width=8, unit="reqps",
              empty="no calls"),
        bars("aws_errors", "Errors", [
            ("{{service}}:{{operation}} {{result}}",
             'sum by (service, operation, result) (increase(gapmend_aws_requests_total{job=~"$job",'
             'result!~"ok|not_found"}[$__rate_interval])) > 0')],
             "Attempts that failed, by operation and kind. That a thing is not there is an answer and no "
             "error.", width=8, empty="no errors"),
        lines("aws_seconds", "Request duration, p95", [
            ("{{service}}:{{operation}}",
             quantile(0.95, "aws_request_duration_seconds", "service, operation", 'job=~"$job"',
                      "$__rate_interval") + " > 0")],
              "How long an attempt takes, by operation.", width=8, unit="s", empty="no calls"),
    ]


def self_row() -> list:
    job = 'job=~"$job"'
    return [
        stat("config", "Configuration", f"min(gapmend_config_last_reload_successful{{{job}}})",
             "Whether the newest configuration is the one in use.",
             looks=[("refused", "red"), ("in use", "green")], width=5),
        stat("config_age", "Read", f"time() - max(gapmend_config_last_reload_success_timestamp_seconds{{{job}}})",
             "How long ago a good configuration was read.", unit="s", width=5),
        stat("version", "Version", f"max by (version, revision) (gapmend_build_info{{{job}}})",
             "Which gapmend this is.", text="name", legend="{{version}} {{revision}}", width=5),
        stat("uptime", "Up for", f"time() - max(process_start_time_seconds{{{job}}}"
             " and on (job, instance) gapmend_build_info)",
             "Since the process began.", unit="s", width=5),
        stat("tick", "Loop turned", f"time() - max(gapmend_loop_last_tick_timestamp_seconds{{{job}}})",
             "How long ago the loop last turned; it does at least once a minute.", unit="s", width=4,
             steps=[(None, "green"), (120, "yellow"), (600, "red")]),
        lines("ledger", "Ledger entries", [("entries", f"max(gapmend_ledger_entries{{{job}}})")],
              "Every decision is an entry. A steep climb means that something is tried again and again.",
              width=5, decimals=0),
        bars("ledger_errors", "Ledger errors", [
            ("{{operation}}", f"sum by (operation) (increase(gapmend_ledger_errors_total{{{job}}}[$__rate_interval]))")],
             "Failures of the ledger's store. While it cannot be written nothing is started.", width=5,
             decimals=0),
        lines("memory", "Memory", [("{{instance}}", f"process_resident_memory_bytes{{{job}}}")],
              "Resident memory.", width=5, unit="bytes"),
        lines("cpu", "CPU", [("{{instance}}", f"rate(process_cpu_seconds_total{{{job}}}[$__rate_interval])")],
              "Cores in use.", width=5, unit="percentunit"),
        lines("files", "Open files", [("{{instance}}", f"process_open_fds{{{job}}}")],
              "File descriptors in use.", width=4, decimals=0),
    ]


def rows() -> list:
    return [
        Row(None, first_row()),
        Row("Lag and backlog", lag_row()),
        Row("Runs", run_row()),
        Row("Trigger and live dumps", trigger_row()),
        Row("Scans and schedule", scan_row()),
        Row("AWS", aws_row()),
        Row("gapmend itself", self_row()),
    ]


def panel_ids() -> dict:
    return {panel["key"]: panel["id"] for panel in place(rows()) if "key" in panel}


def annotation(name: str, expr: str, title: str, colour: str) -> dict:
    return {
        "name": name, "datasource": DS, "enable": True, "hide": False, "iconColor": colour,
        "expr": expr, "titleFormat": title, "useValueForTime": True, "step": "60s",
        "target": {"refId": name.replace(" ", ""), **prom(expr)},
    }


def annotations() -> list:
    builtin = {
        "builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True,
        "hide": True, "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts",
        "type": "dashboard",
    }
    return [
        builtin,
        annotation("Runs", f"({lead('run_last_start_timestamp_seconds')} > 0) * 1000",
                   "A run of {{dataset}} began", "blue"),
        annotation("Holds", f"({lead('trigger_held_since_timestamp_seconds')} > 0) * 1000",
                   "The trigger of {{dataset}} is held", "yellow"),
        annotation("Starts", 'max by (instance) (process_start_time_seconds{job=~"$job"}'
                   " and on (job, instance) gapmend_build_info) * 1000", "gapmend began on {{instance}}",
                   "purple"),
    ]


def variable(name: str, label: str, query: str, multi: bool) -> dict:
    made = {
        "name": name, "label": label, "type": "query", "datasource": DS, "definition": query,
        "query": {"query": query, "refId": f"variable-{name}"}, "refresh": 2, "sort": 1, "regex": "",
        "hide": 0, "skipUrlSync": False, "multi": multi, "includeAll": multi, "options": [],
    }
    current = {"selected": True, "text": ["All"], "value": ["$__all"]} if multi else {"text": "", "value": ""}
    return made | {"current": current}


def variables() -> list:
    source = {
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "refresh": 1, "regex": "", "hide": 0, "skipUrlSync": False, "multi": False,
        "includeAll": False, "options": [],
        "current": {"selected": False, "text": "gapmend", "value": DATASOURCE},
    }
    page = {
        "name": "status_page", "label": "Status page", "type": "textbox", "hide": 2,
        "skipUrlSync": False, "query": "http://127.0.0.1:9464", "options": [],
        "current": {"text": "http://127.0.0.1:9464", "value": "http://127.0.0.1:9464"},
    }
    return [
        source,
        variable("job", "Job", "label_values(gapmend_build_info, job)", True),
        variable("dataset", "Dataset", 'label_values(gapmend_dataset_info{job=~"$job"}, dataset)', True),
        page,
    ]


def link(title: str, url: str, icon: str) -> dict:
    return {
        "title": title, "type": "link", "url": url, "icon": icon, "tooltip": title, "tags": [],
        "asDropdown": False, "includeVars": False, "keepTime": False, "targetBlank": True,
    }


def dashboard(runbooks: str) -> dict:
    panels = [{key: value for key, value in panel.items() if key != "key"} for panel in place(rows())]
    return {
        "uid": DASHBOARD,
        "title": "gapmend",
        "description": "Which dates of the raw zone are missing, what gapmend does about them, and whether "
                       "the live ingestion is safe.",
        "tags": ["gapmend"],
        "schemaVersion": 39,
        "version": 1,
        "id": None,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "utc",
        "time": {"from": "now-7d", "to": "now"},
        "timepicker": {},
        "refresh": "1m",
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "monday",
        "links": [
            link("Status page", "${status_page}/", "external link"),
            link("Runbooks", f"{runbooks}/README.md", "doc"),
        ],
        "templating": {"list": variables()},
        "annotations": {"list": annotations()},
        "panels": panels,
    }

