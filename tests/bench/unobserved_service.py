"""
The service without its measurements of requests: what observing it is compared with.

`python -m tests.bench.unobserved_service serve …` takes what `python -m service` takes.
"""

from service.server import recording
from service.server.around import Around

if __name__ == "__main__":
    # before the composition root takes it from there
    recording.measure = lambda _http: Around()
    from service import cli

    cli.main()
