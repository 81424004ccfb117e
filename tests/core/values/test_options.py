"""The defaults and limits of this room's options: to change one is a decision."""

from tests.options import table

MODULES = ("lmexp.core.values.settings",)
OPTIONS = """\
TrackingConfig.mode = 'auto' of auto, off, offline, online
TrackingConfig.project = None
TrackingConfig.entity = None
TrackingConfig.name = None
TrackingConfig.tags = ()
TrackingConfig.notes = None
TrackingConfig.group = None
TrackingConfig.finish_timeout_s = 20.0 >= 0 <= 86400
ExecutorConfig.threads = 1 >= 1 <= 4096
ExecutorConfig.stale_after_s = 30.0 >= 3 <= 86400
ExecutorConfig.environment = ()
ExecutorConfig.stop_grace_s = 60.0 >= 0 <= 86400
RunConfig.pipeline = 'pretrain'
RunConfig.extensions = () (absent: ())
RunConfig.store = 'outputs'
RunConfig.force = ()
RunConfig.only = ()
RunConfig.tracking = TrackingConfig
RunConfig.executor = ExecutorConfig
"""


def test_no_default_and_no_limit_of_an_option_changes_unnoticed():
    assert table(*MODULES) == OPTIONS
