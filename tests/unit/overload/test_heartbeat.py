"""The lateness of a loop, by a clock that the test turns."""

from service.overload.heartbeat import Heartbeat


async def test_late_beat_tells_how_late():
    """From when it was due on; nothing before that, and nothing after the stop."""
    now = [100.0]
    beats = []
    heart = Heartbeat(lambda: beats.append(1), interval=10, clock=lambda: now[0])
    assert heart.overdue(100.0) == 0.0

    heart.start()

    assert beats == [1]
    assert heart.overdue(109.0) == 0.0
    assert heart.overdue(112.5) == 2.5
    heart.stop()
    assert heart.overdue(200.0) == 0.0
