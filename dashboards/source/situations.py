"""What operators meet: restarts, replaced instances, two environments, days of silence.

Each is a test of its own, minute by minute, beside the cases of `cases.py`: its series, and at
some minutes the alerts that must fire and those that must not. Series are written as promtool
has them, with the labels that a scrape would give.
"""

from dataclasses import dataclass

H = 60
DAY = 24 * H


@dataclass
class Situation:
    what: str
    series: dict      # name with labels -> values
    checks: list      # (minute, those that fire, those that do not)

    def is_long(self) -> bool:
        """Longer than nine hours: evaluated every four minutes, or promtool takes minutes."""
        return max(minute for minute, _, _ in self.checks) > 9 * H


def s(name: str, values: str, **labels: str) -> dict:
    shown = {"job": "gapmend", "instance": "one"} | labels
    return {name + "{" + ",".join(f'{key}="{value}"' for key, value in shown.items() if value) + "}": values}


def d(name: str, values: str, **labels: str) -> dict:
    return s(name, values, dataset=labels.pop("dataset", "feed"), **labels)


def of(value, minutes: int) -> str:
    """A value for so many minutes."""
    return f"{value}x{minutes - 1}" if minutes > 1 else str(value)


def after(minutes: int, *parts: str) -> str:
    """Nothing for so many minutes, and then."""
    return " ".join([f"_x{minutes}", *parts])


def clock(minutes: int, begin: int = 0) -> str:
    """A timestamp that is always now."""
    return f"{begin * 60}+60x{minutes - 1}"


def process(minutes: int, begin: int = 0, acting: int = 1, **labels: str) -> dict:
    """What a process shows of itself, from minute `begin` for so many minutes."""
    late = (lambda values: after(begin, values)) if begin else (lambda values: values)
    return (
        s("gapmend_build_info", late(of(1, minutes)), version="1", revision="r", **labels)
        | s("gapmend_acting", late(of(acting, minutes)), **labels)
        | s("gapmend_loop_last_tick_timestamp_seconds", late(clock(minutes, begin)), **labels)
        | s("process_start_time_seconds", late(of(begin * 60 - (0 if begin else 864000), minutes)), **labels)
    )


def replaced(name: str, first: str, minutes: int, gap: int, second: str, **labels: str) -> dict:
    """A series of instance one, which ends, and of instance two after a gap."""
    two = labels | {"instance": "two", "pod": "gapmend-b"}
    return (d(name, first, **(labels | {"pod": "gapmend-a"}))
            | d(name, after(minutes + gap, second), **two))


def born(name: str, **labels: str) -> dict:
    """A counter of two instances: 1 since long on the first, and born at 1 on the second."""
    maker = s if labels.pop("process", "") else d
    return (maker(name, of(1, 6 * H), **labels)
            | maker(name, after(6 * H + 5, of(1, 2 * H)), **(labels | {"instance": "two"}))
            | process(6 * H) | process(2 * H, 6 * H + 5, instance="two"))


def once(alert: str, name: str, window: int, fires: bool = True, **labels: str) -> list:
    """The first event comes before the first scrape: of a new process, and of a replaced one."""
    soon, end = 6 * H + 5 + 20, 6 * H + 5 + 2 * H - 1
    quiet_before = 6 * H - 1
    maker = s if "process" in labels else d
    plain = {key: value for key, value in labels.items() if key != "process"}
    found = [Situation(
        f"{alert}: one event before the first scrape of a replaced instance, whose predecessor counted one long ago",
        born(name, **labels),
        [(quiet_before, set(), {alert}), (soon, {alert} if fires else set(), set() if fires else {alert})],
    )]
    if fires:
        begun = process(6 * H) | process(2 * H, 6 * H + 5, instance="two")
        found.append(Situation(
            f"{alert}: one event before the first scrape after a restart at the same address",
            process(6 * H) | {key: value + " " + after(5, of(1, 2 * H)) for key, value in
                              maker(name, of(0, 6 * H), **plain).items()},
            [(quiet_before, set(), {alert}), (soon, {alert}, set())],
        ))
        found.append(Situation(
            f"{alert}: a replaced instance that counted nothing",
            begun | maker(name, of(1, 6 * H), **plain)
            | maker(name, after(6 * H + 5, of(0, 2 * H)), **(plain | {"instance": "two"})),
            [(minute, set(), {alert}) for minute in (soon, end)],
        ))
    return found


TICKETS = {"GapmendNoDump", "GapmendDatesDamaged"}
NO_TRIGGER = {"GapmendTriggerOffBeforeDump", "GapmendTriggerDisabledByOther", "GapmendTriggerUnseen",
              "GapmendHoldUnattended", "GapmendHoldOverdue", "GapmendLiveDumpStranded"}


def kept_by_ledger(alert: str, name: str) -> list:
    return [
        Situation(f"{alert}: a replaced instance shows the ledger's old total",
                  process(30 * H) | process(2 * H, 30 * H + 5, instance="two")
                  | d(name, of(3, 30 * H)) | d(name, after(30 * H + 5, of(3, 2 * H)), instance="two"),
                  [(minute, set(), {alert}) for minute in (30 * H - 1, 30 * H + 20, 31 * H)]),
        Situation(f"{alert}: the first event comes before the first scrape of a replaced instance",
                  process(30 * H) | process(2 * H, 30 * H + 5, instance="two")
                  | d(name, of(0, 30 * H)) | d(name, after(30 * H + 5, of(1, 2 * H)), instance="two"),
                  [(30 * H - 1, set(), {alert}), (30 * H + 10, {alert}, set())]),
        Situation(f"{alert}: a counter that is born at one, without any history",
                  process(2 * H, 10) | d(name, after(10, of(1, 2 * H))),
                  [(20, {alert}, set())]),
        Situation(f"{alert}: two days down, and the ledger has one more",
                  process(1 * H) | process(1 * H, 49 * H, instance="two")
                  | d(name, of(2, H)) | d(name, after(49 * H, of(3, H)), instance="two"),
                  [(H - 1, set(), {alert}), (49 * H + 10, {alert}, set())]),
    ]


SITUATIONS = [
    # ---- the first event after a restart ---------------------------------------------------
    *once("GapmendScanMissed", "gapmend_schedule_missed_slots_total", 6 * H),
    *once("GapmendPermissionDenied", "gapmend_aws_requests_total", H, process="1", service="glue",
          operation="GetTables", result="denied"),
    *kept_by_ledger("GapmendLoadsOverlapped", "gapmend_overlapping_loads_total"),
    *kept_by_ledger("GapmendLiveDumpMissed", "gapmend_live_dumps_missed_total"),
    *once("GapmendLedgerErrors", "gapmend_ledger_errors_total", 15, fires=False, process="1", operation="create"),
    *once("GapmendTriggerChangeFailed", "gapmend_trigger_changes_total", 30, fires=False, action="enable",
          result="error"),
    *once("GapmendRunsFailing", "gapmend_runs_total", DAY, fires=False, outcome="failed"),
    Situation("three failures, spread over a redeployment",
              process(4 * H) | process(2 * H, 4 * H + 8, instance="two", pod="b")
              | d("gapmend_runs_total", of(0, H) + " " + of(1, H) + " " + of(2, 2 * H), outcome="failed")
              | d("gapmend_runs_total", after(4 * H + 8, of(1, 2 * H)), outcome="failed", instance="two", pod="b"),
              [(4 * H - 1, set(), {"GapmendRunsFailing"}), (4 * H + 20, {"GapmendRunsFailing"}, set())]),
    Situation("two failures, spread over a redeployment",
              process(4 * H) | process(2 * H, 4 * H + 8, instance="two", pod="b")
              | d("gapmend_runs_total", of(0, H) + " " + of(1, 3 * H), outcome="failed")
              | d("gapmend_runs_total", after(4 * H + 8, of(1, 2 * H)), outcome="failed", instance="two", pod="b"),
              [(minute, set(), {"GapmendRunsFailing"}) for minute in (4 * H - 1, 4 * H + 20, 6 * H)]),
    Situation("AWS refuses to enable the rule, three times in a quarter of an hour",
              process(3 * H) | d("gapmend_trigger_changes_total", f"{of(0, H)} 1x4 2x4 {of(3, H)}", action="enable",
                                 result="error"),
              [(H - 1, set(), {"GapmendTriggerChangeFailed"}), (H + 20, {"GapmendTriggerChangeFailed"}, set()),
               (H + 60, set(), {"GapmendTriggerChangeFailed"})]),
    Situation("AWS refuses to enable the rule, once",
              process(3 * H) | d("gapmend_trigger_changes_total", f"{of(0, H)} {of(1, 2 * H)}", action="enable",
                                 result="error"),
              [(minute, set(), {"GapmendTriggerChangeFailed"}) for minute in range(H, H + 40, 5)]),
    Situation("the ledger fails once", process(2 * H) | s("gapmend_ledger_errors_total", f"{of(0, H)} {of(1, H)}",
                                                          operation="create"),
              [(minute, set(), {"GapmendLedgerErrors"}) for minute in range(H, H + 20, 2)]),
    Situation("the ledger fails every other minute", process(2 * H) | s(
        "gapmend_ledger_errors_total", of(0, H) + " " + " ".join(f"{n} {n}" for n in range(1, 30)),
        operation="get"), [(H + 20, {"GapmendLedgerErrors"}, set())]),
    # ---- a redeployment --------------------------------------------------------------------
    Situation("a ticket over a redeployment's gap of eight minutes",
              process(2 * H) | process(2 * H, 2 * H + 8, instance="two", pod="b")
              | replaced("gapmend_dates", of(2, 2 * H), 2 * H, 8, of(2, 2 * H), status="no_dump"),
              [(20, set(), {"GapmendNoDump"}), *((minute, {"GapmendNoDump"}, {"GapmendDown"})
                                                 for minute in range(2 * H, 2 * H + 20, 3))]),
    Situation("a redeployment in the waiting time of a ticket does not restart it",
              process(20) | process(2 * H, 28, instance="two", pod="b")
              | replaced("gapmend_dates", of(2, 20), 20, 8, of(2, 2 * H), status="no_dump"),
              [(28, set(), {"GapmendNoDump"}), (36, {"GapmendNoDump"}, set())]),
    Situation("a redeployment's gap of twenty minutes does not resolve a ticket",
              process(2 * H) | process(H, 2 * H + 20, instance="two")
              | d("gapmend_dates", of(2, 2 * H), status="partial")
              | d("gapmend_dates", after(2 * H + 20, of(2, H)), status="partial", instance="two"),
              [(minute, {"GapmendDatesDamaged"}, set()) for minute in (2 * H - 1, 2 * H + 15, 2 * H + 19, 2 * H + 25)]),
    Situation("a ticket resolves when its date is healed",
              process(4 * H) | d("gapmend_dates", of(1, 2 * H) + " " + of(0, 2 * H), status="no_dump"),
              [(2 * H - 1, {"GapmendNoDump"}, set()), (2 * H + 20, set(), {"GapmendNoDump"})]),
    Situation("a date is damaged for 25 minutes of the 30",
              process(2 * H) | d("gapmend_dates", f"{of(0, 30)} {of(1, 25)} {of(0, H)}", status="empty"),
              [(minute, set(), {"GapmendDatesDamaged"}) for minute in range(30, 80, 4)]),
    # ---- silence ---------------------------------------------------------------------------
    Situation("the daemon is down for two days and comes back",
              process(2 * H) | process(2 * H, 50 * H, instance="two")
              | d("gapmend_scan_last_success_timestamp_seconds", f"{of(3600, 2 * H)}")
              | d("gapmend_scan_last_success_timestamp_seconds", after(50 * H, of(50 * 3600, 2 * H)), instance="two")
              | d("gapmend_schedule_missed_slots_total", of(0, 2 * H))
              | d("gapmend_schedule_missed_slots_total", after(50 * H, of(1, 2 * H)), instance="two"),
              [(2 * H + 12, set(), {"GapmendDown", "GapmendNobodyActing"}),
               (2 * H + 25, {"GapmendDown"}, {"GapmendNobodyActing"}),
               (30 * H, {"GapmendDown", "GapmendNobodyActing"}, set()),
               (50 * H - 1, {"GapmendDown", "GapmendNobodyActing"}, set()),
               (50 * H + 20, {"GapmendScanMissed"}, {"GapmendDown", "GapmendNobodyActing"})]),
    Situation("an environment dies while another of the same job lives",
              process(H, environment="prod") | process(31 * H, environment="test", instance="two")
              | d("gapmend_scan_last_success_timestamp_seconds", of(1800, H), environment="prod")
              | d("gapmend_scan_last_success_timestamp_seconds", clock(31 * H), environment="test", instance="two"),
              [(H - 1, set(), {"GapmendDown"}), (H + 25, {"GapmendDown"}, set()),
               (30 * H, {"GapmendDown", "GapmendNobodyActing"}, {"GapmendTwoLeaders"})]),
    Situation("one of two environments at the same address dies: they differ by cluster only",
              process(H, cluster="a") | process(5 * H, cluster="b"),
              [(H + 30, {"GapmendDown"}, {"GapmendTwoLeaders"})]),
    Situation("the standby dies and the leader lives",
              process(5 * H) | process(H, instance="two", acting=0),
              [(3 * H, set(), {"GapmendDown", "GapmendNoLeader", "GapmendTwoLeaders"})]),
    Situation("the leader dies, and nobody takes over", process(H) | process(3 * H, instance="two", acting=0),
              [(H + 20, set(), {"GapmendNoLeader"}), (H + 40, {"GapmendNoLeader"}, {"GapmendDown"})]),
    Situation("the target cannot be scraped from its first day on, and another environment can",
              process(2 * H, environment="test") | s("up", of(0, 2 * H), environment="prod", instance="two"),
              [(10, set(), {"GapmendDown"}), (20, {"GapmendDown"}, set())]),
    Situation("a dataset left the configuration",
              process(60 * H) | d("gapmend_scan_last_success_timestamp_seconds", clock(60 * H), dataset="stays")
              | d("gapmend_scan_last_success_timestamp_seconds", of(60, 2 * H), dataset="goes")
              | d("gapmend_dates", of(3, 2 * H), dataset="goes", status="no_dump")
              | d("gapmend_trigger_disabled_since_timestamp_seconds", of(60, 2 * H), dataset="goes")
              | d("gapmend_next_arrival_timestamp_seconds", of(7200, 2 * H), dataset="goes"),
              [(2 * H - 1, {"GapmendNoDump", "GapmendTriggerOffBeforeDump"}, set()),
               (3 * H, set(), {"GapmendNoDump", "GapmendTriggerOffBeforeDump"}),
               (59 * H, set(), {"GapmendNobodyActing", "GapmendNoDump", "GapmendTriggerOffBeforeDump"})]),
    Situation("a dataset had left the configuration before the daemon died",
              process(10 * H) | d("gapmend_dates_behind", of(0, 10 * H), dataset="stays")
              | d("gapmend_dates_behind", of(0, 2 * H), dataset="goes")
              | d("gapmend_trigger_disabled_since_timestamp_seconds", of(60, 2 * H), dataset="goes")
              | d("gapmend_next_arrival_timestamp_seconds", of(7200, 2 * H), dataset="goes"),
              [(12 * H, {"GapmendDown"}, {"GapmendTriggerOffBeforeDump"})]),
    Situation("the last complete scan was 25 hours ago",
              process(30 * H) | d("gapmend_scan_last_success_timestamp_seconds", of(3600, 30 * H)),
              [(26 * H, set(), {"GapmendNobodyActing"}), (27 * H + 20, {"GapmendNobodyActing"}, set())]),
    Situation("a restart forgets the last complete scan, which was ten hours ago",
              process(10 * H) | process(5 * H, 10 * H + 2, instance="two")
              | d("gapmend_scan_last_success_timestamp_seconds", of(60, 10 * H))
              | d("gapmend_scan_last_success_timestamp_seconds", after(10 * H + 2, of(0, 5 * H)), instance="two"),
              [(12 * H, set(), {"GapmendNobodyActing"})]),
    Situation("the first scan of a first start is incomplete, and so are all after it",
              process(28 * H) | d("gapmend_scan_last_success_timestamp_seconds", of(0, 28 * H))
              | d("gapmend_scans_total", f"1+0x4 2+0x4 3+0x4 4+1x{28 * H}", outcome="blind"),
              [(20, set(), {"GapmendNobodyActing"}), (2 * H, {"GapmendScanBlind"}, {"GapmendNobodyActing"}),
               (27 * H, {"GapmendScanBlind", "GapmendNobodyActing"}, set())]),
    Situation("the first scan of a first start is incomplete, and the second is not",
              process(3 * H) | d("gapmend_scan_last_success_timestamp_seconds", f"{of(0, 10)} {of(600, 170)}")
              | d("gapmend_scans_total", of(1, 3 * H), outcome="blind"),
              [(minute, set(), {"GapmendScanBlind", "GapmendNobodyActing"}) for minute in (20, 50, 90, 150)]),
    # ---- the trigger -----------------------------------------------------------------------
    Situation("the rule is off and the daemon is dead, hours before the dump",
              process(H) | d("gapmend_trigger_disabled_since_timestamp_seconds", of(600, H))
              | d("gapmend_next_arrival_timestamp_seconds", of(6 * 3600, H))
              | d("gapmend_dataset_info", of(1, H), rule="r", event_bus="default", landing="s3://b/"),
              [(2 * H, {"GapmendDown"}, {"GapmendTriggerOffBeforeDump"}),
               (4 * H + 10, {"GapmendTriggerOffBeforeDump"}, set())]),
    Situation("the rule is on and the daemon is dead before the dump",
              process(H) | d("gapmend_trigger_disabled_since_timestamp_seconds", of(0, H))
              | d("gapmend_next_arrival_timestamp_seconds", of(6 * 3600, H)),
              [(5 * H, {"GapmendDown"}, {"GapmendTriggerOffBeforeDump"})]),
    Situation("the rule has been disabled by somebody else, over a redeployment",
              process(3 * H) | process(3 * H, 3 * H + 6, instance="two", pod="b")
              | replaced("gapmend_trigger_state", of(1, 3 * H), 3 * H, 6, of(1, 3 * H), state="disabled_by_other"),
              [(3 * H + 55, set(), {"GapmendTriggerDisabledByOther"}),
               (4 * H + 3, {"GapmendTriggerDisabledByOther"}, set())]),
    Situation("the rule was disabled by somebody else for three hours and a half",
              process(8 * H) | d("gapmend_trigger_state", f"{of(0, H)} {of(1, 210)} {of(0, 3 * H)}",
                                 state="disabled_by_other"),
              [(minute, set(), {"GapmendTriggerDisabledByOther"}) for minute in range(H, 7 * H, 20)]),
    Situation("the leader hangs in a hold while a standby ticks",
              process(H) | process(3 * H, acting=0, instance="two")
              | s("gapmend_acting", of(1, 3 * H), instance="three") | s("gapmend_build_info", of(1, 3 * H), instance="three")
              | s("gapmend_loop_last_tick_timestamp_seconds", clock(90) + " " + of(5340, 90), instance="three")
              | d("gapmend_trigger_held_since_timestamp_seconds", of(3600, 3 * H), instance="three")
              | d("gapmend_trigger_state", of(1, 3 * H), instance="three", state="held")
              | d("gapmend_trigger_state", of(1, 3 * H), instance="two", state="unknown"),
              [(89, set(), {"GapmendLoopStalled", "GapmendHoldUnattended"}),
               (90 + 30, {"GapmendLoopStalled", "GapmendHoldUnattended"}, {"GapmendTwoLeaders"})]),
    Situation("a hung leader shows old dates, and the one that took over shows none",
              process(4 * H, instance="two") | s("gapmend_acting", of(1, 4 * H))
              | s("gapmend_loop_last_tick_timestamp_seconds", of(60, 4 * H))
              | d("gapmend_dates", of(2, 4 * H), status="no_dump")
              | d("gapmend_dates", of(0, 4 * H), status="no_dump", instance="two"),
              [(3 * H, {"GapmendLoopStalled"}, {"GapmendNoDump", "GapmendTwoLeaders"})]),
    Situation("a feed without a trigger, healthy and then dead",
              process(2 * H) | d("gapmend_scan_last_success_timestamp_seconds", of(3600, 2 * H))
              | d("gapmend_dates", of(0, 2 * H), status="no_dump")
              | d("gapmend_next_arrival_timestamp_seconds", of(7200, 2 * H)),
              [(2 * H - 1, set(), NO_TRIGGER | {"GapmendNoDump"}), (5 * H, {"GapmendDown"}, NO_TRIGGER)]),
    Situation("the newest date is not complete, of a feed without a trigger, over a redeployment",
              process(100) | process(H, 106, instance="two")
              | replaced("gapmend_latest_due_ready_by_timestamp_seconds", of(5400, 100), 100, 6, of(5400, H))
              | replaced("gapmend_latest_due_dump_arrived", of(1, 100), 100, 6, of(1, H))
              | replaced("gapmend_latest_due_whole", of(0, 100), 100, 6, of(0, H))
              | replaced("gapmend_scan_last_success_timestamp_seconds", of(5460, 100), 100, 6, of(5460, H)),
              [(102, set(), {"GapmendNewestDateNotWhole"}), (110, {"GapmendNewestDateNotWhole"}, set())]),
    # ---- the rest --------------------------------------------------------------------------
    Situation("two services are throttled at once",
              process(3 * H) | {key: value for service in ("glue", "s3", "ecs") for key, value in (
                  s("gapmend_aws_requests_total", f"0+9x{3 * H}", service=service, operation="A", result="ok")
                  | s("gapmend_aws_requests_total", f"0+1x{3 * H}" if service != "ecs" else of(0, 3 * H),
                      service=service, operation="A", result="throttled")).items()},
              [(2 * H, {"GapmendThrottled"}, set())]),
    Situation("one throttled call in a quiet hour",
              process(3 * H) | s("gapmend_aws_requests_total", of(9, 3 * H), service="glue", operation="A", result="ok")
              | s("gapmend_aws_requests_total", of(0, H) + " " + of(1, 2 * H), service="glue", operation="A",
                  result="throttled"),
              [(minute, set(), {"GapmendThrottled"}) for minute in (H + 15, H + 40)]),
    Situation("tasks that are replaced four times within an hour",
              {key: value for at in range(4) for key, value in
               process(14, 60 + 15 * at, instance=f"t{at}").items()} | process(58),
              [(57, set(), {"GapmendRestarting"}), (112, {"GapmendRestarting"}, set())]),
    Situation("a rollout of a leader and its standby",
              process(2 * H) | process(2 * H, acting=0, instance="two")
              | process(H, 2 * H + 2, instance="three", acting=0) | process(H, 2 * H + 2, instance="four"),
              [(2 * H + 30, set(), {"GapmendRestarting", "GapmendTwoLeaders"})]),
    Situation("copied files of a date are unpublished for a day",
              process(27 * H) | d("gapmend_dates", of(1, 27 * H), status="unpublished"),
              [(23 * H, set(), {"GapmendDatesUnpublished", "GapmendDatesDamaged"}),
               (24 * H + 5, {"GapmendDatesUnpublished"}, set())]),
    Situation("an unpublished date is published in its night",
              process(30 * H) | d("gapmend_dates", f"{of(1, 20 * H)} {of(0, 10 * H)}", status="unpublished"),
              [(minute, set(), {"GapmendDatesUnpublished"}) for minute in (20 * H, 25 * H)]),
    Situation("a new flag, status, stage and reason that these rules do not know",
              process(9 * H) | d("gapmend_dates_flagged", of(1, 3 * H), flag="odd_volume")
              | d("gapmend_run_stage", of(1, 3 * H), stage="copy")
              | d("gapmend_stage_deadline_seconds", of(3600, 3 * H), stage="copy")
              | d("gapmend_run_stage_since_timestamp_seconds", of(1, 3 * H)),
              [(30, set(), {"GapmendRunStuck"}), (H + 40, {"GapmendDatesFlagged", "GapmendRunStuck"}, set())]),
    Situation("a stage in its deadline", process(3 * H) | d("gapmend_run_stage", of(1, 3 * H), stage="copy")
              | d("gapmend_stage_deadline_seconds", of(7200, 3 * H), stage="copy")
              | d("gapmend_run_stage_since_timestamp_seconds", of(1, 3 * H)),
              [(2 * H + 20, set(), {"GapmendRunStuck"})]),
]


def test(situation: Situation) -> dict:
    return {
        "name": situation.what,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in situation.series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) > bool 0 or vector(0)',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": int(name in fires)}],
            }
            for minute, fires, quiet in situation.checks
            for name in sorted(fires | quiet)
        ],
    }
