"""Sessions of SQLAlchemy: its statements are recorded by fluoro's instrumentation, switched on by the first of these."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm.query import Query
from sqlalchemy.orm.session import Session, sessionmaker

from fluoro.compat.aws_xray_sdk.core.patcher import enable


class XRaySession(Session):
    """A session like any other."""


class XRayQuery(Query):  # type: ignore[type-arg]
    """A query like any other."""


class XRaySessionMaker(sessionmaker):  # type: ignore[type-arg]
    """`sessionmaker` with the arguments of SQLAlchemy 1.4; 2.0 refuses `autocommit=True`."""

    def __init__(
        self,
        bind: Any = None,
        class_: type[Session] = XRaySession,
        autoflush: bool = True,
        autocommit: bool = False,
        expire_on_commit: bool = True,
        info: dict[Any, Any] | None = None,
        **kw: Any,
    ) -> None:
        enable(["sqlalchemy"])
        if autocommit:
            kw["autocommit"] = True
        kw.setdefault("query_cls", XRayQuery)
        super().__init__(bind, class_=class_, autoflush=autoflush, expire_on_commit=expire_on_commit, info=info, **kw)
