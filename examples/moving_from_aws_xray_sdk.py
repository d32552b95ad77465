"""Moving from aws-xray-sdk: the same program, after changing where one line imports from. Before, that line was

    from aws_xray_sdk.core import patch_all, xray_recorder

and the program needed an X-Ray daemon. Now it is

    python examples/moving_from_aws_xray_sdk.py

You will see one trace: `bakery`, in it `knead` and `bake`, with the annotation and the metadata, and in `bake` the query.
"""

import sqlite3

from fluoro.compat.aws_xray_sdk.core import patch_all, xray_recorder

xray_recorder.configure(service="bakery", sampling=False)
patch_all()


@xray_recorder.capture("knead")
def knead(loaves):
    subsegment = xray_recorder.current_subsegment()
    subsegment.put_annotation("loaves", loaves)
    subsegment.put_metadata("recipe", {"flour_g": 500 * loaves}, "kitchen")


with xray_recorder.in_segment("bakery"):
    knead(12)
    with xray_recorder.in_subsegment("bake"):
        ovens = sqlite3.connect(":memory:").cursor()
        ovens.execute("SELECT 'hot'")
