"""Spans of your own: around a block, on a function, in threads; with annotations to search by, and metadata to read.

    fluoro run --service bakery python examples/manual_spans.py

You will see one trace: `bake the order`, in it `knead` and then two `oven`s side by side, each in a thread of its own. The
second oven is a fault: its exception, with the stack, is recorded and goes on as always. Search for
`annotation.loaves > 10`.
"""

from concurrent.futures import ThreadPoolExecutor

import fluoro


@fluoro.span("knead")
def knead(loaves):
    fluoro.metadata("recipe", {"flour_g": 500 * loaves, "water_g": 325 * loaves})


def bake(oven):
    with fluoro.span("oven"):
        fluoro.annotate("oven", oven)
        if oven == 2:
            raise RuntimeError("the oven is cold")


with fluoro.span("bake the order"):
    fluoro.annotate("loaves", 12)
    knead(12)
    with ThreadPoolExecutor() as pool:
        for oven in [pool.submit(bake, 1), pool.submit(bake, 2)]:
            print(oven.exception() or "baked")
    print("see trace", fluoro.current_trace_id())
