"""The AWS provider's schema without the provider: of the resources that are used here, read out
of the bindings that are generated from it and published as a Python package.

What it knows: every attribute and block by name, which are needed, and their types. What it does
not: which values are allowed, and whether a list is a set.
"""

import json
import re
import tarfile

# The packages of version 6 of the provider are made by cdktn, those of version 5 by cdktf.
PREFIX = re.compile(r"@(cdktn|cdktf)/provider-aws\.")
META = {"cdktn.TerraformMetaArguments", "cdktf.TerraformMetaArguments"}
# `{@link https://…/docs/resources/ecs_service#launch_type EcsService#launch_type}`
ORIGINAL_NAME = re.compile(r"#(\w+) [\w.]+#\w+\}")


def load(package, used):
    """The schemas of the `(kind, type)` pairs that are used, kind being resource or data."""
    with tarfile.open(package) as archive:
        types = json.load(archive.extractfile("package/.jsii"))["types"]
    return {key: of_type(types, *key) for key in sorted(used)}


def of_type(types, kind, name):
    words = name.removeprefix("aws_").split("_")
    module = ("data-aws-" if kind == "data" else "") + "-".join(words)
    found = [t for t in types.values() if t.get("locationInModule", {}).get("filename") == f"src/{module}/index.ts"]
    if not found:
        raise SystemExit(f"{kind} {name}: the provider has no such type")
    config = next(t for t in found if t["kind"] == "interface" and META & set(t.get("interfaces", [])))
    construct = next(t for t in found if t["fqn"] == config["fqn"].removesuffix("Config"))
    block = block_of(types, config)
    for computed in computed_of(construct):
        block["attributes"].setdefault(*computed)
    return block


def block_of(types, interface):
    block = {"attributes": {}, "blocks": {}}
    for member in interface.get("properties", []):
        docs = json.dumps(member.get("docs", {}))
        original = ORIGINAL_NAME.search(docs)
        if not original:
            continue
        needed = not member.get("optional", False)
        inner, many = struct_of(types, member["type"])
        if inner and "block." in member["docs"].get("summary", ""):
            block["blocks"][original[1]] = {"block": block_of(types, inner), "many": many, "needed": needed}
        else:
            block["attributes"][original[1]] = {"type": type_of(member["type"]), "needed": needed}
    return block


def struct_of(types, type_):
    """The structure behind a type, and whether there may be many of it."""
    for choice in type_.get("union", {}).get("types", [type_]):
        collection = choice.get("collection", {})
        name = collection.get("elementtype", choice).get("fqn", "")
        if PREFIX.match(name):
            return types[name], collection.get("kind") == "array"
    return None, False


def type_of(type_):
    choices = [c for c in type_.get("union", {}).get("types", [type_]) if c.get("fqn") not in ("cdktn.IResolvable", "cdktf.IResolvable")]
    choice = choices[0] if choices else {}
    if "primitive" in choice:
        return {"boolean": "bool"}.get(choice["primitive"], choice["primitive"])
    if "collection" in choice:
        kind = {"array": "list", "map": "map"}[choice["collection"]["kind"]]
        return [kind, type_of(choice["collection"]["elementtype"])]
    return "dynamic"


def computed_of(construct):
    """What can only be read: it has no `…Input`."""
    names = {member["name"] for member in construct.get("properties", [])}
    for member in construct.get("properties", []):
        name, simple = member["name"], "fqn" not in member["type"]
        if simple and not name.endswith("Input") and f"{name}Input" not in names and name != "tfResourceType":
            yield re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), {"type": type_of(member["type"]), "needed": False, "computed": True}
