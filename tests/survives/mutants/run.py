#!/usr/bin/env python3
"""Mutation testing of domain/ and plan/: which small change of the code does no test notice?

cargo-mutants says what could be changed; everything else is done here, because building once
for each of its mutants would take a day. All of them are put into one copy of the daemon's heart
(copy.sh): every function picks its body by the environment, which holds the number of the one
mutant that is on. The copy is built once, optimised, and its tests are run once for each mutant,
the quick ones first, until one fails. A mutant that does not compile is taken out.

Usage: run.py [--only TEXT] [--jobs N]: mutants whose names contain TEXT. Names of those that
survive are printed, with the file where known ones have their reason (survivors.md); an unknown
one ends in 1. Needs cargo-mutants.
"""

import argparse
import bisect
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SWITCH = "GAPMEND_MUTANT"
# The longest that a stage of the tests may take, in seconds: a mutant may go round in circles.
LIMIT = 120
# The stages, the quick ones first: a test binary and what is asked of it.
STAGES = [
    # This one reads the source, in which the mutants stand.
    ("gapmend", ["plan::", "domain::", "--skip", "the_list_of_labels_is_whole"]),
    ("scenarios", []),
    ("survives", ["stale", "holding", "crash_points"]),
    ("survives", ["years::a_year"]),
]
SEEDS = "40"
# A mutant may also fill the memory.
MOST_BYTES = 2 << 30
# Given to every copy: the number of the mutant that is on.
PICK = f"""
/// The mutant that is on.
#[must_use]
pub fn mutant() -> u32 {{
    static ON: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {{
        std::env::var("{SWITCH}").ok().and_then(|on| on.parse().ok()).unwrap_or(0)
    }});
    *ON
}}
"""


class Text:
    """A source file, addressed by line and column, both from one."""

    def __init__(self, text):
        self.text = text
        self.lines = [0]
        for line in text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def at(self, place):
        """Columns count characters."""
        return self.lines[place["line"] - 1] + place["column"] - 1

    def line_of(self, offset):
        return bisect.bisect_right(self.lines, offset)


def listed(only):
    """What cargo-mutants would change, numbered from one."""
    asked = ["cargo", "mutants", "--list", "--json", "--config", ROOT / ".cargo/mutants.toml"]
    found = json.loads(subprocess.run(asked, cwd=ROOT, check=True, capture_output=True).stdout)
    mutants = [mutant for mutant in found if mutant["function"]]
    for number, mutant in enumerate(mutants, 1):
        mutant["number"] = number
    return [mutant for mutant in mutants if only in mutant["name"]]


def body_of(text, function):
    """Where a function's body begins and ends, between its braces."""
    start, end = text.at(function["span"]["start"]), text.at(function["span"]["end"])
    depth = 0
    for offset in range(start, end):
        letter = text.text[offset]
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
        if letter == "{" and depth == 0:
            return offset + 1, text.text.rindex("}", offset, end)
    raise ValueError(f"{function['function_name']} has no body")


def with_mutants(path, mutants):
    """A file with every mutant as a body of its function; and which lines are whose."""
    text = Text(path.read_text())
    functions = {}
    for mutant in mutants:
        functions.setdefault(body_of(text, mutant["function"]), []).append(mutant)
    out, done, lines = [], 0, []
    for (start, end), theirs in sorted(functions.items()):
        if start < done or "const fn" in text.text[text.text.rindex("\n", 0, start) : start]:
            continue  # a function in a function; one that the environment cannot change
        out.append(text.text[done:start])
        out.append(" match crate::mutant() {\n")
        for mutant in theirs:
            at, to = text.at(mutant["span"]["start"]), text.at(mutant["span"]["end"])
            body = text.text[start:at] + mutant["replacement"] + " " + text.text[to:end]
            first = sum(part.count("\n") for part in out) + 1
            out.append(f"{mutant['number']} => {{{body}}}\n")
            lines.append((first, sum(part.count("\n") for part in out), mutant["number"]))
        out.append(f"_ => {{{text.text[start:end]}}} }}")
        done = end
    out.append(text.text[done:])
    return "".join(out), lines


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build(copy, mutants, target):
    """Builds the copy with what compiles; the test binaries, and the numbers of what is in it."""
    subprocess.run([HERE.parent / "copy.sh", copy], check=True)
    with (copy / "src/lib.rs").open("a") as lib:
        lib.write(PICK)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_INCREMENTAL": "0"}
    # What did not compile last time is not tried again, as long as its file stays what it was.
    refused = copy / "refused.json"
    known = json.loads(refused.read_text()) if refused.exists() else {}
    hashes = {name: digest(ROOT / name) for name in {mutant["file"] for mutant in mutants}}
    command = ["cargo", "test", "--no-run", "--message-format=json", "--lib"]
    command += ["--test", "scenarios", "--test", "survives"]
    out = {mutant["number"] for mutant in mutants if known.get(mutant["name"]) == hashes[mutant["file"]]}
    while True:
        whose, inside = {}, set()
        for name in sorted({mutant["file"] for mutant in mutants}):
            theirs = [it for it in mutants if it["file"] == name and it["number"] not in out]
            text, lines = with_mutants(ROOT / name, theirs)
            (copy / name).write_text(text)
            whose[name] = lines
            inside |= {number for _, _, number in lines}
        came = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
        units = [json.loads(line) for line in came.stdout.splitlines() if line.startswith("{")]
        if came.returncode == 0:
            left_out = [mutant for mutant in mutants if mutant["number"] in out]
            refused.write_text(
                json.dumps(known | {it["name"]: hashes[it["file"]] for it in left_out})
            )
            return {
                unit["target"]["name"]: unit["executable"]
                for unit in units
                if unit.get("executable") and unit["profile"]["test"]
            }, inside
        bad = set()
        for unit in units:
            message = unit.get("message") or {}
            if message.get("level") != "error":
                continue
            for span in message["spans"]:
                for first, last, number in whose.get(span["file_name"], []):
                    if first <= span["line_start"] <= last:
                        bad.add(number)
        if not bad:
            sys.exit(came.stderr[-4000:])
        print(f"{len(bad)} do not compile", flush=True)
        out |= bad


def first_failure(command, copy, environment):
    """The first test that fails, which ends the others; none when all pass."""
    tests = subprocess.Popen(
        command,
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES)),
    )
    late = threading.Event()
    alarm = threading.Timer(LIMIT, lambda: (late.set(), tests.kill()))
    alarm.start()
    try:
        for line in tests.stdout:
            failed = re.match(r"test (\S+) .*FAILED", line)
            if failed:
                return failed.group(1)
        ended = tests.wait()
        return "no end" if late.is_set() else "ended" if ended else None
    finally:
        alarm.cancel()
        tests.kill()
        tests.wait()


def noticed(binaries, copy, number):
    """The first test that fails with the mutant on; none when it survives."""
    environment = {
        **os.environ,
        SWITCH: str(number),
        "GAPMEND_SEEDS": SEEDS,
        "GAPMEND_HISTORIES": SEEDS,
        "RUST_BACKTRACE": "0",
    }
    for binary, arguments in STAGES:
        command = [binaries[binary], *arguments, "--test-threads", "2"]
        failed = first_failure(command, copy, environment)
        if failed:
            return failed
    return None


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", default="")
    arguments.add_argument("--jobs", type=int, default=2)
    arguments = arguments.parse_args()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    copy = target / "heart-mutants"
    mutants = listed(arguments.only)
    binaries, inside = build(copy, mutants, target / "heart-mutants-built")
    tried = [mutant for mutant in mutants if mutant["number"] in inside]
    print(f"{len(mutants)} mutants, {len(tried)} of them compile", flush=True)
    if noticed(binaries, copy, 0):
        sys.exit("the tests fail without any mutant")
    known = (HERE / "survivors.md").read_text()
    survived = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        by = pool.map(lambda mutant: noticed(binaries, copy, mutant["number"]), tried)
        for mutant, test in zip(tried, by):
            name = re.sub(r":\d+:\d+:", ":", mutant["name"])
            print(f"{mutant['name']}\t{test or 'SURVIVED'}", flush=True)
            if not test:
                survived.append((name, name in known))
    unknown = [name for name, is_known in survived if not is_known]
    print(f"{len(tried) - len(survived)} noticed, {len(survived)} survived")
    sys.exit(bool(unknown))


if __name__ == "__main__":
    main()
