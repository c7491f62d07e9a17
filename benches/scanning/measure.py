"""Runs a command as a whole process; prints its seconds, and its peak memory in KiB.
Usage: measure.py COMMAND [ARGUMENT ...]"""

import resource
import subprocess
import sys
import time

begun = time.monotonic()
ended = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
seconds = time.monotonic() - begun
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{seconds:.4f} {used.ru_maxrss} {used.ru_utime + used.ru_stime:.4f} {ended.returncode}")
print(ended.stdout.strip()[-200:].replace("\n", " "))
