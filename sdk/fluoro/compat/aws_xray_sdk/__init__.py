"""The AWS X-Ray SDK's public API (2.15) over fluoro's recorder: to move, change the imports.

    from fluoro.compat.aws_xray_sdk.core import patch_all, xray_recorder

Modules, names and signatures are the original's. Segments and subsegments are views of fluoro's spans: an annotation put
here and one put with `fluoro.annotate` go to the same place, and what a library's instrumentation records lies below what
the application began. Where the original would lose data or raise for its own reasons, this does not:

- The current entity lives in a context variable, so tasks, `to_thread` and (when patched) threads have their own.
- An entity is sent when it ends, whatever is still open above or below it; there is no streaming to configure.
- An unsampled entity has real ids, and passes on the trace that it belongs to.
"""

from __future__ import annotations

from fluoro.compat.aws_xray_sdk.sdk_config import SDKConfig

global_sdk_config = SDKConfig()
