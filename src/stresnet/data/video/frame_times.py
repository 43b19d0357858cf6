"""Times that only go forward, from the time stamps that a file gives."""

from __future__ import annotations


class FrameTimes:
    """Seconds after the first frame; strictly increasing, whatever the stamps are.

    Args:
        step: the nominal time between two frames, in seconds.
    """

    def __init__(self, step: float) -> None:
        self._step = step
        self._origin: float | None = None
        self._last = -step

    def time_of(self, stamp: float | None) -> float:
        """The next frame's time, given its stamp in seconds.

        A missing stamp, or one that does not go forward, counts as one step after the last frame.
        """
        time = expected = self._last + self._step
        if stamp is not None:
            if self._origin is None:
                self._origin = stamp - expected
            time = stamp - self._origin
        self._last = time if time > self._last else expected
        return self._last
