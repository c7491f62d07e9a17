"""Writes plain data as YAML that people can read: dictionaries, lists, strings, numbers.

The standard library has no YAML. What this writes is a small part of it: no anchors, no
tags, strings quoted whenever they are not plain words, long ones folded by nobody.
"""

import json
import re

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*$")
RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def text(value, indent: int = 0) -> str:
    """The lines of a value, each beginning with the indent."""
    pad = " " * indent
    if isinstance(value, dict):
        return "".join(entry(f"{pad}{scalar(key)}:", item, indent) for key, item in value.items())
    if isinstance(value, list):
        return "".join(element(item, indent) for item in value)
    return f"{pad}{scalar(value)}\n"


def entry(head: str, item, indent: int) -> str:
    if isinstance(item, (dict, list)) and item:
        return f"{head}\n{text(item, indent + 2)}"
    if isinstance(item, str) and "\n" in item:
        lines = "".join(f"{' ' * (indent + 2)}{line}\n" for line in item.rstrip("\n").split("\n"))
        return f"{head} |-\n{lines}"
    return f"{head} {scalar(item)}\n"


def element(item, indent: int) -> str:
    pad = " " * indent
    if isinstance(item, (dict, list)) and item:
        return f"{pad}- {text(item, indent + 2).lstrip(' ')}"
    return f"{pad}- {scalar(item)}\n"


def scalar(value) -> str:
    if isinstance(value, str) and PLAIN.match(value) and value.lower() not in RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)
