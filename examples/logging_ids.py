"""Log lines that say to which trace they belong. Every record has `trace_id` and `span_id`; the format shows them.

    fluoro run --service bakery python examples/logging_ids.py

You will see the first line without ids and the other two with the same trace id. Paste it into the dashboard's search.
"""

import logging

import fluoro

logging.basicConfig(level=logging.INFO, format="%(levelname)s trace_id=%(trace_id)s span_id=%(span_id)s %(message)s")
log = logging.getLogger("bakery")

log.info("the bakery opens")
with fluoro.span("bake"):
    log.info("the oven is on")
    with fluoro.span("knead"):
        log.warning("the dough is sticky")
