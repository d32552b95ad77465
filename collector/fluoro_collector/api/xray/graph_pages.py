"""A very large map in pages. ReferenceIds hold over all of them, so all pages must be of one and the same map.

A token names the map by a hash of its nodes. The maps asked for last are kept; one that is not, or that another collector
made, is computed again, and is the same as long as its nodes are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import Any

import msgspec

from .request import invalid
from .shared import Body

PAGE = 1000  # services in one answer
_KEPT = 4

_Services = list[dict[str, Any]]
_lock = threading.Lock()
_kept: OrderedDict[str, _Services] = OrderedDict()


def graph_page(found: _Services, body: Body) -> tuple[_Services, dict[str, str]]:
    """The services that `body` asks for, and NextToken if more follow."""
    token = body.get("NextToken", "")
    first = 0
    if token:
        name, _, place = token.partition(".")
        if not (place.isascii() and place.isdigit() and len(place) < 9) or not name:
            raise invalid("NextToken was not given out by this operation")
        first = int(place)
        with _lock:
            kept = _kept.get(name)
        if kept is None and _name(found) != name:
            raise invalid("NextToken: the map has changed since its first page; ask for the first page again")
        found = kept or found
    elif len(found) > PAGE:
        with _lock:
            _kept[_name(found)] = found
            while len(_kept) > _KEPT:
                _kept.popitem(last=False)
    more = first + PAGE < len(found)
    return found[first : first + PAGE], {"NextToken": f"{_name(found)}.{first + PAGE}"} if more else {}


def _name(services: _Services) -> str:
    keys = [(service["Name"], service.get("Type")) for service in services]
    return blake2b(msgspec.json.encode(keys), digest_size=12).hexdigest()
