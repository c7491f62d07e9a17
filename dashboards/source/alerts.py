"""The alerts, once: both rule files and the list of runbooks are made from this.

What each of them means to an operator is in docs/runbooks/NAME.md. Texts are written in
Prometheus' template language; the form for Grafana is derived in `forms.py`.

Severities: `page` wakes somebody, `ticket` can wait for the morning, `none` is the watchdog.
"""

from dataclasses import dataclass

# Thresholds, in seconds where a name does not say otherwise.
BEFORE_DUMP = 2 * 3600          # the rule must be enabled so long before the live dump lands
SILENCE = 26 * 3600             # a night's look and two hours: nobody acts
PAUSE_ENDS_WITHIN = 4 * 3600    # an operator is told so long before a pause ends
NOT_HEALING = 48 * 3600         # two nights without a healed date, although some wait
STALLED = 600                   # the loop turns at least once a minute
PAST_DEADLINE = 1800            # a stage's own deadline, and so much more
PAST_HOLD = 600                 # a hold's own end, and so much more
FAILED_RUNS = 3                 # in a day
RESTARTS = 3                    # in an hour
THROTTLED_SHARE = 0.05          # of all attempts


@dataclass(frozen=True)
class Alert:
    name: str
    severity: str
    expr: str
    wait: str       # how long the expression must hold: `for`
    summary: str    # one constant sentence
    text: str       # what it is and what to do, with the labels and the value
    panel: str      # the key of the dashboard's panel that shows it
    audience: str = "operations"


BY = "job, dataset"


def one(metric: str, **label: str) -> str:
    """The series of one value of a label."""
    return metric + "".join(f'{{{name}="{value}"}}' for name, value in label.items())


def any_of(metric: str, **label: str) -> str:
    """The series of several values of a label, as `a|b`."""
    return metric + "".join(f'{{{name}=~"{value}"}}' for name, value in label.items())


def of_leader(expr: str) -> str:
    """Only what the process says that acts: one that stands by shows old news, or none."""
    return f"{expr} and on (job, instance) (gapmend_acting == 1)"


def most(name: str, by: str = BY) -> str:
    """A gauge of the process that acts, without the labels that a restart changes."""
    return f"max by ({by}) ({of_leader(name)})"


def most_or_last(name: str) -> str:
    """The same; when nobody acts, what is still shown."""
    fallback = f"({name} unless on (job) (gapmend_acting == 1))"
    return f"max by ({BY}) (({of_leader(name)}) or {fallback})"


def counted(name: str, window: str, by: str = BY) -> str:
    return f"max by ({by}) (increase({name}[{window}]))"


# Where nothing is started on purpose, nobody is told that nothing is healed.
OBSERVING = f'max by ({BY}) (gapmend_dataset_mode{{mode="observe"}}) == 1'
PAUSED = f"max by ({BY}) (gapmend_paused_until_timestamp_seconds) > time()"
FROZEN = f'max by ({BY}) (gapmend_resting{{reason="frozen"}}) == 1'
QUIET = f"({OBSERVING} or {PAUSED} or {FROZEN})"


def unless_at_rest(expr: str) -> str:
    return f"({expr}) unless on ({BY}) {QUIET}"


def with_names(expr: str) -> str:
    """Adds the names that an operator's commands need, as labels."""
    names = f"topk by ({BY}) (1, gapmend_dataset_info)"
    return f"({expr}) * on ({BY}) group_left (rule, event_bus, landing) {names}"


DISABLED = f"{most_or_last('gapmend_trigger_disabled_since_timestamp_seconds')} > 0"
ARRIVAL = most_or_last("gapmend_next_arrival_timestamp_seconds")
ATTENDED = (
    f"max by ({BY}) (gapmend_trigger_state{{state!=\"unknown\"}}"
    " and on (job, instance) (gapmend_acting == 1)"
    f" and on (job, instance) (time() - gapmend_loop_last_tick_timestamp_seconds < {STALLED})) == 1"
)

ALERTS = [
    # ---- these wake somebody -----------------------------------------------------------
    Alert(
        "GapmendTriggerOffBeforeDump", "page",
        with_names(f"({ARRIVAL} > 0) - time() < {BEFORE_DUMP} and on ({BY}) ({DISABLED})"),
        "5m",
        "The live trigger is off and the next live dump is less than two hours away.",
        "Rule {{ $labels.rule }} of {{ $labels.dataset }} is disabled, and the live dump is expected in "
        "{{ $value | humanizeDuration }}. If it lands first, that date's live ingestion does not happen. "
        "See whose doing it is: `gapmend --dataset {{ $labels.dataset }} trigger status`. If it is ours: "
        "`gapmend --dataset {{ $labels.dataset }} trigger release`. If nobody is at work on it: "
        "`aws events enable-rule --name {{ $labels.rule }} --event-bus-name {{ $labels.event_bus }}`.",
        "trigger",
    ),
    Alert(
        "GapmendLiveDumpStranded", "page",
        with_names(f"{most_or_last('gapmend_live_dump_rescue_deadline_timestamp_seconds')} > time()"),
        "5m",
        "A live dump landed while the trigger was off; it can still be rescued today.",
        "Today's dump of {{ $labels.dataset }} landed and fired nothing. Its live run can be started until "
        "{{ $value | humanizeTimestamp }} and not later, for the task takes the day from its own clock. "
        "First `aws events enable-rule --name {{ $labels.rule }} --event-bus-name {{ $labels.event_bus }}`; "
        "a minute later write the dump onto itself, which fires the rule: "
        "`aws s3 cp {{ $labels.landing }}KEY {{ $labels.landing }}KEY --metadata-directive REPLACE`, "
        "with the KEY that `aws s3 ls {{ $labels.landing }}` shows for today.",
        "trigger",
    ),
    Alert(
        "GapmendLoadsOverlapped", "page",
        f"{counted('gapmend_overlapping_loads_total', '6h')} > 0",
        "0m",
        "Two loads ran at once: the data of two days may be mixed.",
        "Two load tasks of {{ $labels.dataset }} were alive together, and both write to one database. "
        "`gapmend --dataset {{ $labels.dataset }} history` names the dates. Stop what reads them, and do "
        "not let either be exported or published before somebody has compared the two days.",
        "trigger_history",
    ),
    Alert(
        "GapmendNewestDateNotWhole", "page",
        f"time() - ({most('gapmend_latest_due_ready_by_timestamp_seconds')} > 0) > 0"
        f" and on ({BY}) ({most('gapmend_latest_due_dump_arrived')} == 1)"
        f" and on ({BY}) ({most('gapmend_latest_due_whole')} == 0)"
        f" and on ({BY}) ({most('gapmend_scan_last_success_timestamp_seconds')}"
        f" > {most('gapmend_latest_due_ready_by_timestamp_seconds')})",
        "15m",
        "The newest date's dump arrived, and its data is not whole although its time is over.",
        "The newest due date of {{ $labels.dataset }} should have been whole {{ $value | humanizeDuration }} "
        "ago. Its live ingestion failed or hangs. `gapmend --dataset {{ $labels.dataset }} scan` shows which "
        "tables lack it, `gapmend explain DATE` what is known of it. gapmend does not run so young a date "
        "by itself: see the ECS task and the Glue workflow of the live run.",
        "newest",
    ),
    Alert(
        "GapmendHoldUnattended", "page",
        f"max by ({BY}) (last_over_time(gapmend_trigger_held_since_timestamp_seconds[1d])) > 0"
        f" unless on ({BY}) ({ATTENDED})",
        "10m",
        "The trigger is held, and nobody who could release it is at work.",
        "gapmend disabled the trigger of {{ $labels.dataset }} at {{ $value | humanizeTimestamp }}, and since "
        "then it is gone, blind, or without a leader. The dead man's switch enables the rule at its time. "
        "Do not wait for it: `gapmend --dataset {{ $labels.dataset }} trigger release`, from any machine "
        "that reaches AWS; then start `gapmend run` again.",
        "trigger",
    ),
    Alert(
        "GapmendNobodyActing", "page",
        f"time() - max by ({BY}) (last_over_time(gapmend_scan_last_success_timestamp_seconds[3d]))"
        f" > {SILENCE} or absent_over_time(gapmend_scan_last_success_timestamp_seconds[26h])"
        f" * {SILENCE}",
        "15m",
        "Nobody has seen the data for 26 hours: gapmend is gone, blind, or without a leader.",
        "The last look that saw everything{{ if $labels.dataset }} of {{ $labels.dataset }}{{ end }} is "
        "{{ $value | humanizeDuration }} old or older. Gaps are not noticed, and nothing is healed. "
        "Is the process up (`/healthz`)? Does it act (`/readyz` says why not)? What can it not see: "
        "`gapmend check`, then its log.",
        "scan_age",
    ),
    # ---- these wait for the morning: the data --------------------------------------------
    Alert(
        "GapmendNoDump", "ticket",
        f"{most(one('gapmend_dates', status='no_dump'))} > 0",
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
        f"({most('gapmend_dates_behind')} > {most('gapmend_lag_objective_dates')})"
        f" unless on ({BY}) ({PAUSED} or {FROZEN})",
        "1h",
        "The data is whole only up to a date that lies further back than agreed.",
        "{{ $labels.dataset }} is {{ $value }} expected dates behind, more than `window.lag_objective_dates`. "
        "The oldest gap keeps it there: `gapmend --dataset {{ $labels.dataset }} scan`, then "
        "`gapmend explain DATE` for the oldest one.",
        "lag",
    ),
    Alert(
        "GapmendDatesQuarantined", "ticket",
        f"{most(one('gapmend_dates', status='quarantined'))} > 0",
        "15m",
        "Dates failed as often as they may, or cannot be repeated safely.",
        "{{ $value }} dates of {{ $labels.dataset }} are quarantined: gapmend will not try them again. "
        "`gapmend explain DATE` shows the end of the task's log. When the cause is gone, `gapmend retry DATE`.",
        "dates",
    ),
    Alert(
        "GapmendDatesDamaged", "ticket",
        f"{most(any_of('gapmend_dates', status='partial|empty|unregistered|bad_dump'), f'{BY}, status')} > 0",
        "30m",
        "Dates are half there, or their dump cannot be loaded.",
        "{{ $value }} dates of {{ $labels.dataset }} are {{ $labels.status }}. They are never run again "
        "unattended, for that would double what is there. `gapmend explain DATE` says what to purge, "
        "register or ask for.",
        "dates",
    ),
    Alert(
        "GapmendDatesFlagged", "ticket",
        f"{most('gapmend_dates_flagged', f'{BY}, flag')} > 0",
        "30m",
        "Dates are flagged: regressed, redelivered, duplicated or odd_volume.",
        "{{ $value }} dates of {{ $labels.dataset }} are {{ $labels.flag }}. gapmend tells it and does "
        "nothing about it; `gapmend --dataset {{ $labels.dataset }} scan` names them.",
        "flags",
    ),
    # ---- the healing ---------------------------------------------------------------------
    Alert(
        "GapmendBackfillStopped", "ticket",
        unless_at_rest(f"{most('gapmend_backfill_stopped')} == 1"),
        "5m",
        "The backfill stopped itself after too many failures in a row.",
        "{{ $labels.dataset }} starts nothing any more, after `backfill.stop_after` failed runs in a row. "
        "`gapmend --dataset {{ $labels.dataset }} history` shows them. When the cause is gone: "
        "`gapmend --dataset {{ $labels.dataset }} resume`.",
        "failures",
    ),
    Alert(
        "GapmendGapsNotHealing", "ticket",
        unless_at_rest(
            f"time() - {most('gapmend_queue_oldest_enqueued_timestamp_seconds')} > {NOT_HEALING}"
            f" and on ({BY}) ({most('gapmend_queue_depth')} > 0)"
            f" and on ({BY}) (time() - {most('gapmend_run_last_success_timestamp_seconds')} > {NOT_HEALING})"
        ),
        "1h",
        "Dates wait to be healed, and none has been for two nights.",
        "Dates of {{ $labels.dataset }} have waited for {{ $value | humanizeDuration }}, and no run has "
        "succeeded for two days. `gapmend --dataset {{ $labels.dataset }} plan` says what the first of them "
        "waits for.",
        "queue",
    ),
    Alert(
        "GapmendRunsFailing", "ticket",
        f"{counted(one('gapmend_runs_total', outcome='failed'), '1d')} > {FAILED_RUNS - 0.5}",
        "0m",
        "Several runs have failed within a day.",
        "About {{ $value | humanize }} runs of {{ $labels.dataset }} failed within a day. `gapmend --dataset "
        "{{ $labels.dataset }} history` shows stage and reason of each; one reason for all of them is a "
        "fault of the pipeline and not of the dumps.",
        "failures",
    ),
    Alert(
        "GapmendRunStuck", "ticket",
        f"(time() - ({most('gapmend_run_stage_since_timestamp_seconds')} > 0))"
        f" - on ({BY}) group_right () max by ({BY}, stage)"
        f" (gapmend_stage_deadline_seconds and on (job, instance, dataset, stage) (gapmend_run_stage == 1))"
        f" > {PAST_DEADLINE}",
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
        with_names(f"{most(one('gapmend_trigger_state', state='disabled_by_other'))} == 1"),
        "4h",
        "Somebody else has had the live trigger disabled for hours.",
        "Rule {{ $labels.rule }} of {{ $labels.dataset }} is disabled, and not by gapmend, which never "
        "touches it then and starts nothing. Ask who is at work. When nobody is: "
        "`aws events enable-rule --name {{ $labels.rule }} --event-bus-name {{ $labels.event_bus }}`.",
        "trigger",
    ),
    Alert(
        "GapmendTriggerUnseen", "ticket",
        f"{most(one('gapmend_trigger_state', state='unknown'))} == 1",
        "1h",
        "The live trigger cannot be seen.",
        "The state of the rule of {{ $labels.dataset }} is unknown for an hour: nobody would be told if it "
        "were off. `gapmend --dataset {{ $labels.dataset }} trigger status` shows the error; usually it is "
        "the permission `events:DescribeRule` or the rule's name.",
        "trigger",
    ),
    Alert(
        "GapmendHoldOverdue", "ticket",
        f"time() - ({most('gapmend_trigger_held_until_timestamp_seconds')} > 0) > {PAST_HOLD}",
        "5m",
        "gapmend holds the trigger for longer than it may.",
        "The hold of {{ $labels.dataset }} should have ended {{ $value | humanizeDuration }} ago. "
        "`gapmend --dataset {{ $labels.dataset }} trigger release` ends it by hand; the log says why it was "
        "not ended.",
        "trigger",
    ),
    Alert(
        "GapmendTriggerChangeFailed", "ticket",
        f"{counted(one('gapmend_trigger_changes_total', result='error'), '30m', f'{BY}, action')} > 0",
        "10m",
        "AWS refuses to enable or to disable the trigger.",
        "gapmend could not {{ $labels.action }} the rule of {{ $labels.dataset }}, again and again. It goes "
        "on trying, and the dead man's switch stands behind it. `gapmend --dataset {{ $labels.dataset }} "
        "trigger status` shows the rule; the log has the error with AWS's request id.",
        "trigger_history",
    ),
    Alert(
        "GapmendLiveDumpMissed", "ticket",
        f"{counted('gapmend_live_dumps_missed_total', '1d')} > 0",
        "0m",
        "A live dump landed in a hold of ours and its day is over: that date has no live run.",
        "A live dump of {{ $labels.dataset }} was lost to a hold and could not be driven on its own day. "
        "The date is healed like any other gap, once it is `window.min_age_days` old; sooner with "
        "`gapmend heal --date DATE`, if that is safe. Find out why the hold met the dump.",
        "trigger_history",
    ),
    Alert(
        "GapmendPauseEnding", "ticket",
        f"({most('gapmend_paused_until_timestamp_seconds')} - time()) > 0"
        f" < {PAUSE_ENDS_WITHIN}",
        "5m",
        "A pause is about to end: gapmend will start runs again.",
        "The pause of {{ $labels.dataset }} ends in {{ $value | humanizeDuration }}. If the work that it was "
        "made for goes on, `gapmend --dataset {{ $labels.dataset }} pause --for 1d` prolongs it.",
        "pause",
    ),
    # ---- gapmend itself -------------------------------------------------------------------
    Alert(
        "GapmendDown", "ticket",
        "max by (job) (last_over_time(gapmend_build_info[1d]))"
        " unless on (job) max by (job) (gapmend_build_info)"
        " or absent_over_time(gapmend_build_info[1d])",
        "15m",
        "gapmend does not answer.",
        "No gapmend{{ if $labels.job }} of job {{ $labels.job }}{{ end }} has been scraped for a quarter of "
        "an hour. Is the process there (`systemctl status gapmend`, the service's ECS events)? A hold that "
        "was open is told apart. A run in progress goes on in AWS, and the next start takes it up.",
        "alive",
    ),
    Alert(
        "GapmendLoopStalled", "ticket",
        f"time() - max by (job) (gapmend_loop_last_tick_timestamp_seconds) > {STALLED}",
        "5m",
        "gapmend answers, but its loop does not turn.",
        "The loop of {{ $labels.job }} last turned {{ $value | humanizeDuration }} ago, and it should every "
        "minute. Keep the log, then restart it (`systemctl restart gapmend`): nothing is lost, the ledger "
        "has all.",
        "alive",
    ),
    Alert(
        "GapmendNoLeader", "ticket",
        "max by (job) (gapmend_acting) == 0",
        "30m",
        "gapmend is up and stands by: nobody acts.",
        "No process of {{ $labels.job }} acts. `/readyz` says why: the ledger refuses, or another process "
        "took the newest epoch and is gone. `gapmend status` names who took it last.",
        "alive",
    ),
    Alert(
        "GapmendTwoLeaders", "ticket",
        "sum by (job) (gapmend_acting) > 1",
        "10m",
        "Two gapmends act at once, so they do not share a ledger.",
        "{{ $value }} processes of {{ $labels.job }} act. Over one ledger that cannot last; they have two, "
        "and do not know of each other's runs. Stop all but one, and compare their `ledger.url`.",
        "alive",
    ),
    Alert(
        "GapmendScanBlind", "ticket",
        f"time() - {most('gapmend_scan_last_success_timestamp_seconds')} > 3600"
        f" and on ({BY}) ({counted(one('gapmend_scans_total', outcome='blind'), '1h')} > 0)",
        "30m",
        "The looks at the data are blind: nothing is started, and no gap is noticed.",
        "{{ $labels.dataset }} was last seen whole {{ $value | humanizeDuration }} ago, and the looks since "
        "could not see everything. `gapmend --dataset {{ $labels.dataset }} scan` says what, and "
        "`gapmend check` what a person can do.",
        "scans",
    ),
    Alert(
        "GapmendScanMissed", "ticket",
        f"{counted('gapmend_schedule_missed_slots_total', '1h')} > 0",
        "0m",
        "Nights passed without a look at the data.",
        "About {{ $value | humanize }} slots of {{ $labels.dataset }} passed without a scan, and were caught up "
        "by one. The process was down, paused by its machine, or its ledger was away. `gapmend --dataset "
        "{{ $labels.dataset }} status` shows the last passes.",
        "scans",
    ),
    Alert(
        "GapmendConfigRefused", "ticket",
        "min by (job) (gapmend_config_last_reload_successful) == 0",
        "5m",
        "The newest configuration is wrong; the old one is still in use.",
        "A changed configuration of {{ $labels.job }} was refused. `/readyz` and `gapmend config show` name "
        "file, line and key. A restart would fail: correct it first.",
        "config",
    ),
    Alert(
        "GapmendLedgerErrors", "ticket",
        "sum by (job, operation) (increase(gapmend_ledger_errors_total[15m])) > 0",
        "10m",
        "The ledger cannot be read or written: nothing is started.",
        "The ledger of {{ $labels.job }} fails at {{ $labels.operation }}. A hold is released all the same. "
        "Is the disk full, the bucket's policy changed? `gapmend status` and the log name the error.",
        "ledger",
    ),
    Alert(
        "GapmendPermissionDenied", "ticket",
        "sum by (job, service, operation)"
        " (increase(gapmend_aws_requests_total{result=\"denied\"}[1h])) > 0",
        "10m",
        "AWS denies gapmend a call.",
        "{{ $labels.service }}:{{ $labels.operation }} is denied. `gapmend check` names what is missing; "
        "`deploy/iam/` has the policy of each mode.",
        "aws_errors",
    ),
    Alert(
        "GapmendThrottled", "ticket",
        "sum by (job, service) (rate(gapmend_aws_requests_total{result=\"throttled\"}[30m]))"
        " / (sum by (job, service) (rate(gapmend_aws_requests_total[30m])) > 0)"
        f" > {THROTTLED_SHARE}",
        "30m",
        "AWS slows gapmend down.",
        "{{ $value | humanizePercentage }} of the calls to {{ $labels.service }} are throttled. Others use "
        "up the account's limit, or `aws.max_in_flight` is too high for it.",
        "aws_errors",
    ),
    Alert(
        "GapmendRestarting", "ticket",
        "max by (job) (changes(process_start_time_seconds[1h])"
        " and on (job, instance) last_over_time(gapmend_build_info[1h]))"
        f" >= {RESTARTS}",
        "0m",
        "gapmend is restarted again and again.",
        "{{ $labels.job }} began {{ $value }} times within an hour. The end of its log says why; "
        "`journalctl -u gapmend`, or the stopped tasks of its ECS service.",
        "alive",
    ),
    Alert(
        "GapmendWatchdog", "none",
        "vector(1)",
        "0m",
        "This alert always fires: send it to whatever tells when it stops.",
        "While this arrives, Prometheus and the way of its alerts work. Route it to a dead man's service; "
        "it is the only one that can tell that everything else is silent.",
        "alive",
    ),
]
