"""Draws the dashboard's data, for `live.py`: the picture of dashboards/README.md.

The answers of a real Prometheus that scraped a real gapmend, to the panels' own queries, at the
panels' own places, with their units, mappings, thresholds and empty texts. It is no Grafana: the
drawing is this file's, and plainer. Needs Chromium; CI draws it too, and throws it away.
"""

import html
import math
import re
import subprocess
import tempfile
import time
from pathlib import Path

import kit
from servers import Prometheus

COLUMN, LINE, GAP = 60, 34, 8
AXIS, LETTER = 48, 6.0  # the room of an axis' labels; the width of a small letter
STEPS_SECONDS = {"bars": 5, "line": 2, "state-timeline": 1}
COLOURS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#b877d9", "#f2495c", "#8ab8ff", "#96d98d", "#ffa6b0"]
NAMED = {
    "green": "#299c46", "yellow": "#c69b06", "red": "#c4162a", "orange": "#d9641a", "text": "#3c4052",
    "blue": "#3274d9", "purple": "#8f3bb8", "light-blue": "#5f93e0", "super-light-blue": "#84a9e6",
    "dark-blue": "#1f60c4", "dark-purple": "#7c2ea3",
}
PAPER, PANEL, EDGE, RULE = "#111217", "#181b1f", "#25282e", "#262a30"
BRIGHT, DIM = "#ccccdc", "#8e8e9c"
SIZES = {
    "s": [(86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (0.001, "ms")],
    "bytes": [(1 << 20, "MiB"), (1 << 10, "KiB")],
    "reqps": [(1, "req/s")],
}


def number(value: float) -> str:
    """With as many digits as say something."""
    text = f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value: float, unit: str, decimals=None) -> str:
    if unit == "time:YYYY-MM-DD":
        return time.strftime("%Y-%m-%d", time.gmtime(value / 1000))
    if unit == "dateTimeAsIso":
        return time.strftime("%m-%d %H:%M:%S", time.gmtime(value / 1000))
    if unit == "percentunit":
        return f"{number(value * 100)} %"
    if unit in SIZES and value:
        size, name = next((one for one in SIZES[unit] if abs(value) >= one[0]), SIZES[unit][-1])
        return f"{number(value / size)} {name}"
    return f"{value:.0f}" if decimals == 0 else number(value)


class Look:
    """What a panel says of how a value is shown."""

    def __init__(self, panel: dict):
        self.defaults = panel["fieldConfig"]["defaults"]
        self.unit = self.defaults["unit"]
        self.options = self.defaults["mappings"][0]["options"] if self.defaults["mappings"] else {}
        overrides = panel["fieldConfig"]["overrides"]
        self.dashed = [one["matcher"]["options"] for one in overrides
                       if any(kind["id"] == "custom.lineStyle" for kind in one["properties"])]

    def text(self, value: float) -> str:
        mapped = self.options.get(f"{value:.0f}")
        return mapped["text"] if mapped else shown(value, self.unit, self.defaults.get("decimals"))

    def colour(self, value: float) -> str:
        mapped = self.options.get(f"{value:.0f}")
        name = mapped["color"] if mapped else None
        for step in self.defaults["thresholds"]["steps"] if not mapped else []:
            if step["value"] is None or value >= step["value"]:
                name = step["color"]
        return NAMED.get(name, "#44485a")

    def dash(self, name: str) -> str:
        return 'stroke-dasharray="7 5"' if any(re.fullmatch(one, name) for one in self.dashed) else ""


def legend(text: str, labels: dict) -> str:
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def words(x, y, text, size=12.0, colour=BRIGHT, anchor="start", weight="normal") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
            f' font-weight="{weight}">{html.escape(str(text))}</text>')


def box(x, y, width, height, colour, more="") -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" fill="{colour}" {more}/>'


def fitting(text: str, room: float) -> str:
    letters = int(room / LETTER)
    return text if len(text) <= letters else text[: max(letters - 1, 1)] + "…"


def round_top(most: float, unit: str) -> tuple:
    """The axis' end and its step: at most four steps of 1, 2 or 5 times a power of ten, or of an hour."""
    scale = 60 if unit == "s" and most > 90 else 1
    raw = max(most, 1e-9) / scale / 4
    power = 10 ** math.floor(math.log10(raw))
    step = next(one * power for one in (1, 2, 2.5, 5, 10) if raw <= one * power * 1.0001) * scale
    return step * max(math.ceil(most / step - 1e-9), 1), step


def keys(entries: list, x: float, y: float, width: float) -> str:
    """The legend's line; what has no room is counted."""
    drawn, left = "", x
    for place, (name, colour) in enumerate(entries):
        rest = len(entries) - place
        need = 25 + 1.1 * LETTER * len(name)
        if left + need + (26 if rest > 1 else 0) > x + width + 8:
            return drawn + words(left, y, f"+{rest}", 10.5, DIM)
        drawn += box(left, y - 6, 11, 4, colour, 'rx="1"') + words(left + 15, y, name, 10.5)
        left += need
    return drawn


def step_of(panel: dict) -> int:
    return STEPS_SECONDS.get(panel["type"]) or STEPS_SECONDS[
        panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle", "line")]


class Board:
    def __init__(self, prometheus: Prometheus, start: float, end: float):
        self.prometheus, self.start, self.end = prometheus, start, end

    def answers(self, panel: dict) -> list:
        found, step = [], step_of(panel)
        # As Grafana reckons them, with a scrape a second.
        variables = {"job": "gapmend", "dataset": "liberator", "__range": f"{self.end - self.start:.0f}s",
                     "__interval": f"{step}s", "__rate_interval": f"{max(step + 1, 4)}s"}
        for target in panel["targets"]:
            expr = kit.filled_in(target["expr"], variables)
            if target["instant"]:
                series = [(one["metric"], [one["value"]]) for one in self.prometheus.now(expr)]
            else:
                ranges = self.prometheus.range(expr, self.start, self.end, step)
                series = [(one["metric"], one["values"]) for one in ranges]
            for labels, values in series:
                points = [(at, float(value)) for at, value in values if value != "NaN"]
                if points:
                    found.append((legend(target["legendFormat"], labels), points, labels, target["refId"]))
        return found

    def draw(self, panel: dict) -> str:
        grid = panel["gridPos"]
        x, y = grid["x"] * COLUMN + GAP / 2, grid["y"] * LINE + GAP / 2
        width, height = grid["w"] * COLUMN - GAP, grid["h"] * LINE - GAP
        if panel["type"] == "row":
            return words(x + 4, y + 20, f"⌄ {panel['title']}", 14.5)
        answers, look = self.answers(panel), Look(panel)
        frame = box(x, y, width, height, PANEL, f'stroke="{EDGE}" rx="3"')
        title = words(x + 9, y + 19, fitting(panel["title"], width * 0.85), 12.5, weight="500")
        inside = (x + 10, y + 30, width - 20, height - 38)
        if not answers:
            text = look.defaults.get("noValue", "No data")
            return frame + title + words(x + width / 2, y + height / 2 + 14, text, 16, DIM, "middle")
        draw = {"stat": self.stat, "timeseries": self.series, "state-timeline": self.states,
                "bargauge": self.gauges, "table": self.table}[panel["type"]]
        return frame + draw(panel, answers, look, inside) + title

    def across(self, at: float, x: float, width: float) -> float:
        share = (at - self.start) / (self.end - self.start)
        return x + min(max(share, 0), 1) * width

    def clock(self, x: float, y: float, width: float) -> str:
        """The labels of the time axis, as many as have room."""
        span = self.end - self.start
        every = next(one for one in (15, 30, 60, 120, 300, 900, 3600) if span / one * 70 < width or one == 3600)
        drawn, at = "", math.ceil(self.start / every) * every
        while at <= self.end:
            place = self.across(at, x, width)
            if x + 20 <= place <= x + width - 20:
                stamp = "%H:%M" if every >= 60 else "%H:%M:%S"
                drawn += words(place, y, time.strftime(stamp, time.gmtime(at)), 10, DIM, "middle")
            at += every
        return drawn

    def stat(self, panel, answers, look, inside) -> str:
        x, y, width, height = inside
        name, points, _, _ = answers[0]
        value = points[-1][1]
        text = name if panel["options"]["textMode"] == "name" else look.text(value)
        filled = panel["options"]["colorMode"] == "background"
        back = box(x - 9.5, y - 29.5, width + 19, height + 37, look.colour(value), 'rx="3"') if filled else ""
        size = min(30, 1.65 * width / max(len(text), 4))
        return back + words(x + width / 2, y + height / 2 + 6, text, size, "#ffffff", "middle", "600")

    def series(self, panel, answers, look, inside) -> str:
        x, y, width, height = inside
        custom, plot, every = look.defaults["custom"], height - 36, step_of(panel)
        left, wide = x + AXIS, width - AXIS
        sums = {}
        for _, points, _, _ in answers:
            for at, value in points:
                sums[at] = sums.get(at, 0) + value if custom["stacking"]["mode"] == "normal" else max(sums.get(at, 0), value)
        most = max(sums.values())
        whole = look.defaults.get("decimals") == 0
        top, step = round_top(max(most, 1) if whole else most or 1, look.unit)
        step = max(step, 1) if whole else step
        drawn, level = "", 0.0
        while level <= top * 1.001:
            high = y + plot - level / top * plot
            drawn += box(left, high, wide, 1, RULE)
            drawn += words(left - 6, high + 4, shown(level, look.unit, look.defaults.get("decimals")), 10, DIM, "end")
            level += step
        below = {}
        for place, (name, points, _, _) in enumerate(answers):
            colour = COLOURS[place % len(COLOURS)]
            if custom["drawStyle"] == "bars":
                thick = wide / ((self.end - self.start) / every)
                for at, value in points:
                    base, end = below.get(at, 0), self.across(at, left, wide)
                    drawn += box(end - thick * 0.9, y + plot - (base + value) / top * plot, thick * 0.8,
                                 value / top * plot, colour)
                    below[at] = base + value
                continue
            pieces = [[points[0]]]
            for one in points[1:]:
                if one[0] - pieces[-1][-1][0] > 1.5 * every:
                    pieces.append([])
                pieces[-1].append(one)
            for piece in pieces:
                spots = [(self.across(at, left, wide), y + plot - value / top * plot) for at, value in piece]
                path = "M" + " L".join(f"{a:.1f},{b:.1f}" for a, b in spots)
                if not look.dash(name):
                    area = f"{path} L{spots[-1][0]:.1f},{y + plot:.1f} L{spots[0][0]:.1f},{y + plot:.1f} Z"
                    drawn += f'<path d="{area}" fill="{colour}" fill-opacity="0.1"/>'
                drawn += f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6" {look.dash(name)}/>'
                if len(spots) == 1:
                    drawn += f'<circle cx="{spots[0][0]:.1f}" cy="{spots[0][1]:.1f}" r="2.5" fill="{colour}"/>'
        drawn += self.clock(left, y + plot + 15, wide)
        named = [(name, COLOURS[place % len(COLOURS)]) for place, (name, *_) in enumerate(answers)]
        return drawn + keys(named, x, y + height - 2, width)

    def states(self, panel, answers, look, inside) -> str:
        x, y, width, height = inside
        left, wide, high = x + 70, width - 70, (height - 38) / len(answers)
        drawn = ""
        for row, (name, points, _, _) in enumerate(answers):
            line = y + row * high
            drawn += words(x, line + high / 2 + 4, fitting(name, 66), 11)
            began = points[0]
            for at, value in [*points[1:], (points[-1][0] + step_of(panel), None)]:
                if value == began[1]:
                    continue
                start, end = self.across(began[0], left, wide), self.across(at, left, wide)
                drawn += box(start, line + 2, end - start - 0.6, high - 8, look.colour(began[1]), 'rx="1"')
                text = look.text(began[1])
                if end - start > LETTER * len(text) + 8:
                    drawn += words(start + 5, line + high / 2 + 2, text, 11, "#ffffff")
                began = (at, value)
        drawn += self.clock(left, y + height - 22, wide)
        seen = sorted({value for _, points, _, _ in answers for _, value in points})
        return drawn + keys([(look.text(value), look.colour(value)) for value in seen], x, y + height - 2, width)

    def gauges(self, panel, answers, look, inside) -> str:
        x, y, width, height = inside
        top = max(points[-1][1] for _, points, _, _ in answers) or 1
        longest = max(len(name) for name, *_ in answers)
        left = min(14 + (LETTER + 0.4) * longest, width * 0.5)
        high, drawn = min(28, height / len(answers)), ""
        for row, (name, points, _, _) in enumerate(sorted(answers, key=lambda one: -one[1][-1][1])):
            value, line = points[-1][1], y + row * high
            drawn += words(x, line + high / 2 + 4, fitting(name, left), 11)
            drawn += box(x + left, line + 5, width - left - 58, high - 10, RULE, 'rx="2"')
            drawn += box(x + left, line + 5, (width - left - 58) * value / top, high - 10, COLOURS[0], 'rx="2"')
            drawn += words(x + width, line + high / 2 + 4, look.text(value), 11, anchor="end")
        return drawn

    def table(self, panel, answers, look, inside) -> str:
        x, y, width, _ = inside
        renamed = panel["transformations"][1]["options"]["renameByName"]
        units = {one["matcher"]["options"]: one["properties"][0]["value"] for one in panel["fieldConfig"]["overrides"]}
        names, rows = ["dataset"], {}
        for _, points, labels, ref in answers:
            row = rows.setdefault(labels.get("dataset", ""), {"dataset": labels.get("dataset", "")})
            for label in labels:
                names += [label] if label not in names else []
                row[label] = labels[label]
            column = renamed.get(f"Value #{ref}")
            if column:
                names += [column] if column not in names else []
                row[column] = shown(points[-1][1], units[column])
        # Each column as wide as what stands in it, and what is left over shared out.
        need = {name: max(len(name), *(len(row.get(name, "")) for row in rows.values())) for name in names}
        letter = width / sum(need.values())
        drawn, left = box(x, y + 24, width, 1, RULE), x
        for name in names:
            drawn += words(left, y + 16, name, 10.5, "#6e9fff")
            for line, row in enumerate(rows.values()):
                drawn += words(left, y + 43 + 22 * line, row.get(name, ""), 10.5)
            left += need[name] * letter
        return drawn


def page(board: Board) -> tuple:
    panels = kit.dashboard()["panels"]
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * LINE
    drawn = "".join(board.draw(panel) for panel in panels)
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{24 * COLUMN}" height="{bottom}"'
           f' font-family="Inter, DejaVu Sans, sans-serif">{box(0, 0, 24 * COLUMN, bottom, PAPER)}{drawn}</svg>')
    return f'<!doctype html><meta charset="utf-8"><body style="margin:0;background:{PAPER}">{svg}', bottom


def draw(prometheus: Prometheus, began: float, path: Path):
    """What the dashboard would show of the time since the first scrape."""
    scraped = prometheus.range("gapmend_build_info", began, time.time())
    start = min(one["values"][0][0] for one in scraped)
    text, height = page(Board(prometheus, start, time.time()))
    with tempfile.TemporaryDirectory(prefix="gapmend-picture-") as folder:
        (Path(folder) / "board.html").write_text(text)
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={folder}/browser", f"--window-size={24 * COLUMN},{height}",
             f"--screenshot={path.resolve()}", f"file://{folder}/board.html"],
            check=True, capture_output=True, timeout=120)
    print(f"drawn: {path}")
