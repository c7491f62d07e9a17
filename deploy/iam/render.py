#!/usr/bin/env python3
"""Prints policies for the names in a file, for those who do not use the Terraform module.

    deploy/iam/render.py liberator.json observe ledger > policy.json

A text with `${name}` stands once for every value of the name, none if the feed does not have it,
and a statement that is left without a resource is left out.
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent


def fill(text, names):
    """The texts that one text with placeholders stands for."""
    placeholder = re.search(r"\$\{(\w+)\}", text)
    if not placeholder:
        return [text]
    values = names.get(placeholder.group(1))
    values = values if isinstance(values, list) else [] if values is None else [values]
    filled = [text.replace(placeholder.group(0), value) for value in values]
    return [done for value in filled for done in fill(value, names)]


def fill_all(texts, names):
    texts = texts if isinstance(texts, list) else [texts]
    return [filled for text in texts for filled in fill(text, names)]


def render(statement, names):
    rendered = {**statement, "Resource": fill_all(statement["Resource"], names)}
    if "Condition" in statement:
        rendered["Condition"] = {
            operator: {key: fill_all(texts, names) for key, texts in asked.items()}
            for operator, asked in statement["Condition"].items()
        }
    return rendered


def main(names_file, *blocks):
    names = json.loads((HERE / names_file).read_text())
    statements = [
        render(statement, names)
        for block in blocks
        for statement in json.loads((HERE / f"{block}.json").read_text())["Statement"]
    ]
    kept = [statement for statement in statements if statement["Resource"]]
    print(json.dumps({"Version": "2012-10-17", "Statement": kept}, indent=2))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
