"""The collector: takes segments from every door, keeps them in ClickHouse, answers the X-Ray API and the dashboard."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fluoro")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+source"
