#!/usr/bin/env python3
"""Runs the Dockerfile's compiling stage without a container engine, in the very context that
Dockerfile.dockerignore leaves.

    context.py BINARY      needs the `docker` Python package, and cargo

Docker's own client library reads the ignore file. Every COPY and RUN of the stage is carried out in
order, in a folder of its own, with the real cargo. Two things differ: `cargo check` stands for
`cargo build --release`, which takes ten minutes, and BINARY for its result.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

from docker.utils.build import exclude_paths

ROOT = pathlib.Path(__file__).resolve().parents[2]
STAGE = "build"


def instructions(dockerfile):
    """The instructions of a Dockerfile, comments dropped and continued lines joined."""
    lines = (line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#"))
    joined = "\n".join(lines).replace("\\\n", " ")
    return [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]


def of_stage(all_of_them, name):
    inside = False
    for word, rest in all_of_them:
        if word == "FROM":
            inside = rest.endswith(f" AS {name}")
        elif inside:
            yield word, rest


def context(target):
    patterns = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    ignored = [line for line in patterns if line and not line.startswith("#")]
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    for path in set(tracked.stdout.split("\0")) & exclude_paths(str(ROOT), ignored):
        if path:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, target / path)


def copy(sources, into, here, work):
    for source in sources:
        if not (here / source).exists():
            raise SystemExit(f"COPY {source}: Dockerfile.dockerignore keeps it out of the context")
        to = work / into
        if (here / source).is_dir():
            shutil.copytree(here / source, to, dirs_exist_ok=True)
        else:
            shutil.copy2(here / source, to / source if to.is_dir() else to)


def main(binary):
    with tempfile.TemporaryDirectory() as folder:
        here, work, out = (pathlib.Path(folder, name) for name in ("context", "source", "out"))
        for path in (here, work):
            path.mkdir()
        context(here)
        environment = dict(os.environ)
        environment.setdefault("CARGO_TARGET_DIR", str(ROOT / "target"))
        for word, rest in of_stage(instructions(ROOT / "deploy/Dockerfile"), STAGE):
            if word == "COPY":
                *sources, into = shlex.split(rest)
                copy(sources, into, here, work)
            elif word == "RUN":
                command = rest.replace("cargo build --release", "cargo check --quiet")
                command = command.replace("target/release/gapmend", shlex.quote(binary))
                command = command.replace("/out/", f"{out}/")
                if subprocess.run(["sh", "-euc", command], cwd=work, env=environment).returncode:
                    raise SystemExit(f"this step of the Dockerfile fails in its context: {rest}")
            elif word == "ARG":
                name, _, default = rest.partition("=")
                environment[name] = default
            elif word != "WORKDIR":
                raise SystemExit(f"{word}: this check does not know what it does")
        if not (out / "gapmend").exists():
            raise SystemExit("the compiling stage leaves no /out/gapmend")
        files = sum(path.is_file() for path in here.rglob("*"))
        print(f"the image's context: {files} files, and cargo compiles what the Dockerfile asks of it")


if __name__ == "__main__":
    main(str(pathlib.Path(sys.argv[1]).resolve()))
