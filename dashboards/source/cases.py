"""What each alert is tried on: a healthy gapmend, and what differs in each case.

A case says which alerts fire and which one it is a near miss of. All that fire are compared,
so that a case for one alert also proves the silence of the others. `gate` refuses a list in
which an alert has no case that makes it fire, or no near miss.
"""

import re
from dataclasses import dataclass, field

from alerts import ALERTS
from promql import inlined
from situations import SITUATIONS

EVERY_SECONDS = 240               # a sample counts for five minutes
STEPS = 37                        # two hours and a half; longer stories are in situations.py
NOW = EVERY_SECONDS * STEPS       # the clock of these tests begins at 0
HOUR = 60


def steady(value) -> str:
    return f"{value}+0x{STEPS}"


def clock() -> str:
    """A timestamp that is always now."""
    return f"0+{EVERY_SECONDS}x{STEPS}"


def at(minutes: int) -> str:
    """A timestamp so many minutes from the end of the test."""
    return steady(NOW + minutes * 60)


def steps_of(minutes: int) -> int:
    steps, rest = divmod(minutes * 60, EVERY_SECONDS)
    assert rest == 0 and 0 < steps < STEPS, f"{minutes} minutes are no whole steps"
    return steps


def since(minutes: int, value, before=0) -> str:
    """A value that changed so many minutes before the end."""
    steps = steps_of(minutes)
    return f"{before}+0x{STEPS - steps - 1} {value}+0x{steps}"


def since_clock(minutes: int) -> str:
    """A timestamp of now that stands still since so many minutes."""
    steps = steps_of(minutes)
    ran = STEPS - steps - 1
    return f"0+{EVERY_SECONDS}x{ran} {ran * EVERY_SECONDS}+0x{steps}"


def gone(minutes: int, value=1) -> str:
    """A series that is not there any more since so many minutes."""
    steps = steps_of(minutes)
    return f"{value}+0x{STEPS - steps - 1} _x{steps}"


def climbing(per_step) -> str:
    """A counter."""
    return f"0+{per_step}x{STEPS}"


ABSENT = f"_x{STEPS}"


def states(metric: str, label: str, values: str, current: str) -> dict:
    return {f'{metric}{{{label}="{value}"}}': steady(int(value == current)) for value in values.split()}


DATES = "available waived not_due missing no_dump quarantined partial empty unregistered unpublished bad_dump"
STAGES = "preflight stage_dump load snapshot export copy publish verify"

HEALTHY = {
    "gapmend_build_info": steady(1),
    "gapmend_acting": steady(1),
    "gapmend_loop_last_tick_timestamp_seconds": clock(),
    "gapmend_config_last_reload_successful": steady(1),
    "process_start_time_seconds": steady(-86400),
    **{
        f'gapmend_ledger_errors_total{{operation="{operation}"}}': steady(0)
        for operation in ["create", "get"]
    },
    'gapmend_aws_requests_total{service="glue",operation="GetPartitions",result="ok"}': climbing(100),
    'gapmend_aws_requests_total{service="glue",operation="GetPartitions",result="denied"}': steady(0),
    'gapmend_aws_requests_total{service="glue",operation="GetPartitions",result="throttled"}': climbing(1),
}

HEALTHY_DATASET = {
    'gapmend_dataset_info{rule="live-rule",event_bus="default",landing="s3://landing/feed/"}': steady(1),
    **states("gapmend_dataset_mode", "mode", "observe allowlist auto", "auto"),
    **states("gapmend_trigger_state", "state", "enabled held disabled_by_other unknown", "enabled"),
    **states("gapmend_resting", "reason", "nothing_to_do paused frozen in_progress", "nothing_to_do"),
    **states("gapmend_dates", "status", DATES, "available"),
    **states("gapmend_dates_flagged", "flag", "regressed redelivered duplicated odd_volume", ""),
    **states("gapmend_run_stage", "stage", STAGES, ""),
    **{f'gapmend_stage_deadline_seconds{{stage="{stage}"}}': steady(14400) for stage in STAGES.split()},
    **{f'gapmend_scans_total{{outcome="{outcome}"}}': steady(1) for outcome in ["clear", "blind"]},
    **{f'gapmend_runs_total{{outcome="{o}"}}': steady(0) for o in ["succeeded", "failed", "void"]},
    **{
        f'gapmend_trigger_changes_total{{action="{action}",result="{result}"}}': steady(0)
        for action in ["disable", "enable"]
        for result in ["ok", "error"]
    },
    "gapmend_trigger_disabled_since_timestamp_seconds": steady(0),
    "gapmend_trigger_held_since_timestamp_seconds": steady(0),
    "gapmend_trigger_held_until_timestamp_seconds": steady(0),
    "gapmend_next_arrival_timestamp_seconds": at(14 * HOUR),
    "gapmend_live_dump_rescue_deadline_timestamp_seconds": steady(0),
    "gapmend_overlapping_loads_total": steady(1),
    "gapmend_live_dumps_missed_total": steady(1),
    "gapmend_latest_due_ready_by_timestamp_seconds": at(-4 * HOUR),
    "gapmend_latest_due_dump_arrived": steady(1),
    "gapmend_latest_due_whole": steady(1),
    "gapmend_scan_last_success_timestamp_seconds": at(-3 * HOUR),
    "gapmend_schedule_missed_slots_total": steady(0),
    "gapmend_dates_behind": steady(2),
    "gapmend_lag_objective_dates": steady(8),
    "gapmend_backfill_stopped": steady(0),
    "gapmend_queue_depth": steady(0),
    "gapmend_queue_oldest_enqueued_timestamp_seconds": steady(0),
    "gapmend_run_last_success_timestamp_seconds": at(-9 * HOUR),
    "gapmend_run_stage_since_timestamp_seconds": steady(0),
    "gapmend_paused_until_timestamp_seconds": steady(0),
}


@dataclass
class Case:
    what: str
    differs: dict
    fires: set = field(default_factory=set)
    near: str = ""          # the alert that this case almost fires
    job: str = "gapmend"


PAUSED = {
    "gapmend_paused_until_timestamp_seconds": at(30 * HOUR),
    **states("gapmend_resting", "reason", "nothing_to_do paused frozen in_progress", "paused"),
}
OBSERVING = states("gapmend_dataset_mode", "mode", "observe allowlist auto", "observe")
FROZEN = states("gapmend_resting", "reason", "nothing_to_do paused frozen in_progress", "frozen")
TRIGGER = ("gapmend_trigger_state", "state", "enabled held disabled_by_other unknown")
UNSEEN = states(*TRIGGER, "unknown")
OFF_FOR_HOURS = states(*TRIGGER, "disabled_by_other") | {
    "gapmend_trigger_disabled_since_timestamp_seconds": at(-6 * HOUR),
}
OFF = {
    'gapmend_trigger_state{state="disabled_by_other"}': since(48, 1),
    'gapmend_trigger_state{state="enabled"}': since(48, 0, 1),
    "gapmend_trigger_disabled_since_timestamp_seconds": at(-48),
}
HELD = {
    **states(*TRIGGER, "held"),
    "gapmend_trigger_disabled_since_timestamp_seconds": at(-50),
    "gapmend_trigger_held_since_timestamp_seconds": at(-50),
    "gapmend_trigger_held_until_timestamp_seconds": at(40),
}
LATE = {
    "gapmend_latest_due_whole": steady(0),
    "gapmend_scan_last_success_timestamp_seconds": at(-2 * HOUR),
}
WAITING = {
    "gapmend_queue_depth": steady(3),
    "gapmend_queue_oldest_enqueued_timestamp_seconds": at(-72 * HOUR),
    "gapmend_run_last_success_timestamp_seconds": at(-80 * HOUR),
}
LOADING = {
    **states("gapmend_run_stage", "stage", STAGES, "load"),
    **states("gapmend_resting", "reason", "nothing_to_do paused frozen in_progress", "in_progress"),
}


def dates(status: str, number: int) -> dict:
    return {f'gapmend_dates{{status="{status}"}}': steady(number)}


def all_gone(minutes: int) -> dict:
    """The process is away: every series of it ends."""
    values = {**HEALTHY, **HEALTHY_DATASET}
    steps = steps_of(minutes)
    return {name: f"{cut(value, STEPS - steps - 1)} _x{steps}" for name, value in values.items()}


def cut(value: str, steps: int) -> str:
    return re.sub(r"x\d+$", f"x{steps}", value)


CASES = [
    Case("a healthy night", {}),
    # the trigger, and the live dump
    Case("the rule is off, the dump is due in an hour and a half",
         OFF | {"gapmend_next_arrival_timestamp_seconds": at(90)}, {"GapmendTriggerOffBeforeDump"}),
    Case("our own hold, and the dump is due in an hour and a half",
         HELD | {"gapmend_next_arrival_timestamp_seconds": at(90)}, {"GapmendTriggerOffBeforeDump"}),
    Case("the rule is off and the dump's usual time is over",
         OFF | {"gapmend_next_arrival_timestamp_seconds": at(-20)}, {"GapmendTriggerOffBeforeDump"}),
    Case("nobody acts, and what was seen last is a rule that is off before the dump",
         OFF | {"gapmend_next_arrival_timestamp_seconds": at(90), "gapmend_acting": since(20, 0, 1)},
         {"GapmendTriggerOffBeforeDump"}),
    Case("the rule is off, the dump is due in three hours",
         OFF | {"gapmend_next_arrival_timestamp_seconds": at(180)}, near="GapmendTriggerOffBeforeDump"),
    Case("the rule is off, nobody knows when dumps come",
         OFF | {"gapmend_next_arrival_timestamp_seconds": steady(0)}, near="GapmendTriggerOffBeforeDump"),
    Case("the rule is on, the dump is due in an hour and a half",
         {"gapmend_next_arrival_timestamp_seconds": at(90)}, near="GapmendTriggerOffBeforeDump"),
    Case("a dump landed and fired nothing, forty minutes before midnight",
         OFF | {"gapmend_live_dump_rescue_deadline_timestamp_seconds": at(40)}, {"GapmendLiveDumpStranded"}),
    Case("a dump landed and fired nothing, and its day is over",
         OFF | {"gapmend_live_dump_rescue_deadline_timestamp_seconds": at(-2)},
         near="GapmendLiveDumpStranded"),
    Case("two loads at once", {"gapmend_overlapping_loads_total": since(32, 2, 1)}, {"GapmendLoadsOverlapped"}),
    Case("two loads at once, long ago: the ledger remembers, the alert does not",
         {"gapmend_overlapping_loads_total": steady(7)}, near="GapmendLoadsOverlapped"),
    Case("the live run failed", LATE, {"GapmendNewestDateNotWhole"}),
    Case("the live run failed, in mode observe, in a pause: that is what it watches for",
         LATE | OBSERVING | PAUSED, {"GapmendNewestDateNotWhole"}),
    Case("the live run has not come through, at a look before its time was over",
         LATE | {"gapmend_scan_last_success_timestamp_seconds": at(-5 * HOUR)},
         near="GapmendNewestDateNotWhole"),
    Case("the dump of the newest date never came: that is the supplier's",
         LATE | {"gapmend_latest_due_dump_arrived": steady(0)} | dates("no_dump", 1),
         {"GapmendNoDump"}, near="GapmendNewestDateNotWhole"),
    Case("the newest date is not due yet", LATE | {
        "gapmend_latest_due_ready_by_timestamp_seconds": at(30)}, near="GapmendNewestDateNotWhole"),
    Case("gapmend died while it held the trigger",
         all_gone(32) | {"gapmend_trigger_held_since_timestamp_seconds": gone(32, NOW - 3600)},
         {"GapmendHoldUnattended", "GapmendDown"}),
    Case("it holds the trigger and stands by", HELD | {"gapmend_acting": since(20, 0, 1)},
         {"GapmendHoldUnattended"}),
    Case("it holds the trigger and cannot see it", HELD | UNSEEN,
         {"GapmendHoldUnattended", "GapmendTriggerUnseen"}),
    Case("it holds the trigger and its loop does not turn",
         HELD | {"gapmend_loop_last_tick_timestamp_seconds": since_clock(32)},
         {"GapmendHoldUnattended", "GapmendLoopStalled"}),
    Case("it holds the trigger, as planned", HELD, near="GapmendHoldUnattended"),
    Case("the last clear look was 27 hours ago",
         {"gapmend_scan_last_success_timestamp_seconds": at(-27 * HOUR)}, {"GapmendNobodyActing"}),
    Case("the last clear look was 25 hours ago, and the process is away for ten minutes",
         all_gone(8) | {"gapmend_scan_last_success_timestamp_seconds": gone(8, NOW - 25 * 3600)},
         near="GapmendNobodyActing"),
    Case("there never was a gapmend", {name: ABSENT for name in {**HEALTHY, **HEALTHY_DATASET}},
         {"GapmendNobodyActing", "GapmendDown"}),
    # the data
    Case("two dates have no dump", dates("no_dump", 2), {"GapmendNoDump"}),
    Case("today's dump is not due", dates("not_due", 1), near="GapmendNoDump"),
    Case("nine dates behind", {"gapmend_dates_behind": steady(9)}, {"GapmendLagOverObjective"}),
    Case("nine dates behind, in mode observe: it still tells",
         {"gapmend_dates_behind": steady(9)} | OBSERVING, {"GapmendLagOverObjective"}),
    Case("eight dates behind, as agreed", {"gapmend_dates_behind": steady(8)}, near="GapmendLagOverObjective"),
    Case("nine dates behind, in a pause", {"gapmend_dates_behind": steady(9)} | PAUSED,
         near="GapmendLagOverObjective"),
    Case("nine dates behind, in a freeze", {"gapmend_dates_behind": steady(9)} | FROZEN,
         near="GapmendLagOverObjective"),
    Case("a date is quarantined", dates("quarantined", 1), {"GapmendDatesQuarantined"}),
    Case("a date is missing and will be healed", dates("missing", 1), near="GapmendDatesQuarantined"),
    Case("a date is half there", dates("partial", 1), {"GapmendDatesDamaged"}),
    Case("a dump cannot be loaded", dates("bad_dump", 1), {"GapmendDatesDamaged"}),
    Case("a date is waived", dates("waived", 1), near="GapmendDatesDamaged"),
    Case("a date has regressed", {'gapmend_dates_flagged{flag="regressed"}': steady(1)},
         {"GapmendDatesFlagged"}),
    Case("a date had regressed and came back",
         {'gapmend_dates_flagged{flag="regressed"}': since(20, 0, 1)}, near="GapmendDatesFlagged"),
    # the healing
    Case("the backfill stopped", {"gapmend_backfill_stopped": steady(1)}, {"GapmendBackfillStopped"}),
    Case("the backfill stopped, in mode observe", {"gapmend_backfill_stopped": steady(1)} | OBSERVING,
         near="GapmendBackfillStopped"),
    Case("the backfill stopped, in a pause", {"gapmend_backfill_stopped": steady(1)} | PAUSED,
         near="GapmendBackfillStopped"),
    Case("dates wait for three days, nothing was healed", WAITING, {"GapmendGapsNotHealing"}),
    Case("dates wait for three days, one was healed last night",
         WAITING | {"gapmend_run_last_success_timestamp_seconds": at(-9 * HOUR)},
         near="GapmendGapsNotHealing"),
    Case("dates wait for three days, in mode observe", WAITING | OBSERVING, near="GapmendGapsNotHealing"),
    Case("dates wait for three days, in a freeze", WAITING | FROZEN, near="GapmendGapsNotHealing"),
    Case("several runs failed", {'gapmend_runs_total{outcome="failed"}': since(88, 3)},
         {"GapmendRunsFailing"}),
    Case("two runs failed", {'gapmend_runs_total{outcome="failed"}': since(88, 2)}, near="GapmendRunsFailing"),
    Case("a load runs for almost five hours against a deadline of four",
         LOADING | {"gapmend_run_stage_since_timestamp_seconds": at(-290)}, {"GapmendRunStuck"}),
    Case("a load runs for three hours", LOADING | {
        "gapmend_run_stage_since_timestamp_seconds": at(-3 * HOUR)}, near="GapmendRunStuck"),
    # the trigger, for the morning
    Case("the rule cannot be seen", UNSEEN,
         {"GapmendTriggerUnseen"}),
    Case("one who stands by does not look at the rule", {
        'gapmend_trigger_state{state="unknown",instance="two"}': steady(1),
        'gapmend_acting{instance="two"}': steady(0)}, near="GapmendTriggerUnseen"),
    Case("a hold should have ended half an hour ago",
         HELD | {"gapmend_trigger_held_until_timestamp_seconds": at(-30)}, {"GapmendHoldOverdue"}),
    Case("a hold ends in ten minutes", HELD | {"gapmend_trigger_held_until_timestamp_seconds": at(10)},
         near="GapmendHoldOverdue"),
    Case("AWS refuses to enable the rule", {
        'gapmend_trigger_changes_total{action="enable",result="error"}': climbing(1)},
         {"GapmendTriggerChangeFailed"}),
    Case("the rule was disabled and enabled", {
        'gapmend_trigger_changes_total{action="enable",result="ok"}': since(32, 1),
        'gapmend_trigger_changes_total{action="enable",result="error"}': since(4, 1)},
         near="GapmendTriggerChangeFailed"),
    Case("a live dump was lost to a hold", {"gapmend_live_dumps_missed_total": since(60, 2, 1)},
         {"GapmendLiveDumpMissed"}),
    Case("a live dump was lost to a hold last year", {"gapmend_live_dumps_missed_total": steady(3)},
         near="GapmendLiveDumpMissed"),
    Case("a pause ends in three hours", PAUSED | {"gapmend_paused_until_timestamp_seconds": at(3 * HOUR)},
         {"GapmendPauseEnding"}),
    Case("a pause ends tomorrow", PAUSED, near="GapmendPauseEnding"),
    Case("a pause has ended", {"gapmend_paused_until_timestamp_seconds": at(-10)}, near="GapmendPauseEnding"),
    # gapmend itself
    Case("gapmend is away for half an hour", all_gone(32), {"GapmendDown"}),
    Case("gapmend is away for ten minutes, for a deployment", all_gone(8), near="GapmendDown"),
    Case("the loop stands still", {"gapmend_loop_last_tick_timestamp_seconds": since_clock(20)},
         {"GapmendLoopStalled"}),
    Case("the loop is slow", {"gapmend_loop_last_tick_timestamp_seconds": since_clock(8)},
         near="GapmendLoopStalled"),
    Case("nobody acts", {"gapmend_acting": since(60, 0, 1)}, {"GapmendNoLeader"}),
    Case("a second one stands by", {'gapmend_acting{instance="two"}': steady(0)}, near="GapmendNoLeader"),
    Case("two act", {'gapmend_acting{instance="two"}': steady(1)}, {"GapmendTwoLeaders"}),
    Case("one acts, as another did before it", {
        'gapmend_acting': since(60, 0, 1), 'gapmend_acting{instance="two"}': since(56, 1)} | {
        'gapmend_loop_last_tick_timestamp_seconds{instance="two"}': clock()}, near="GapmendTwoLeaders"),
    Case("the looks are blind for hours", {'gapmend_scans_total{outcome="blind"}': climbing(1)},
         {"GapmendScanBlind"}),
    Case("one look was blind, and the next one was not", {
        'gapmend_scans_total{outcome="blind"}': since(40, 2, 1),
        "gapmend_scan_last_success_timestamp_seconds": at(-35)}, near="GapmendScanBlind"),
    Case("two nights were missed", {"gapmend_schedule_missed_slots_total": since(20, 2)},
         {"GapmendScanMissed"}),
    Case("nights were missed before Prometheus began", {"gapmend_schedule_missed_slots_total": steady(2)},
         near="GapmendScanMissed"),
    Case("a bad configuration", {"gapmend_config_last_reload_successful": since(32, 0, 1)},
         {"GapmendConfigRefused"}),
    Case("a bad configuration, corrected at once", {"gapmend_config_last_reload_successful": since(4, 0, 1)},
         near="GapmendConfigRefused"),
    Case("the ledger cannot be written", {'gapmend_ledger_errors_total{operation="create"}': climbing(1)},
         {"GapmendLedgerErrors"}),
    Case("the ledger failed once", {'gapmend_ledger_errors_total{operation="create"}': since(12, 1)},
         near="GapmendLedgerErrors"),
    Case("a call is denied", {
        'gapmend_aws_requests_total{service="glue",operation="GetPartitions",result="denied"}': since(32, 3)},
         {"GapmendPermissionDenied"}),
    Case("a call was denied in the morning", {
        'gapmend_aws_requests_total{service="glue",operation="GetPartitions",result="denied"}': since(88, 3)},
         near="GapmendPermissionDenied"),
    Case("one call in ten is throttled", {
        'gapmend_aws_requests_total{service="glue",operation="GetPartitions",result="throttled"}': climbing(11)},
         {"GapmendThrottled"}),
    Case("one call in thirty is throttled", {
        'gapmend_aws_requests_total{service="glue",operation="GetPartitions",result="throttled"}': climbing(3)},
         near="GapmendThrottled"),
    Case("it began anew four times within the hour", {
        "process_start_time_seconds": f"-96400+0x{STEPS - 14} -96300+0x2 -96200+0x2 -96100+0x2 -96000+0x4"}, {"GapmendRestarting"}),
    Case("it began anew once", {"process_start_time_seconds": since(32, -96000, -96400)}, near="GapmendRestarting"),
]

ALWAYS = {"GapmendWatchdog"}


def series_of(case: Case) -> list:
    """Every series of the case, with the labels that a scrape adds."""
    values = {}
    for base, labels in [(HEALTHY, {}), (HEALTHY_DATASET, {"dataset": "feed"})]:
        for name, value in base.items():
            values[labelled(name, labels)] = value
    for name, value in case.differs.items():
        metric = name.split("{")[0]
        of_dataset = any(known.split("{")[0] == metric for known in HEALTHY_DATASET)
        values[labelled(name, {"dataset": "feed"} if of_dataset else {})] = value
    return [{"series": name, "values": value} for name, value in values.items() if value != ABSENT]


def labelled(name: str, more: dict) -> str:
    metric, _, rest = name.partition("{")
    labels = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    labels = {"job": "gapmend", "instance": "one"} | more | labels
    return metric + "{" + ",".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}"


def promtool(rules: str, cases: list) -> dict:
    gate()
    return {
        "rule_files": [rules],
        "evaluation_interval": f"{EVERY_SECONDS}s",
        "tests": [test(case) for case in cases],
    }


def test(case: Case) -> dict:
    firing = sorted(case.fires | ALWAYS)
    return {
        "name": case.what,
        "interval": f"{EVERY_SECONDS}s",
        "input_series": series_of(case),
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{NOW}s",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing
                ],
            }
        ],
    }


def gate() -> None:
    """Every alert has a case that makes it fire and a near miss, and no case names another."""
    names = {alert.name for alert in ALERTS}
    checks = [check for situation in SITUATIONS for check in situation.checks]
    fires = set().union(*(case.fires for case in CASES), *(fires for _, fires, _ in checks)) | ALWAYS
    near = {case.near for case in CASES if case.near}.union(*(quiet for _, _, quiet in checks)) | ALWAYS
    unknown = (fires | near) - names
    untried = [f"{name} is never made to fire" for name in sorted(names - fires)]
    untried += [f"{name} has no near miss" for name in sorted(names - near)]
    untried += [f"{name} is no alert" for name in sorted(unknown)]
    for case in CASES:
        if case.near in case.fires:
            untried.append(f"{case.what}: fires what it should nearly fire")
        if case.near and not (touched(case) & used(case.near)):
            untried.append(f"{case.what}: differs in nothing that {case.near} reads")
    if untried:
        raise SystemExit("dashboards/source/cases.py: " + "; ".join(untried))


def touched(case: Case) -> set:
    return {name.split("{")[0] for name in case.differs}


def used(alert_name: str) -> set:
    expr = inlined(next(alert.expr for alert in ALERTS if alert.name == alert_name))
    return set(re.findall(r"\b(?:gapmend|process)_\w+", expr))
