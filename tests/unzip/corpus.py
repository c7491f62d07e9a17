#!/usr/bin/env python3
"""Makes archives, good and bad, and asks the real unzip about each of them.

    corpus.py FOLDER SEED

Writes FOLDER/NNNNN.zip and FOLDER/oracle.tsv: file, how it was made, whether the load task could
load it, and why not. An archive is loadable when `unzip` unpacks it in an empty folder, without
standard input, with exit code 0, and `*.sql` then matches exactly one name, a file.

Nothing here damages compressed data, or the length that says where it begins (of the extra field
in an entry's own header): that is the one thing that the verdict cannot see.
"""
import concurrent.futures
import io
import os
import random
import resource
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib

UNZIP_SECONDS_AT_MOST = 10
FILE_BYTES_AT_MOST = 4 << 20
WORKERS = 4
# Loadable, with names that are written otherwise in another locale.
OTHERWISE = "good in this locale"
STRUCTURED = 2600
DAMAGED = 3600

SQL = b"".join(b"INSERT INTO pcn VALUES (%d, 'paid');\n" % row for row in range(40))
NAMES = [
    "liberator.sql", "liberator_dump_20260615.sql", "dump/liberator.sql", "a.sql", "b.sql", "A.SQL",
    ".sql", ".hidden.sql", "x.sql/readme.txt", "x.sql/", "old/liberator.sql", "readme.txt", "folder/",
    "__MACOSX/._liberator.sql", "./liberator.sql", "./a.sql", "a//b.sql", "/etc/a.sql", "../a.sql",
    "x/../a.sql", "x/..", "..", ".", "x\\a.sql", "x/y\\a.sql", "\\a.sql", "a.sql;1", "a.sql;", "a;b.sql",
    "a.sql;1x", "a\x01.sql", "\x01", "a.sql\n", "caf\u00e9.sql", "caf\u00e9.txt", "\u65e5\u672c.sql", "a b.sql",
    "a.sql ", "-a.sql", "*.sql", "a/b", "a", "x" * 251 + ".sql", "x" * 252 + ".sql", "d/" * 60 + "a.sql",
    "x" * 300 + "/a", "a.sql.bak", "\u00fc/a.sql", "#U00e9.txt",
]


def local(e, offset):
    e["offset"] = offset if e.get("offset") is None else e["offset"]
    streamed = e["lflags"] & 8
    crc, packed, size = (0, 0, 0) if streamed and e.get("zeroed", True) else (e["lcrc"], e["lpacked"], e["lsize"])
    extra = e["lextra"]
    if e.get("zip64"):
        extra = struct.pack("<HHQQ", 1, 16, size, packed) + extra
        packed = size = 0xFFFFFFFF
    head = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", e["needed"], e["lflags"], e["lmethod"], 0, 0x5AC1,
                       crc, packed, size, len(e["lname"]), len(extra))
    return head + e["lname"] + extra + e["data"] + e["after"]


def central(e):
    extra, packed, size, offset = e["extra"], e["packed"], e["size"], e["offset"]
    if e.get("zip64"):
        extra = struct.pack("<HHQQQ", 1, 24, size, packed, offset) + extra
        packed = size = offset = 0xFFFFFFFF
    head = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", e["made"], e["needed"], e["flags"], e["method"], 0,
                       0x5AC1, e["crc"], packed, size, len(e["name"]), len(extra), len(e["comment"]), e["disk"],
                       e["internal"], e["external"], offset)
    return head + e["name"] + extra + e["comment"]


def entry(name, data=SQL, method=8, **more):
    raw = name if isinstance(name, bytes) else name.encode()
    flags = more.pop("flags", 0x800 if any(byte > 127 for byte in raw) and not isinstance(name, bytes) else 0)
    if raw.endswith(b"/"):
        data, method = b"", 0
    packed = data
    if method == 8:
        squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = squeeze.compress(data) + squeeze.flush()
    crc = zlib.crc32(data)
    e = dict(name=raw, lname=raw, data=packed, method=method, lmethod=method, flags=flags, lflags=flags, crc=crc,
             lcrc=crc, size=len(data), lsize=len(data), packed=len(packed), lpacked=len(packed), made=0x031E,
             needed=20, extra=b"", lextra=b"", comment=b"", disk=0, internal=0,
             external=(0o100644 << 16) if not raw.endswith(b"/") else (0o40755 << 16) | 0x10, after=b"")
    e.update(more)
    return e


def archive(entries, prefix=b"", comment=b"", trailer=b"", zip64=False, between=b"", **end):
    body = prefix
    spans = []
    for e in entries:
        start = len(body)
        piece = local(e, start)
        spans.append((start + len(piece) - len(e["data"]) - len(e["after"]), start + len(piece) - len(e["after"])))
        spans.append((start + 28, start + 30))
        body += piece
    body += between
    directory = b"".join(central(e) for e in entries)
    offset = end.get("offset", len(body))
    count, size = end.get("count", len(entries)), end.get("size", len(directory))
    body += directory
    if zip64:
        at = len(body)
        body += struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", end.get("length64", 44), 45, 45, 0, 0, count, count, size,
                            offset)
        body += end.get("gap64", b"")
        body += struct.pack("<4sIQI", b"PK\x06\x07", 0, end.get("at64", at), end.get("disks64", 1))
        if end.get("ones", True):
            count, size, offset = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    disk, start = end.get("disk", 0), end.get("start", 0)
    body += struct.pack("<4sHHHHIIH", b"PK\x05\x06", disk, start, count, count, size, offset, len(comment))
    return body + comment + trailer, spans


def descriptor(e, signed=True, wide=False):
    form = "<IQQ" if wide else "<III"
    return (b"PK\x07\x08" if signed else b"") + struct.pack(form, e["crc"], e["packed"], e["size"])


def unicode_path(name, new, version=1, crc=None):
    body = struct.pack("<BI", version, zlib.crc32(name) if crc is None else crc) + new
    return struct.pack("<HH", 0x7075, len(body)) + body


def structured(rng):
    """An archive of odd names and fields, consistent but for what is odd on purpose."""
    odd = rng.random
    names = rng.sample(NAMES, rng.choice([0, 1, 1, 2, 3])) if odd() < 0.7 else []
    if odd() < 0.75:
        names.insert(rng.randrange(len(names) + 1), "liberator.sql")
    if odd() < 0.03 and names:
        names.append(names[0])
    entries = []
    for name in names:
        e = entry(name, rng.choice([SQL, SQL, b"x", b""]), rng.choice([0, 8, 8, 8]))
        for chance, change in [
            (0.05, lambda: e.update(made=rng.choice([0x0014, 0x0B14, 0x0019, 0x001A, 0x0314, 0x0614, 0x1314, 0x0B32]))),
            (0.02, lambda: e.update(needed=rng.choice([10, 45, 46, 47, 51, 63, 0x0214, 0x0A14]))),
            (0.02, lambda: e.update(external=rng.choice([0, 0x10, 0x08, 0x20, 0o120777 << 16, 0o100000 << 16]))),
            (0.02, lambda: e.update(method=rng.choice([1, 2, 6, 7, 9, 10, 12, 14, 93, 95, 98, 99]))),
            (0.02, lambda: e.update(flags=e["flags"] ^ (1 << rng.randrange(16)))),
            (0.02, lambda: e.update(lflags=e["lflags"] ^ (1 << rng.randrange(16)))),
            (0.03, lambda: e.update(lname=rng.choice(NAMES).encode())),
            (0.02, lambda: e.update(name=e["name"] + rng.choice([b"\0", b"\0.sql", b"\xff"]))),
            (0.03, lambda: (e.update(name=e["name"] + b"\xe9"), e.update(lname=e["name"]))),
            (0.03, lambda: e.update(extra=unicode_path(e["name"], rng.choice(NAMES).encode()))),
            (0.03, lambda: e.update(extra=unicode_path(e["name"], b"u.sql"), lextra=unicode_path(e["name"], b"u.sql"))),
            (0.01, lambda: e.update(extra=unicode_path(e["name"], b"u.sql", crc=7))),
            (0.03, lambda: e.update(extra=b"UT\x05\0\x03abcd", lextra=b"UT\x09\0\x03abcdabcd")),
            (0.02, lambda: e.update(lextra=rng.randbytes(rng.randrange(1, 9)))),
            (0.02, lambda: e.update(extra=rng.randbytes(rng.randrange(1, 9)))),
            (0.02, lambda: e.update(comment=b"a comment")),
            (0.01, lambda: e.update(disk=1)),
            (0.05, lambda: e.update(zip64=True)),
            (0.01, lambda: e.update(lcrc=1)),
            (0.01, lambda: e.update(lsize=e["size"] + 1)),
            (0.01, lambda: e.update(size=e["size"] + 1)),
            (0.01, lambda: e.update(lpacked=e["packed"] + 1)),
        ]:
            if odd() < chance:
                change()
        if odd() < 0.2 and not e["name"].endswith(b"/"):
            e["flags"] |= 8
            e["lflags"] |= 8
            e["after"] = descriptor(e, odd() < 0.8, odd() < 0.3)
            if odd() < 0.05:
                e["after"] = e["after"][: rng.randrange(len(e["after"]))]
            if odd() < 0.3:
                e["zeroed"] = False
        entries.append(e)
    more = {}
    for chance, change in [
        (0.05, dict(comment=rng.choice([b"a comment", b"x" * 5000, b"stop\x13here", b"PK\x05\x06", b"PK\x05\x06" + bytes(18)]))),
        (0.05, dict(trailer=rng.choice([b"\n", bytes(64), b"x" * 9000, b"PK\x05\x06", b"PK\x05\x06" + bytes(18)]))),
        (0.03, dict(prefix=b"#!/bin/sh\n")),
        (0.03, dict(between=b"between")),
        (0.08, dict(zip64=True)),
        (0.03, dict(zip64=True, ones=False)),
        (0.02, dict(zip64=True, **rng.choice([dict(at64=3), dict(at64=1 << 40), dict(disks64=2), dict(length64=90), dict(length64=10), dict(gap64=b"gap")]))),
        (0.02, dict(disk=1)),
        (0.01, dict(start=1)),
        (0.02, dict(count=rng.randrange(5))),
        (0.02, dict(size=rng.randrange(300))),
        (0.02, dict(offset=rng.randrange(300))),
    ]:
        if odd() < chance:
            more.update(change)
    if entries and odd() < 0.02:
        entries[-1]["offset"] = 0
    return archive(entries, **more)


def with_tools(folder):
    """What Python's zipfile, Info-ZIP's zip, 7-Zip and libarchive make of the same files."""
    made = []

    def python(kind, files, unseekable=False, force_zip64=False, **options):
        target = io.BytesIO()
        stream = Unseekable(target) if unseekable else target
        with zipfile.ZipFile(stream, "w", **options) as into:
            for name, data in files:
                with into.open(zipfile.ZipInfo(name) if name.endswith("/") else name, "w", force_zip64=force_zip64) as out:
                    out.write(data)
        made.append((f"python {kind}", target.getvalue()))

    one = [("liberator.sql", SQL)]
    several = [*one, ("old/liberator.sql", b"x"), ("folder/", b""), ("caf\u00e9.txt", b"x")]
    for files, label in [(one, "one"), (several, "several")]:
        for method in [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]:
            for unseekable in [False, True]:
                for wide in [False, True]:
                    python(f"{label} method {method} stream {unseekable} zip64 {wide}", files, unseekable, wide, compression=method)

    tree = os.path.join(folder, "tree")
    os.makedirs(os.path.join(tree, "old"))
    for name, data in [("liberator.sql", SQL), ("old/liberator.sql", b"x"), ("read me.txt", b"x"), ("empty", b"")]:
        with open(os.path.join(tree, name), "wb") as out:
            out.write(data)
    os.symlink("liberator.sql", os.path.join(tree, "latest"))
    stub = os.path.join(folder, "stub")

    def tool(kind, *command, target="made.zip", then=()):
        if shutil.which(command[0]) is None:
            print(f"{command[0]} is not installed: {kind} is left out", file=sys.stderr)
            return
        path = os.path.join(tree, target)
        with open(stub, "wb") as out:
            subprocess.run(command, cwd=tree, stdout=out, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True)
        source = path if os.path.exists(path) else stub
        with open(source, "rb") as whole:
            data = whole.read()
        for change in then:
            data = change(data)
        made.append((kind, data))
        if source == path:
            os.remove(path)

    def adjusted(data):
        path = os.path.join(folder, "sfx.zip")
        with open(path, "wb") as out:
            out.write(b"#!/bin/sh\nexit 0\n" + data)
        subprocess.run(["zip", "-q", "-A", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        with open(path, "rb") as whole:
            return whole.read()

    sql = "liberator.sql"
    for kind, options in [("plain", []), ("stored", ["-0"]), ("best", ["-9"]), ("zip64", ["-fz"]), ("bzip2", ["-Z", "bzip2"]),
                          ("no extra", ["-X"]), ("encrypted", ["-P", "secret"]), ("dos", ["-k"]), ("no folders", ["-D"])]:
        for files in [[sql], ["-r", "."], ["-j", sql, "read me.txt"]]:
            tool(f"zip {kind} {' '.join(files)}", "zip", "-q", *options, "made.zip", *files)
    tool("zip stream", "zip", "-q", "-", sql)
    tool("zip stream zip64", "zip", "-q", "-fz", "-", sql)
    tool("zip symlinks", "zip", "-q", "-y", "-r", "made.zip", ".")
    tool("zip stub", "zip", "-q", "made.zip", sql, then=[lambda data: b"#!/bin/sh\nexit 0\n" + data])
    tool("zip stub adjusted", "zip", "-q", "made.zip", sql, then=[adjusted])
    seven = next((name for name in ["7z", "7zz"] if shutil.which(name)), "7z")
    for method in ["Copy", "Deflate", "Deflate64", "BZip2", "LZMA", "PPMd"]:
        tool(f"7z {method}", seven, "a", "-tzip", f"-mm={method}", "made.zip", sql)
    for method in ["ZipCrypto", "AES256"]:
        tool(f"7z {method}", seven, "a", "-tzip", "-psecret", f"-mem={method}", "made.zip", sql)
    for kind, options in [("deflate", []), ("store", ["--options", "zip:compression=store"]), ("zip64", ["--options", "zip:zip64"]),
                          ("encrypted", ["--options", "zip:encryption", "--passphrase", "secret"])]:
        for files in [[sql], ["."]]:
            tool(f"bsdtar {kind} {' '.join(files)}", "bsdtar", "--format", "zip", *options, "-cf", "made.zip", "--exclude", "made.zip", *files)
            tool(f"bsdtar stream {kind} {' '.join(files)}", "bsdtar", "--format", "zip", *options, "-cf", "-", *files)
    return [(kind, data, data_spans(data)) for kind, data in made]


class Unseekable(io.RawIOBase):
    def __init__(self, into):
        self.into = into

    def writable(self):
        return True

    def write(self, data):
        return self.into.write(data)


def data_spans(data):
    """Where the compressed data lies, and what says so, by the directory."""
    spans = []
    with zipfile.ZipFile(io.BytesIO(data)) as whole:
        for info in whole.infolist():
            name, extra = struct.unpack("<HH", data[info.header_offset + 26 : info.header_offset + 30])
            start = info.header_offset + 30 + name + extra
            spans.append((start, start + info.compress_size))
            spans.append((info.header_offset + 28, info.header_offset + 30))
    return spans


def outside(rng, data, spans):
    """A byte that is not compressed data."""
    while True:
        at = rng.randrange(len(data))
        if not any(start <= at < end for start, end in spans):
            return at


def damaged(rng, bases):
    kind, data, spans = rng.choice(bases)
    how = rng.choice(["flip", "flip", "byte", "byte", "some", "cut", "cut out", "insert", "join", "number", "repeat"])
    out = bytearray(data)
    if how == "flip":
        out[outside(rng, data, spans)] ^= 1 << rng.randrange(8)
    elif how == "byte":
        out[outside(rng, data, spans)] = rng.choice([0, 1, 0xFF, rng.randrange(256)])
    elif how == "some":
        for _ in range(rng.randrange(2, 5)):
            out[outside(rng, data, spans)] ^= 1 << rng.randrange(8)
    elif how == "cut":
        out = out[: rng.randrange(len(data))]
    elif how == "cut out":
        at = rng.randrange(len(data))
        del out[at : at + rng.choice([1, 2, 30, rng.randrange(1, len(data))])]
    elif how == "insert":
        at = rng.randrange(len(data) + 1)
        out[at:at] = rng.choice([b"\n", b"\0", b"\r\n", rng.randbytes(rng.randrange(1, 80)), data])
    elif how == "join":
        _, other, _ = rng.choice(bases)
        out = bytearray(rng.choice([data + other, data + b"\n" + other, data[: rng.randrange(len(data))] + other,
                                    data + other[rng.randrange(len(other)) :]]))
    elif how == "number":
        at = max(data.rfind(b"PK\x05\x06"), 0) + rng.choice([4, 6, 8, 10, 12, 14, 16, 18, 20])
        value = rng.choice([0, 1, 2, 0xFFFF, rng.randrange(65536)])
        out[at : at + 2] = struct.pack("<H", value)
    elif how == "repeat":
        end = data.rfind(b"PK\x01\x02")
        out[end:end] = data[end : data.rfind(b"PK\x05\x06")]
    return f"{how} of {kind}", bytes(out)


def limit():
    """For this process and all that it starts."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_AT_MOST, FILE_BYTES_AT_MOST))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.getpid() != os.getpgrp():
        os.setsid()  # no terminal to ask on


def ask_in(path, folder, locale):
    into = tempfile.mkdtemp(dir=folder)
    try:
        ran = subprocess.run(["unzip", path], cwd=into, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, timeout=UNZIP_SECONDS_AT_MOST,
                             env={"PATH": os.environ["PATH"], "LC_ALL": locale})
        if ran.returncode != 0:
            return f"exit {ran.returncode}"
        here = os.fsencode(into)
        matching = [name for name in os.listdir(here) if name.endswith(b".sql") and not name.startswith(b".")]
        if len(matching) != 1:
            return f"{len(matching)} match"
        found = os.stat(os.path.join(here, matching[0]))
        if not stat.S_ISREG(found.st_mode):
            return "no file"
        names = [name for _, folders, files in os.walk(here) for name in folders + files]
        return "good" if all(name.isascii() and b"#" not in name for name in names) else OTHERWISE
    except subprocess.TimeoutExpired:
        return "asks"
    except OSError:  # a link that leads nowhere
        return "no file"
    finally:
        if os.getuid():
            subprocess.run(["chmod", "-R", "u+rwX", into], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(into, ignore_errors=True)


def ask(path, folder):
    """Good is only what is good in both locales that the task may have."""
    said = ask_in(path, folder, "C")
    if said == OTHERWISE:
        said = ask_in(path, folder, "C.UTF-8")
    return "good" if said == OTHERWISE else said


def main():
    folder, seed = sys.argv[1], int(sys.argv[2])
    limit()
    rng = random.Random(seed)
    bases = with_tools(folder)
    for number in range(12):
        e = entry("liberator.sql", method=rng.choice([0, 8]), flags=8)
        e["after"] = descriptor(e, number % 2 == 0, number % 3 == 0)
        data, spans = archive([e, entry("readme.txt", b"x", 0)], zip64=number % 4 == 0)
        bases.append((f"made descriptor {number}", data, spans))
    archives = [(f"whole {kind}", data) for kind, data, _ in bases]
    for number in range(STRUCTURED):
        archives.append((f"structured {number}", structured(rng)[0]))
    archives += [damaged(rng, bases) for _ in range(DAMAGED)]
    paths = []
    for number, (kind, data) in enumerate(archives):
        path = os.path.join(folder, f"{number:05}.zip")
        with open(path, "wb") as out:
            out.write(data)
        paths.append(path)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(lambda path: ask(path, folder), paths))
    with open(os.path.join(folder, "oracle.tsv"), "w", encoding="utf-8") as out:
        for path, (kind, _), answer in zip(paths, archives, answers):
            out.write(f"{os.path.basename(path)}\t{kind}\t{answer}\n")


main()
