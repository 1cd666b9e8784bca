"""A tool call under way, as whoever began it holds it. Loop thread."""

from __future__ import annotations

from typing import Callable, Optional, Union

from ..errors import NotFound
from ..host.dispatch import Dispatcher
from ..host.job import Job
from ..tools.jobs import Later

__all__ = ["Running", "UnderWay"]


class Running:
    """A call under way. ``cancel()`` is for the client's own wish; the answer still comes."""

    __slots__ = ("job", "lane", "withdraw")

    def __init__(self) -> None:
        self.job: Optional[Job] = None
        self.lane: Optional[Dispatcher] = None
        #: Set while the call waits for the user's consent.
        self.withdraw: Optional[Callable[[], None]] = None

    def cancel(self) -> None:
        """Cancel the call if it has not started or can be stopped between two steps. Loop thread.

        A call that is over already is left alone.
        """
        if self.withdraw is not None:
            self.withdraw()
        elif self.job is not None and self.lane is not None:
            try:
                self.lane.cancel(self.job.job_id)
            except NotFound:
                pass


#: What a call is under way as: a job, or no more than a wait for the end of one.
UnderWay = Union[Running, Later]
