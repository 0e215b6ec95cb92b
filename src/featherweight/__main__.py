"""Entry point of `featherweight` and `python -m featherweight`. Prepares what has to be set before other imports."""

from __future__ import annotations

import os

from featherweight import interruption
from featherweight.garbage import collect_rarely
from featherweight.plain_text import use_plain_text


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit. A signal ends the process at any moment, with a message of one line."""
    interruption.heed("featherweight: interrupted.")
    use_plain_text()
    collect_rarely()
    from featherweight.cores import wait_passively

    wait_passively(os.environ)      # torch reads it when it loads
    from featherweight.files import temporary_files_in_one_folder

    with temporary_files_in_one_folder():
        from featherweight.cli import main as run

        try:
            run(arguments)
        except SystemExit as stop:
            raise SystemExit(interruption.over(stop.code)) from None


if __name__ == "__main__":
    main()
