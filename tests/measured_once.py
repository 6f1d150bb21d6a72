"""A plugin of pytest: in the embedded pass only what the other pass leaves out is measured.

Measuring makes Python a third slower, and the production pass, which is added to this one's
figures, measures the tests of both modes. Loaded by `-p`; without it everything is measured.
"""

from collections.abc import Iterator

import pytest

from tests.production import is_run_there


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    plugin = item.config.pluginmanager.getplugin("_cov")
    coverage = getattr(plugin, "cov_controller", None)
    if coverage is None:
        return (yield)
    if coverage.started is is_run_there(item):
        (coverage.pause if coverage.started else coverage.resume)()
    return (yield)
