"""The building blocks of the alerts' expressions.

Three facts about gapmend shape them:

- A redeployment replaces `instance`, `pod` and their like. Every expression aggregates those
  labels away and keeps all others, so `namespace`, `cluster` or `environment` still tell two
  gapmends apart, whatever they are called.
- A standby shows old values, and a leader whose loop hangs shows stale ones. Both are muted
  while a healthy leader answers (`gapmend:muted`). Without one, everybody is heard.
- Counters begin at zero with each process, and the first event may come before the first
  scrape: `increase()` then sees nothing. `events` counts a series that did not exist before
  by its value. Two counters are kept by the ledger and continue; `ledger_events` compares them
  over all instances.

Recording rules carry what several alerts share. Grafana's form has them inlined.
"""

import re
from dataclasses import dataclass

# Labels that a replaced process changes.
REPLACED = (
    "instance, pod, container, container_id, endpoint, host, ip, node, task, task_arn, task_id,"
    " task_revision, TaskId, TaskDefinitionRevision, uid"
)
# A gap between two processes, while the last values still count.
GAP = "10m"
# So long the last values of a daemon that is gone are remembered.
MEMORY = "7d"
# So far back `events` asks whether a series existed before its window.
BEFORE = "3d"
STALLED_SECONDS = 600


@dataclass(frozen=True)
class Record:
    """A recording rule. With a `metric`, `@` stands for it, so that a matcher can be pushed down."""

    name: str
    expr: str
    metric: str = ""

    def of(self, matchers: str = "") -> str:
        return self.expr.replace("@", self.metric + matchers)


RECORDS: dict = {}


def record(name: str, expr: str, metric: str = "") -> str:
    """Registers a recording rule after those that it uses, once, and answers with its name."""
    made = RECORDS.setdefault(name, Record(name, expr, metric))
    assert made.expr == expr, f"{name} is two things"
    return name


def over_instances(how: str, expr: str, *more: str) -> str:
    return f"{how} without ({', '.join((REPLACED, *more))}) ({expr})"


def short(metric: str) -> str:
    return metric.removeprefix("gapmend_")


def heard(metric: str, *labels: str) -> str:
    """Without the instances that are muted. `labels` are the metric's own, beside `dataset`."""
    return f"{metric} unless ignoring ({', '.join(('dataset', *labels))}) {MUTED}"


def now(metric: str, *labels: str, how: str = "max") -> str:
    """A gauge over all instances; in a short gap, its last value."""
    last = over_instances(how, f"last_over_time(@[{GAP}])")
    return record(f"gapmend:{short(metric)}:now", f"{over_instances(how, heard('@', *labels))} or {last}", metric)


def last_seen(metric: str, *labels: str) -> str:
    """A gauge; of a daemon that is gone, what it showed at its end."""
    last = over_instances("max", f"last_over_time(@[{MEMORY}])")
    ended = f"ignoring ({', '.join(labels)}) {LEFT_BEHIND}" if labels else LEFT_BEHIND
    current = RECORDS[now(metric, *labels)].expr
    return record(f"gapmend:{short(metric)}:last", f"{current} or ({last} and {ended})", metric)


def events(name: str, metric: str, window: str, seconds: int, *labels: str, by_process: bool = False,
           drop: tuple = ()) -> str:
    """What a counter that begins anew with each process counted in a window, over all instances."""
    own = ", ".join(labels if by_process else ("dataset", *labels))
    last, before = f"last_over_time({metric}[{window}])", f"last_over_time({metric}[{BEFORE}] offset {window})"
    grown = f"increase({metric}[{window}])"
    counted = [
        f"({grown} and resets({metric}[{window}]) > 0)",
        # A series that did not exist before.
        f"({last} unless {before} unless {scraped_late(metric, window, seconds, own)})",
        f"({grown} > 0)",
        # A process that began in the window counted all it has in the window.
        f"({metric} and ignoring ({own}) (time() - process_start_time_seconds < {seconds}))",
        f"({last} - {before} >= 0)",  # over a gap
        f"({last} and {before})",  # begun anew over a gap
    ]
    return record(f"gapmend:{name}:events{window}", over_instances("sum", " or ".join(counted), *drop))


def ledger_events(metric: str, window: str, seconds: int) -> str:
    """The same of a counter that the ledger keeps: a new instance shows the old total."""
    series = f"last_over_time({metric}[{window}])"
    last = over_instances("max", series)
    before = over_instances("max", f"last_over_time({metric}[{MEMORY}] offset {window})")
    new = over_instances("max", f"{series} unless {scraped_late(metric, window, seconds, 'dataset')}")
    lowest = over_instances("min", f"min_over_time({metric}[{window}])")
    return record(f"gapmend:{short(metric).removesuffix('_total')}:events{window}",
                  f"({last} - {before}) >= 0 or ({last} - {lowest}) > 0 or {new}")


def scraped_late(metric: str, window: str, seconds: int, own: str) -> str:
    """Series of a process that is older than the window, and that were there at its first scrape:
    Prometheus is new and not the event."""
    process = f"count_over_time(process_start_time_seconds[{window}])"
    old = f"(time() - last_over_time(process_start_time_seconds[{window}]) >= {seconds})"
    return f"(count_over_time({metric}[{window}]) >= ignoring ({own}) group_left () ({process} and {old}))"


def one(metric: str, label: str, value: str) -> str:
    return f'{metric}{{{label}="{value}"}}'


def any_of(metric: str, label: str, values: str) -> str:
    return f'{metric}{{{label}=~"{values}"}}'


def without_label(expr: str, label: str) -> str:
    return f"max without ({label}) ({expr})"


STALLED = f"time() - gapmend_loop_last_tick_timestamp_seconds > {STALLED_SECONDS}"

# Instances that stand by or hang, while a healthy leader answers.
MUTED = record(
    "gapmend:muted",
    f"(gapmend_acting == 0 or (gapmend_acting and ({STALLED})))"
    f" and ignoring ({REPLACED}) (gapmend_acting == 1 unless ({STALLED}))",
)

# When a dataset's series were last there.
SEEN = record(
    "gapmend:dataset_seen_timestamp_seconds",
    over_instances(
        "group",
        '{__name__=~"gapmend_(scan_last_success|next_arrival|trigger_disabled_since|trigger_held_since)'
        '_timestamp_seconds|gapmend_(dates_behind|queue_depth|latest_due_whole)",dataset!=""}',
    ) + " * time()",
)
LAST = f"max_over_time({SEEN}[{MEMORY}])"

# The datasets of a daemon that is gone, as it had them at its end.
LEFT_BEHIND = record(
    "gapmend:left_behind",
    f"{LAST} > ignoring (dataset) group_left () (max without (dataset) ({LAST}) - 600)"
    f" unless ignoring (dataset) max without (dataset) ({SEEN})"
    " unless ignoring (dataset) "
    + over_instances("max", "gapmend_build_info or gapmend_acting", "version", "revision"),
)

# Datasets that start nothing because of a pause or a frozen day; and those in mode observe as well.
AT_REST = record(
    "gapmend:at_rest",
    f"{now('gapmend_paused_until_timestamp_seconds')} > time() or "
    + without_label(f"{one(now('gapmend_resting', 'reason'), 'reason', 'frozen')} == 1", "reason"),
)
QUIET = record(
    "gapmend:quiet",
    f"{AT_REST} or "
    + without_label(f"{one(now('gapmend_dataset_mode', 'mode'), 'mode', 'observe')} == 1", "mode"),
)

# The last complete scan, over all instances; 0 for none in a week.
SCANNED = "gapmend_scan_last_success_timestamp_seconds"
LAST_SCAN = record(
    "gapmend:last_scan_timestamp_seconds",
    f"{over_instances('max', f'max_over_time({SCANNED}[{MEMORY}])')}"
    f" and ({over_instances('max', SCANNED)} or {LEFT_BEHIND})",
)


def inlined(expr: str) -> str:
    """The same without recording rules, for Grafana."""
    names = "|".join(sorted(map(re.escape, RECORDS), key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w:])({names})(\{{[^}}]*\}})?(?:\[(\w+)\])?(?![\w:])")

    def one_of(found):
        made = f"({RECORDS[found.group(1)].of(found.group(2) or '')})"
        return f"{made}[{found.group(3)}:1m]" if found.group(3) else made

    while pattern.search(expr):
        expr = pattern.sub(one_of, expr)
    return expr


def selecting(expr: str, selector: str) -> str:
    """The expression with more matchers in each of its selectors, as `namespace="data"`."""
    if not selector:
        return expr
    expr = re.sub(r"(?<![:\w])((?:gapmend|process)_\w+\b|up\b)(?![\w:]*\s*\()\{?",
                  lambda found: f"{found.group(1)}{{{selector}"
                  + ("," if found.group(0).endswith("{") else "}"), expr)
    return expr.replace("{__name__", f"{{{selector},__name__")
