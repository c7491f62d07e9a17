"""The kinds of panels, each as Grafana's JSON has it, and their places on the grid."""

from dataclasses import dataclass

DS = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
HEIGHT = {"stat": 4, "timeseries": 8, "state-timeline": 6, "table": 6, "bargauge": 8}


@dataclass
class Row:
    """A heading and its panels; a list among them is a column, its panels one above the other."""

    title: str | None
    panels: list


def join(*labels: str) -> str:
    return ",".join(label for label in labels if label)


def prom(expr: str) -> dict:
    return {"datasource": DS, "expr": expr, "editorMode": "code"}


def target(ref: int, legend: str, expr: str, instant: bool) -> dict:
    made = {"refId": chr(ord("A") + ref), **prom(expr), "legendFormat": legend}
    return made | {"instant": instant, "range": not instant}


def steps_of(steps: list) -> dict:
    made = [{"color": colour, "value": value} for value, colour in steps]
    return {"mode": "absolute", "steps": made}


def mappings(looks: list) -> list:
    options = {
        str(at): {"text": text, "color": colour, "index": at}
        for at, (text, colour) in enumerate(looks)
    }
    return [{"type": "value", "options": options}] if looks else []


def panel(key, kind, title, description, width, targets, unit, options, custom, **more) -> dict:
    empty, decimals = more.get("empty"), more.get("decimals")
    defaults = {
        "unit": unit,
        "color": {"mode": more.get("colours", "palette-classic")},
        "mappings": mappings(more.get("looks", [])),
        "thresholds": steps_of(more.get("steps") or [(None, "green")]),
        "custom": custom,
    }
    defaults |= {"noValue": empty} if empty else {}
    defaults |= {"decimals": decimals} if decimals is not None else {}
    if not custom:
        del defaults["custom"]
    return {
        "key": key,
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DS,
        "gridPos": {"h": more.get("height", HEIGHT[kind]), "w": width, "x": 0, "y": 0},
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": more.get("overrides", [])},
        "options": options,
    }


def stat(key, title, expr, description, *, unit="none", looks=(), steps=(), empty=None, width=4,
         text="auto", legend=None, decimals=None) -> dict:
    if legend is None:
        legend = "{{dataset}}" if "by (dataset)" in expr else title
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "auto", "textMode": text, "colorMode": "background" if looks or steps else "value",
        "graphMode": "none", "justifyMode": "auto", "wideLayout": True, "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }
    return panel(key, "stat", title, description, width, [target(0, legend, expr, True)], unit, options, {},
                 looks=list(looks), steps=list(steps), empty=empty, decimals=decimals, colours="thresholds")


def override(regex: str, properties: dict) -> dict:
    return {
        "matcher": {"id": "byRegexp", "options": regex},
        "properties": [{"id": name, "value": value} for name, value in properties.items()],
    }


def fixed_colours(colours: dict) -> list:
    """A series of this name has this colour: what is bad is never green by chance."""
    return [override(f"^{name}$", {"color": {"mode": "fixed", "fixedColor": colour}})
            for name, colour in colours.items()]


def series(key, title, queries, description, width, unit, custom, **more) -> dict:
    base = {
        "drawStyle": "line", "lineWidth": 2, "fillOpacity": 10, "showPoints": "auto", "pointSize": 5,
        "spanNulls": False, "axisPlacement": "auto", "axisSoftMin": 0,
        "stacking": {"mode": "none", "group": "A"},
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    targets = [target(at, legend, expr, False) for at, (legend, expr) in enumerate(queries)]
    return panel(key, "timeseries", title, description, width, targets, unit, options, base | custom, **more)


def lines(key, title, queries, description, *, width, unit="none", dashed=None, **more) -> dict:
    overrides = []
    if dashed:
        style = {"fill": "dash", "dash": [10, 10]}
        overrides.append(override(dashed, {"custom.lineStyle": style, "custom.fillOpacity": 0}))
    return series(key, title, queries, description, width, unit, {}, overrides=overrides, **more)


def bars(key, title, queries, description, *, width, unit="none", **more) -> dict:
    custom = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0,
              "stacking": {"mode": "normal", "group": "A"}}
    return series(key, title, queries, description, width, unit, custom, **more)


def timeline(key, title, queries, description, *, width, looks) -> dict:
    options = {
        "mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    targets = [target(at, legend, expr, False) for at, (legend, expr) in enumerate(queries)]
    custom = {"lineWidth": 0, "fillOpacity": 80}
    return panel(key, "state-timeline", title, description, width, targets, "none", options, custom,
                 looks=looks, colours="thresholds")


def gauge_bars(key, title, queries, description, *, width, unit="none", **more) -> dict:
    options = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "horizontal", "displayMode": "basic", "valueMode": "color", "showUnfilled": True,
        "namePlacement": "auto", "sizing": "auto", "minVizHeight": 16, "minVizWidth": 8,
        "maxVizHeight": 300,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
    }
    targets = [target(at, legend, expr, True) for at, (legend, expr) in enumerate(queries)]
    return panel(key, "bargauge", title, description, width, targets, unit, options, {}, **more)


def table(key, title, columns, description, *, width, height=HEIGHT["table"]) -> dict:
    targets = [target(at, name, expr, True) | {"format": "table"} for at, (name, expr, _) in enumerate(columns)]
    values = [value_field(at, columns) for at in range(len(columns))]
    times = ["Time", *(f"Time {at + 1}" for at in range(len(columns)))]
    # A query without a unit is there for its labels.
    labels_only = [field for field, (_, _, unit) in zip(values, columns) if unit is None]
    hidden = {field: True for field in times + labels_only}
    renamed = {field: name for field, (name, _, _) in zip(values, columns) if field not in hidden}
    overrides = [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
        for name, _, unit in columns if unit
    ]
    options = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
    made = panel(key, "table", title, description, width, targets, "none", options,
                 {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}, overrides=overrides,
                 colours="thresholds", height=height)
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden, "renameByName": renamed, "indexByName": {}}},
    ]
    return made


def value_field(at: int, columns: list) -> str:
    """What Grafana calls the value of a query in a merged table."""
    return f"Value #{chr(ord('A') + at)}" if len(columns) > 1 else "Value"


def place(rows: list) -> list:
    """Panels with ids and places: from left to right, in lines of one height."""
    placed, top = [], 0
    for row in rows:
        if row.title:
            placed.append(heading(len(placed) + 1, row.title, top))
            top += 1
        for line in lines_of(row.panels):
            height, left = max(sum(made["gridPos"]["h"] for made in column) for column in line), 0
            for column in line:
                width, each = width_of(column), height // len(column)
                for at, made in enumerate(column):
                    grid = {"h": each, "w": width, "x": left, "y": top + at * each}
                    placed.append({**made, "id": len(placed) + 1, "gridPos": grid})
                left += width
            top += height
    return placed


def width_of(column: list) -> int:
    width, *others = {made["gridPos"]["w"] for made in column}
    assert not others, f"the column of {column[0]['title']} has several widths"
    return width


def lines_of(panels: list) -> list:
    """As many columns in a line as there is room for; each line is full."""
    lines, room = [], 0
    for made in panels:
        column = made if isinstance(made, list) else [made]
        width = width_of(column)
        if width > room:
            assert room == 0, f"the line before {column[0]['title']} has room for {room} columns more"
            lines.append([])
            room = COLUMNS
        lines[-1].append(column)
        room -= width
    assert room == 0, f"the last line has room for {room} columns more"
    return lines


def heading(number: int, title: str, top: int) -> dict:
    return {
        "id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
    }
