"""A dispatcher on a host that moves when a test says so, and what its callers are told."""

from __future__ import annotations

from dcc_mcp_embed import errors
from dcc_mcp_embed.host import dispatch, job

from .clock import FakeClock
from .executor import ManualHost


class Caller:
    """Makes jobs and keeps what their callers are told."""

    def __init__(self, lock=None, **options):
        self.clock = FakeClock()
        self.host = ManualHost()
        self.laters = []
        self.logged = []
        self.dispatcher = dispatch.Dispatcher(
            self.host,
            self.clock,
            lambda delay, function, *args: self.laters.append((delay, function, args)),
            lambda level, text: self.logged.append((level, text)),
            **options,
        )
        if lock is not None:
            self.dispatcher._lane.lock = lock
        self.told = {}
        self.errors = {}
        self.effects = []
        self.reports = {}

    def job(self, name, run=None, **options):
        def finish(value, error, report):
            self.reports[name] = report
            if error is not None:
                return ("error", error)
            return ("value", value)

        def settled(the_job, answer, error):
            self.told.setdefault(name, []).append(
                error.code if isinstance(error, errors.ToolError) else answer
            )
            self.errors[name] = error

        def default():
            self.effects.append(name)
            return name

        return job.Job("id-" + name, name, run or default, finish, settled, **options)

    def submit(self, name, run=None, **options):
        one = self.job(name, run, **options)
        self.dispatcher.submit(one)
        return one

    def later(self):
        delay, function, args = self.laters.pop(0)
        self.clock.advance(delay)
        function(*args)
