#!/usr/bin/env python3
"""Draws the dashboard's data: `picture.py PATH-OF-GAPMEND dashboards/preview.png`.

The answers of a real Prometheus that scrapes `gapmend demo`, to the panels' own queries, at the
panels' own places, with their units, mappings and thresholds. It is no Grafana: the drawing
is this file's, and plainer. Needs Chromium, for the picture; CI does not run it.
"""

import html
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kit
from live import Demo
from servers import Prometheus, until

COLUMN, LINE, GAP = 60, 34, 8
COLOURS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#b877d9", "#f2495c", "#8ab8ff", "#96d98d", "#ffa6b0"]
NAMED = {
    "green": "#299c46", "yellow": "#c69b06", "red": "#c4162a", "orange": "#d9641a", "text": "#44485a",
    "blue": "#3274d9", "purple": "#8f3bb8", "light-blue": "#8ab8ff", "super-light-blue": "#c0d8ff",
    "dark-blue": "#1f60c4", "dark-purple": "#7c2ea3",
}
AFTER_SECONDS = 15


def shown(value: float, unit: str, decimals=None) -> str:
    if unit == "time:YYYY-MM-DD":
        return time.strftime("%Y-%m-%d", time.gmtime(value / 1000))
    if unit == "dateTimeAsIso":
        return time.strftime("%m-%d %H:%M:%S", time.gmtime(value / 1000))
    if unit == "s":
        for size, name in [(86400, "d"), (3600, "h"), (60, "min")]:
            if abs(value) >= size:
                return f"{value / size:.1f} {name}"
        return f"{value:.2f} s" if abs(value) < 10 else f"{value:.0f} s"
    if unit == "percentunit":
        return f"{value * 100:.0f} %"
    if unit == "bytes":
        return f"{value / 1024 / 1024:.1f} MiB"
    return f"{value:.0f}" if value == int(value) or decimals == 0 else f"{value:.2f}"


class Look:
    """What a panel says of how a value is shown."""

    def __init__(self, panel: dict):
        self.defaults = panel["fieldConfig"]["defaults"]
        self.unit = self.defaults["unit"]
        self.options = self.defaults["mappings"][0]["options"] if self.defaults["mappings"] else {}

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


def legend(text: str, labels: dict) -> str:
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def words(x, y, text, size=12, colour="#ccccdc", anchor="start", weight="normal") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
            f' font-weight="{weight}">{html.escape(str(text))}</text>')


def box(x, y, width, height, colour, more="") -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" fill="{colour}" {more}/>'


class Board:
    def __init__(self, prometheus: Prometheus, start: float, end: float):
        self.prometheus, self.start, self.end = prometheus, start, end
        self.variables = {"job": "gapmend", "dataset": "liberator"}
        self.empty = []

    def answers(self, panel: dict) -> list:
        found = []
        for target in panel["targets"]:
            expr = kit.filled_in(target["expr"], self.variables)
            if target["instant"]:
                series = [(one["metric"], [one["value"]]) for one in self.prometheus.now(expr)]
            else:
                series = [(one["metric"], one["values"]) for one in self.prometheus.range(expr, self.start, self.end)]
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
            return words(x + 4, y + 20, panel["title"], 15, weight="bold")
        answers, look = self.answers(panel), Look(panel)
        frame = box(x, y, width, height, "#181b1f", 'stroke="#2c3235" rx="3"')
        title = words(x + 8, y + 17, panel["title"], 12.5, weight="bold")
        inside = (x + 8, y + 26, width - 16, height - 32)
        if not answers:
            self.empty.append(panel["title"])
            text = look.defaults.get("noValue", "No data")
            middle = words(x + width / 2, y + height / 2 + 12, text, 16, "#8e8e9c", "middle")
            return frame + title + middle
        draw = {"stat": self.stat, "timeseries": self.lines, "state-timeline": self.states,
                "bargauge": self.gauges, "table": self.table}[panel["type"]]
        return frame + draw(panel, answers, look, inside) + title

    def stat(self, panel, answers, look, inside) -> str:
        x, y, width, height = inside
        name, points, _, _ = answers[0]
        value = points[-1][1]
        text = name if panel["options"]["textMode"] == "name" else look.text(value)
        filled = panel["options"]["colorMode"] == "background"
        back = box(x - 7, y - 25, width + 14, height + 30, look.colour(value), 'rx="3"') if filled else ""
        size = min(30, 1.7 * width / max(len(text), 4))
        return back + words(x + width / 2, y + height / 2 + 10, text, size, "#ffffff", "middle", "bold")

    def lines(self, panel, answers, look, inside) -> str:
        x, y, width, height = inside
        custom = look.defaults["custom"]
        stacked = custom["stacking"]["mode"] == "normal"
        plot = height - 34
        sums = {}
        for _, points, _, _ in answers:
            for at, value in points:
                sums[at] = sums.get(at, 0) + value if stacked else max(sums.get(at, 0), value)
        top = max(max(sums.values()), 1e-9) * 1.1
        across = lambda at: x + 46 + (at - self.start) / (self.end - self.start) * (width - 50)
        drawn = ""
        for share in (0, 0.5, 1):
            level = y + plot - share * plot / 1.1
            drawn += box(x + 46, level, width - 50, 1, "#2c3235")
            drawn += words(x + 42, level + 4, shown(share * top / 1.1, look.unit), 10, "#8e8e9c", "end")
        below, left = {}, x
        for place, (name, points, _, _) in enumerate(answers):
            colour = COLOURS[place % len(COLOURS)]
            if custom["drawStyle"] == "bars":
                thick = max((width - 50) / (self.end - self.start), 1.2)
                for at, value in points:
                    base = below.get(at, 0)
                    drawn += box(across(at), y + plot - (base + value) / top * plot, thick, value / top * plot, colour)
                    below[at] = base + value
            else:
                path, last = [], None
                for at, value in points:
                    path.append(f"{'M' if last is None or at - last > 2.5 else 'L'}{across(at):.1f},{y + plot - value / top * plot:.1f}")
                    last = at
                drawn += f'<path d="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
            if left + 7 * len(name) < x + width:
                drawn += box(left, y + height - 12, 10, 4, colour) + words(left + 14, y + height - 6, name, 10.5)
                left += 24 + 6.2 * len(name)
        for share in (0, 0.5, 1):
            at = self.start + share * (self.end - self.start)
            stamp = time.strftime("%H:%M:%S", time.gmtime(at))
            drawn += words(x + 46 + share * (width - 50), y + plot + 14, stamp, 10, "#8e8e9c", ["start", "middle", "end"][int(share * 2)])
        return drawn

    def states(self, panel, answers, look, inside) -> str:
        x, y, width, height = inside
        drawn = ""
        across = lambda at: x + 70 + (at - self.start) / (self.end - self.start) * (width - 70)
        high = (height - 30) / len(answers)
        for row, (name, points, _, _) in enumerate(answers):
            drawn += words(x, y + row * high + high / 2, name, 11)
            began = points[0]
            for at, value in [*points[1:], (points[-1][0] + 1, None)]:
                if value == began[1]:
                    continue
                left, right = across(began[0]), across(at)
                drawn += box(left, y + row * high + 4, right - left, high - 8, look.colour(began[1]))
                text = look.text(began[1])
                if right - left > 6.5 * len(text):
                    drawn += words(left + 4, y + row * high + high / 2 + 4, text, 11, "#ffffff")
                began = (at, value)
        seen, left = {value for _, points, _, _ in answers for _, value in points}, x
        for value in sorted(seen):
            text = look.text(value)
            drawn += box(left, y + height - 12, 10, 8, look.colour(value)) + words(left + 14, y + height - 5, text, 10.5)
            left += 26 + 6.2 * len(text)
        return drawn

    def gauges(self, panel, answers, look, inside) -> str:
        x, y, width, height = inside
        top = max(points[-1][1] for _, points, _, _ in answers) or 1
        high = min(26, height / len(answers))
        drawn = ""
        for row, (name, points, _, _) in enumerate(answers):
            value, middle = points[-1][1], y + row * high + high / 2 + 4
            drawn += words(x, middle, name, 11)
            drawn += box(x + 130, y + row * high + 4, (width - 210) * value / top, high - 8, COLOURS[0])
            drawn += words(x + width, middle, look.text(value), 11, anchor="end")
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
        each = width / len(names)
        drawn = "".join(words(x + at * each, y + 16, name, 10, "#6e9fff") for at, name in enumerate(names))
        for line, row in enumerate(rows.values()):
            for at, name in enumerate(names):
                drawn += words(x + at * each, y + 40 + 22 * line, row.get(name, ""), 10)
        return drawn


def page(board: Board) -> tuple:
    panels = kit.dashboard()["panels"]
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * LINE
    drawn = "".join(board.draw(panel) for panel in panels)
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{24 * COLUMN}" height="{bottom}"'
           f' font-family="DejaVu Sans, sans-serif">{box(0, 0, 24 * COLUMN, bottom, "#111217")}{drawn}</svg>')
    return f'<!doctype html><body style="margin:0;background:#111217">{svg}', bottom


def main() -> int:
    gapmend, picture = sys.argv[1:3]
    folder = Path(tempfile.mkdtemp(prefix="gapmend-picture-"))
    began = time.time()
    with Demo(gapmend, folder) as demo, Prometheus(folder / "prometheus", {"gapmend": [demo.metrics]}) as prometheus:
        until("the demo is healed", demo.is_healed)
        time.sleep(AFTER_SECONDS)
        board = Board(prometheus, began + 15, time.time())
        text, height = page(board)
    (folder / "board.html").write_text(text)
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={folder}/browser", f"--window-size={24 * COLUMN},{height}",
         f"--screenshot={Path(picture).resolve()}", f"file://{folder}/board.html"],
        check=True, capture_output=True, timeout=120)
    print(f"{picture}; panels without data: {sorted(board.empty)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
