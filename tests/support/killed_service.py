"""The service, killed at a failpoint: `python -m tests.support.killed_service`."""

from service.cli import main
from service.commitlog import log
from tests.support.failpoints import FAILPOINT, Files

if __name__ == "__main__":
    if FAILPOINT:
        log.OsFileSystem = Files
    main()
