"""The alerts, once: both rule files and the list of runbooks are made from this.

What each of them means to an operator is in docs/runbooks/NAME.md. Texts are written in
Prometheus' template language; the form for Grafana is derived in `forms.py`.

`urgency` is one of `page` (wakes a person), `ticket` (the next morning), `note` (for information)
and `none` (the watchdog); `make.py --severity` says what label each becomes.
"""

from dataclasses import dataclass

from promql import (
    AT_REST, LAST_SCAN, QUIET, SCANNED, STALLED, any_of, events, heard, last_seen, ledger_events, now, one,
    over_instances, record, without_label,
)

# Thresholds, in seconds where a name does not say otherwise.
BEFORE_DUMP = 2 * 3600          # the rule must be enabled so long before the live dump lands
SILENCE = 26 * 3600             # a nightly scan and two hours
PAUSE_ENDS_WITHIN = 4 * 3600    # an operator is told so long before a pause ends
NOT_HEALING = 48 * 3600         # two nights without a healed date, although some are queued
PAST_DEADLINE = 1800            # a stage's own deadline, and so much more
PAST_HOLD = 600                 # a hold's own end, and so much more
FAILED_RUNS = 3                 # in a day
AGAIN_AND_AGAIN = 3             # errors, in the alert's window
RESTARTS = 3                    # in an hour
THROTTLED_SHARE = 0.05          # of all attempts in an hour
THROTTLED_CALLS = 5             # and at least so many

# A firing alert stays so long after its condition ended: a redeployment resolves nothing.
KEEP = "15m"


@dataclass(frozen=True)
class Alert:
    name: str
    urgency: str
    expr: str
    wait: str       # how long the expression must hold: `for`
    summary: str    # one constant sentence
    text: str       # what it is and what to do, with the labels and the value
    panel: str      # the key of the dashboard's panel that shows it
    audience: str = "operations"
    keep: str = KEEP


def unless_quiet(expr: str) -> str:
    return f"({expr}) unless {QUIET}"


# The names that an operator's commands need, as labels.
NAMES = "rule, event_bus, landing"
NAMED = record(
    "gapmend:names",
    f"topk without ({NAMES}) (1, {over_instances('max', 'last_over_time(gapmend_dataset_info[7d])')})",
)


def with_names(expr: str) -> str:
    """Adds them where they are known."""
    named = f"({expr}) * ignoring ({NAMES}) group_left ({NAMES}) {NAMED}"
    return f"{named} or (({expr}) unless ignoring ({NAMES}) {NAMED})"


DISABLED = f"{last_seen('gapmend_trigger_disabled_since_timestamp_seconds')} != 0"
ARRIVAL = f"{last_seen('gapmend_next_arrival_timestamp_seconds')} != 0"
STATE = "gapmend_trigger_state"
# A leader whose loop turns has read the rule.
ATTENDED = record(
    "gapmend:trigger_attended",
    over_instances(
        "max",
        "(" + heard('gapmend_trigger_state{state!="unknown"}', "state") + ") == 1"
        " unless ignoring (dataset, state) (gapmend_acting == 0)"
        f" unless ignoring (dataset, state) ({STALLED})",
        "state",
    ),
)
STARTS = "process_start_time_seconds"
OURS = "ignoring (version, revision) last_over_time(gapmend_build_info[1h])"
HOURS = SILENCE // 3600
EXISTED = over_instances("max", f"present_over_time({SCANNED}[6d] offset {HOURS}h)")
THROTTLED = record("gapmend:aws_throttled:1h", over_instances(
    "sum", 'increase(gapmend_aws_requests_total{result="throttled"}[1h])', "operation", "result"))
REQUESTS = record("gapmend:aws_requests:1h", over_instances(
    "sum", "increase(gapmend_aws_requests_total[1h])", "operation", "result"))

ALERTS = [
    # ---- these wake a person -------------------------------------------------------------
    Alert(
        "GapmendTriggerOffBeforeDump", "page",
        with_names(f"({ARRIVAL}) - time() < {BEFORE_DUMP} and ({DISABLED})"),
        "5m",
        "The live trigger is off and the next live dump is less than two hours away.",
        "Rule {{ $labels.rule }} of {{ $labels.dataset }} is disabled, or was when gapmend last saw it, and the "
        "live dump is expected in {{ $value | humanizeDuration }}. If it lands first, that date's live ingestion "
        "does not happen. `gapmend --dataset {{ $labels.dataset }} trigger status` says who disabled it. If it "
        "was gapmend: `gapmend --dataset {{ $labels.dataset }} trigger release`. If no operator is working on it: "
        "`aws events enable-rule --name {{ $labels.rule }} --event-bus-name {{ $labels.event_bus }}`.",
        "trigger",
    ),
    Alert(
        "GapmendLiveDumpStranded", "page",
        with_names(f"{last_seen('gapmend_live_dump_rescue_deadline_timestamp_seconds')} > time()"),
        "5m",
        "A live dump landed while the trigger was off; it can still be rescued today.",
        "Today's dump of {{ $labels.dataset }} landed and started nothing. Its live run can be started until "
        "{{ $value | humanizeTimestamp }} and not later, for the task takes the day from its own clock. "
        "First `aws events enable-rule --name {{ $labels.rule }} --event-bus-name {{ $labels.event_bus }}`; "
        "a minute later copy the dump onto itself, which fires the rule: "
        "`aws s3 cp {{ $labels.landing }}KEY {{ $labels.landing }}KEY --metadata-directive REPLACE`, "
        "with the KEY that `aws s3 ls {{ $labels.landing }}` shows for today.",
        "trigger", keep="0m",
    ),
    Alert(
        "GapmendLoadsOverlapped", "page",
        ledger_events("gapmend_overlapping_loads_total", "6h", 21600) + " > 0",
        "0m",
        "Two loads ran at once: the data of two days may be mixed.",
        "Two load tasks of {{ $labels.dataset }} ran at the same time, and both write to one database. "
        "`gapmend --dataset {{ $labels.dataset }} history` names the dates. Stop what reads them, and do "
        "not let either be exported or published before a person has compared the two days.",
        "trigger_history", keep="0m",
    ),
    Alert(
        "GapmendNewestDateNotWhole", "page",
        f"time() - ({now('gapmend_latest_due_ready_by_timestamp_seconds')} != 0) > 0"
        f" and ({now('gapmend_latest_due_dump_arrived')} == 1)"
        f" and ({now('gapmend_latest_due_whole')} == 0)"
        f" and ({LAST_SCAN} > {now('gapmend_latest_due_ready_by_timestamp_seconds')})",
        "15m",
        "The newest date's dump arrived, and its data is incomplete past `ready_by`.",
        "The newest due date of {{ $labels.dataset }} should have been complete {{ $value | humanizeDuration }} "
        "ago. Its live ingestion failed or hangs. `gapmend --dataset {{ $labels.dataset }} scan` shows which "
        "tables lack it, `gapmend explain DATE` the evidence. gapmend does not run so recent a date by "
        "itself: see the ECS task and the Glue workflow of the live run.",
        "newest",
    ),
    Alert(
        "GapmendHoldUnattended", "page",
        f"{last_seen('gapmend_trigger_held_since_timestamp_seconds')} != 0 unless ({ATTENDED})",
        "10m",
        "gapmend holds the trigger, and no process that could release it is at work.",
        "gapmend disabled the trigger of {{ $labels.dataset }} at {{ $value | humanizeTimestamp }}. Since "
        "then it is gone, has no leader, or cannot read the rule. The dead man's switch enables the rule at its time. "
        "Do not wait for it: `gapmend --dataset {{ $labels.dataset }} trigger release`, from any machine "
        "that reaches AWS; then start `gapmend run` again.",
        "trigger", keep="0m",
    ),
    Alert(
        "GapmendNobodyActing", "page",
        f"time() - ({LAST_SCAN} != 0) > {SILENCE}"
        f" or ({LAST_SCAN} == 0 and {EXISTED}) + {SILENCE}"
        f" or absent_over_time({SCANNED}[{HOURS}h]) * {SILENCE}",
        "15m",
        "No complete scan for 26 hours: gapmend is down, has no leader, or its scans are incomplete.",
        "The last complete scan{{ if $labels.dataset }} of {{ $labels.dataset }}{{ end }} is "
        "{{ $value | humanizeDuration }} old or older. Gaps are not noticed, and nothing is healed. "
        "Is the process up (`/healthz`)? Is it the leader (`/readyz` says why not)? What can it not read: "
        "`gapmend check`, then its log.",
        "scan_age",
    ),
    # ---- these wait for the morning: the data ----------------------------------------------
    Alert(
        "GapmendNoDump", "ticket",
        f"{one(now('gapmend_dates', 'status'), 'status', 'no_dump')} > 0",
        "30m",
        "The supplier has not delivered a dump that was due.",
        "{{ $value }} dates of {{ $labels.dataset }} have no dump in the landing bucket. `gapmend --dataset "
        "{{ $labels.dataset }} scan` names them and the files to ask the supplier for. A dump that comes late "
        "goes in with `gapmend upload FILE --date DATE`; a date that will never come is waived in "
        "`backfill.waive`.",
        "dates", audience="supplier",
    ),
    Alert(
        "GapmendLagOverObjective", "ticket",
        f"({now('gapmend_dates_behind')} > {now('gapmend_lag_objective_dates')}) unless {AT_REST}",
        "1h",
        "The data is complete only up to a date that lies further back than agreed.",
        "{{ $labels.dataset }} is {{ $value }} expected dates behind, more than `window.lag_objective_dates`. "
        "The oldest gap keeps it there: `gapmend --dataset {{ $labels.dataset }} scan`, then "
        "`gapmend explain DATE` for the oldest one.",
        "lag",
    ),
    Alert(
        "GapmendDatesQuarantined", "ticket",
        f"{one(now('gapmend_dates', 'status'), 'status', 'quarantined')} > 0",
        "15m",
        "Dates failed as often as they may, or cannot be repeated safely.",
        "{{ $value }} dates of {{ $labels.dataset }} are quarantined: gapmend will not try them again. "
        "`gapmend explain DATE` shows the end of the task's log. When the cause is gone, `gapmend retry DATE`.",
        "dates",
    ),
    Alert(
        "GapmendDatesDamaged", "ticket",
        f"{any_of(now('gapmend_dates', 'status'), 'status', 'partial|empty|unregistered|bad_dump')} > 0",
        "30m",
        "Dates are incomplete, or their dump cannot be loaded.",
        "{{ $value }} dates of {{ $labels.dataset }} are {{ $labels.status }}. gapmend never runs them again "
        "unattended, for that would double what is there. `gapmend explain DATE` says what to purge, "
        "register or ask for.",
        "dates",
    ),
    Alert(
        "GapmendDatesUnpublished", "ticket",
        f"{one(now('gapmend_dates', 'status'), 'status', 'unpublished')} > 0",
        "24h",
        "Exported files of dates have not been published for a day.",
        "{{ $value }} dates of {{ $labels.dataset }} have files in the copy and no partition in the raw zone. "
        "gapmend publishes a date whose copy is complete by itself; these have waited for a day. "
        "`gapmend explain DATE` says why. Never load such a date again before its copied files are purged: "
        "that would double its rows.",
        "dates",
    ),
    Alert(
        "GapmendDatesFlagged", "ticket",
        f"{now('gapmend_dates_flagged', 'flag')} > 0",
        "30m",
        "Dates carry a flag, such as regressed, redelivered, duplicated or odd_volume.",
        "{{ $value }} dates of {{ $labels.dataset }} are flagged {{ $labels.flag }}. gapmend reports it and does "
        "nothing about it; `gapmend --dataset {{ $labels.dataset }} scan` names them, and "
        "`gapmend explain DATE` shows the evidence.",
        "flags",
    ),
    # ---- the healing ---------------------------------------------------------------------
    Alert(
        "GapmendBackfillStopped", "ticket",
        unless_quiet(f"{now('gapmend_backfill_stopped')} == 1"),
        "5m",
        "The backfill stopped itself after too many failures in a row.",
        "{{ $labels.dataset }} starts nothing any more, after `backfill.stop_after` failed runs in a row. "
        "`gapmend --dataset {{ $labels.dataset }} history` shows them. When the cause is gone: "
        "`gapmend --dataset {{ $labels.dataset }} resume`.",
        "failures",
    ),
    Alert(
        "GapmendGapsNotHealing", "ticket",
        unless_quiet(
            f"time() - {now('gapmend_queue_oldest_enqueued_timestamp_seconds')} > {NOT_HEALING}"
            f" and ({now('gapmend_queue_depth')} > 0)"
            f" and (time() - {now('gapmend_run_last_success_timestamp_seconds')} > {NOT_HEALING})"
        ),
        "1h",
        "Dates are queued, and none has been healed for two nights.",
        "Dates of {{ $labels.dataset }} have been queued for {{ $value | humanizeDuration }}, and no run has "
        "succeeded for two days. `gapmend --dataset {{ $labels.dataset }} plan` says what the first of them "
        "waits for.",
        "queue",
    ),
    Alert(
        "GapmendRunsFailing", "ticket",
        events("runs_failed", one("gapmend_runs_total", "outcome", "failed"), "1d", 86400, "outcome")
        + f" > {FAILED_RUNS - 0.5}",
        "0m",
        "Three or more runs have failed within a day.",
        "About {{ $value | humanize }} runs of {{ $labels.dataset }} failed within a day. `gapmend --dataset "
        "{{ $labels.dataset }} history` shows stage and reason of each; one reason for all of them points to "
        "the pipeline and not to the dumps.",
        "failures", keep="0m",
    ),
    Alert(
        "GapmendRunStuck", "ticket",
        f"time() - ({now('gapmend_run_stage_since_timestamp_seconds')} != 0)"
        f" - ignoring (stage) group_right () ({now('gapmend_stage_deadline_seconds', 'stage')}"
        f" and ({now('gapmend_run_stage', 'stage')} == 1)) > {PAST_DEADLINE}",
        "5m",
        "A run is in a stage for longer than the stage's deadline.",
        "The run of {{ $labels.dataset }} is {{ $value | humanizeDuration }} past the deadline of its stage "
        "{{ $labels.stage }}, which should have ended it. `gapmend --dataset {{ $labels.dataset }} status` "
        "says what it waits for; `gapmend cancel` ends it.",
        "deadlines",
    ),
    # ---- the trigger ----------------------------------------------------------------------
    Alert(
        "GapmendTriggerDisabledByOther", "ticket",
        with_names(without_label(f"{one(last_seen(STATE, 'state'), 'state', 'disabled_by_other')} == 1", "state")),
        "4h",
        "The live trigger has been disabled for hours, and not by gapmend.",
        "Rule {{ $labels.rule }} of {{ $labels.dataset }} is disabled, and not by gapmend, which never "
        "touches it then and starts nothing. Ask who is working on it. If no operator is: "
        "`aws events enable-rule --name {{ $labels.rule }} --event-bus-name {{ $labels.event_bus }}`.",
        "trigger",
    ),
    Alert(
        "GapmendTriggerUnseen", "ticket",
        f"{one(now(STATE, 'state'), 'state', 'unknown')} == 1",
        "1h",
        "gapmend cannot read the state of the live trigger.",
        "The state of the rule of {{ $labels.dataset }} has been unknown for an hour: no alert would fire if it "
        "were off. `gapmend --dataset {{ $labels.dataset }} trigger status` shows the error; usually it is "
        "the permission `events:DescribeRule` or the rule's name.",
        "trigger",
    ),
    Alert(
        "GapmendHoldOverdue", "ticket",
        f"time() - ({now('gapmend_trigger_held_until_timestamp_seconds')} != 0) > {PAST_HOLD}",
        "5m",
        "gapmend holds the trigger for longer than `max_hold`.",
        "The hold of {{ $labels.dataset }} should have ended {{ $value | humanizeDuration }} ago. "
        "`gapmend --dataset {{ $labels.dataset }} trigger release` ends it by hand; the log says why it did "
        "not end.",
        "trigger",
    ),
    Alert(
        "GapmendTriggerChangeFailed", "ticket",
        events("trigger_errors", one("gapmend_trigger_changes_total", "result", "error"), "30m", 1800, "action",
               "result")
        + f" > {AGAIN_AND_AGAIN - 0.5}",
        "5m",
        "AWS refuses, again and again, to enable or disable the trigger.",
        "gapmend could not {{ $labels.action }} the rule of {{ $labels.dataset }}: about {{ $value | humanize }} "
        "errors in half an hour. It goes on trying, and the dead man's switch stands behind it. "
        "`gapmend --dataset {{ $labels.dataset }} trigger status` shows the rule; the log has the error with "
        "AWS's request id.",
        "trigger_history",
    ),
    Alert(
        "GapmendLiveDumpMissed", "ticket",
        ledger_events("gapmend_live_dumps_missed_total", "1d", 86400) + " > 0",
        "0m",
        "A live dump landed in a hold of gapmend's and its day is past: that date has no live run.",
        "A live dump of {{ $labels.dataset }} was lost to a hold and could not be started again on its own day. "
        "The date is healed like any other gap, once it is `window.min_age_days` old; sooner with "
        "`gapmend heal --date DATE`, if that is safe. Find out why the hold met the dump.",
        "trigger_history", keep="0m",
    ),
    Alert(
        "GapmendPauseEnding", "note",
        f"({now('gapmend_paused_until_timestamp_seconds')} - time()) > 0 < {PAUSE_ENDS_WITHIN}",
        "5m",
        "A pause is about to end: gapmend will start runs again.",
        "The pause of {{ $labels.dataset }} ends in {{ $value | humanizeDuration }}. If the work that it was "
        "made for goes on, `gapmend --dataset {{ $labels.dataset }} pause --for 1d` prolongs it.",
        "pause", keep="0m",
    ),
    # ---- gapmend itself -------------------------------------------------------------------
    Alert(
        "GapmendDown", "ticket",
        over_instances("max", "last_over_time(gapmend_build_info[7d])", "version", "revision")
        + " unless " + over_instances("max", "gapmend_build_info", "version", "revision")
        + " or " + over_instances("max", 'up{job=~".*gapmend.*"}') + " == 0"
        " or absent_over_time(gapmend_build_info[7d])",
        "15m",
        "gapmend does not answer.",
        "No gapmend{{ if $labels.job }} of job {{ $labels.job }}{{ end }} has been scraped for a quarter of "
        "an hour. Is the process there (`systemctl status gapmend`, the service's ECS events)? A hold that "
        "was open has an alert of its own. A run in progress goes on in AWS, and the next start adopts it.",
        "alive",
    ),
    Alert(
        "GapmendLoopStalled", "ticket",
        over_instances("max", STALLED),
        "5m",
        "gapmend answers, but its loop hangs.",
        "The loop of a process of {{ $labels.job }} last turned {{ $value | humanizeDuration }} ago, and it should "
        "every minute. Keep the log, then restart it (`systemctl restart gapmend`): nothing is lost, the "
        "ledger has everything.",
        "alive",
    ),
    Alert(
        "GapmendNoLeader", "ticket",
        over_instances("max", "gapmend_acting") + " == 0",
        "30m",
        "gapmend is up as a standby only: there is no leader.",
        "No process of {{ $labels.job }} is the leader. `/readyz` says why: the ledger refuses, or another process "
        "took the newest epoch and is gone. `gapmend status` names which one took it last.",
        "alive",
    ),
    Alert(
        "GapmendTwoLeaders", "ticket",
        over_instances("sum", f"gapmend_acting == 1 unless ({STALLED})") + " > 1",
        "10m",
        "Two gapmends are leaders at once, so they do not share a ledger.",
        "{{ $value }} processes of {{ $labels.job }} are leaders. Over one ledger that cannot last; they have two, "
        "and do not know of each other's runs. Stop all but one, and compare their `ledger.url`.",
        "alive",
    ),
    Alert(
        "GapmendScanBlind", "ticket",
        f"time() - {LAST_SCAN} > 3600 and ("
        + events("scans_blind", one("gapmend_scans_total", "outcome", "blind"), "1h", 3600, "outcome",
                 drop=("outcome",)) + " > 0)",
        "30m",
        "Scans are incomplete: nothing is started, and no gap is noticed.",
        "The last complete scan of {{ $labels.dataset }}{{ if gt $value 1e9 }} was never, or is more than a week ago"
        "{{ else }} is {{ $value | humanizeDuration }} old{{ end }}, and the scans since then could not read "
        "everything. `gapmend --dataset {{ $labels.dataset }} scan` says what, and "
        "`gapmend check` what a person can do.",
        "scans",
    ),
    Alert(
        "GapmendScanMissed", "ticket",
        events("missed_slots", "gapmend_schedule_missed_slots_total", "6h", 21600) + " > 0",
        "0m",
        "Nights passed without a scan.",
        "About {{ $value | humanize }} slots of {{ $labels.dataset }} passed without a scan, and were caught up "
        "by one. The process was down, its machine slept, or its ledger was away. `gapmend --dataset "
        "{{ $labels.dataset }} status` shows the recent activity.",
        "scans", keep="0m",
    ),
    Alert(
        "GapmendConfigRefused", "ticket",
        now("gapmend_config_last_reload_successful", how="min") + " == 0",
        "5m",
        "The newest configuration is invalid; the old one is still in use.",
        "A changed configuration of {{ $labels.job }} was refused. `/readyz` and `gapmend config show` name "
        "file, line and key. A restart would fail: correct it first.",
        "config",
    ),
    Alert(
        "GapmendLedgerErrors", "ticket",
        events("ledger_errors", "gapmend_ledger_errors_total", "15m", 900, "operation", by_process=True)
        + f" > {AGAIN_AND_AGAIN - 0.5}",
        "5m",
        "The ledger cannot be read or written: nothing is started.",
        "The ledger of {{ $labels.job }} fails again and again at {{ $labels.operation }}. A hold is released "
        "all the same. Is the disk full, the bucket's policy changed? `gapmend status` and the log name the error.",
        "ledger",
    ),
    Alert(
        "GapmendPermissionDenied", "ticket",
        events("aws_denied", one("gapmend_aws_requests_total", "result", "denied"), "1h", 3600, "service",
               "operation", "result", by_process=True) + " > 0",
        "10m",
        "AWS denies gapmend a call.",
        "{{ $labels.service }}:{{ $labels.operation }} is denied. `gapmend check` names what is missing; "
        "`deploy/iam/` has the policy of each mode.",
        "aws_errors",
    ),
    Alert(
        "GapmendThrottled", "ticket",
        f"{THROTTLED} / ({REQUESTS} > 0) > {THROTTLED_SHARE} and {THROTTLED} >= {THROTTLED_CALLS}",
        "10m",
        "AWS throttles gapmend.",
        "{{ $value | humanizePercentage }} of the calls to {{ $labels.service }} are throttled. Others use "
        "up the account's limit, or `aws.max_in_flight` is too high for it.",
        "aws_errors",
    ),
    Alert(
        "GapmendRestarting", "ticket",
        over_instances(
            "sum",
            f"((changes({STARTS}[1h]) + 1) unless last_over_time({STARTS}[1d] offset 1h)"
            f" or changes({STARTS}[1h])) and {OURS}",
        ) + f" >= {RESTARTS}",
        "0m",
        "gapmend restarts again and again.",
        "{{ $labels.job }} began {{ $value }} times within an hour. The end of its log says why; "
        "`journalctl -u gapmend`, or the stopped tasks of its ECS service.",
        "alive",
    ),
    Alert(
        "GapmendWatchdog", "none",
        "vector(1)",
        "0m",
        "This alert always fires: route it to a dead man's service.",
        "While this arrives, Prometheus and the way of its alerts work. Route it to a dead man's service; "
        "it is the only one that can tell that everything else is silent.",
        "alive", keep="0m",
    ),
]
