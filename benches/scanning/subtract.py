"""What most people would write: list the dumps and, with sixteen threads, every table's
partitions through boto3, and subtract. Usage: subtract.py ENDPOINT FROM"""

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

endpoint, first = sys.argv[1:]
options = dict(
    endpoint_url=endpoint,
    region_name="eu-west-2",
    aws_access_key_id="AKIDEXAMPLE",
    aws_secret_access_key="secret",
    config=Config(max_pool_connections=16, s3={"addressing_style": "path"}),
)
glue, s3 = boto3.client("glue", **options), boto3.client("s3", **options)

dumps = set()
for page in s3.get_paginator("list_objects_v2").paginate(Bucket="landing", Prefix="parking/"):
    dumps.update(entry["Key"][-12:-4] for entry in page.get("Contents", []))

tables = []
for page in glue.get_paginator("get_tables").paginate(DatabaseName="raw"):
    tables.extend(table["Name"] for table in page["TableList"])


def dates(table):
    pages = glue.get_paginator("get_partitions").paginate(
        DatabaseName="raw",
        TableName=table,
        Expression=f"import_date >= '{first}'",
        ExcludeColumnSchema=True,
    )
    return {row["Values"][3] for page in pages for row in page["Partitions"]}


with ThreadPoolExecutor(16) as pool:
    whole = set.intersection(*pool.map(dates, tables))
print(len(dumps - whole), "dates are not whole")
