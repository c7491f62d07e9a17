"""Serves Terraform a provider that knows the schema of AWS and nothing else, so that `validate`
and `test` check every name and type offline.

    schema_provider.py PACKAGE SOCKET FOLDER…

prints what TF_REATTACH_PROVIDERS wants and serves until it is ended.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import sys

import grpc
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

import aws_schema

USED = re.compile(r'^(resource|data) "(aws_\w+)"', re.MULTILINE)


class SchemaOnly(rpc.ProviderServicer):
    def __init__(self, schemas):
        self.schemas = schemas

    def GetMetadata(self, request, context):
        return pb.GetMetadata.Response()

    def GetProviderSchema(self, request, context):
        region = pb.Schema.Attribute(name="region", type=b'"string"', optional=True)
        answer = pb.GetProviderSchema.Response(
            provider=pb.Schema(block=pb.Schema.Block(attributes=[region])),
            provider_meta=pb.Schema(block=pb.Schema.Block()),
        )
        for (kind, name), block in self.schemas.items():
            schemas = answer.resource_schemas if kind == "resource" else answer.data_source_schemas
            schemas[name].CopyFrom(pb.Schema(block=message(block)))
        return answer

    def ValidateProviderConfig(self, request, context):
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):
        return pb.ValidateDataResourceConfig.Response()

    def StopProvider(self, request, context):
        return pb.StopProvider.Response()


def message(block):
    attributes = [
        pb.Schema.Attribute(
            name=name,
            type=json.dumps(it["type"]).encode(),
            required=it["needed"],
            optional=not it["needed"] and not it.get("computed", False),
            computed=not it["needed"],
        )
        for name, it in block["attributes"].items()
    ]
    nesting = pb.Schema.NestedBlock
    blocks = [
        nesting(
            type_name=name,
            block=message(it["block"]),
            nesting=nesting.SINGLE if name == "timeouts" else nesting.LIST,
            min_items=int(it["needed"]),
            max_items=0 if it["many"] else 1,
        )
        for name, it in block["blocks"].items()
    ]
    for it in blocks:
        if it.nesting == nesting.SINGLE:
            it.min_items = it.max_items = 0
    return pb.Schema.Block(attributes=attributes, block_types=blocks)


def main(package, socket, *folders):
    files = [file for folder in folders for file in pathlib.Path(folder).glob("*.tf")]
    used = {pair for file in files for pair in USED.findall(file.read_text())}
    server = grpc.server(concurrent.futures.ThreadPoolExecutor())
    rpc.add_ProviderServicer_to_server(SchemaOnly(aws_schema.load(package, used)), server)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    reattach = {
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": os.getpid(),
        "Test": True,
        "Addr": {"Network": "unix", "String": socket},
    }
    print(json.dumps({"registry.terraform.io/hashicorp/aws": reattach}), flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
