"""The entry point of `featherweight` and `python -m featherweight`: signals are heeded before anything is imported."""

from __future__ import annotations

from featherweight import interruption


def main(arguments: list[str] | None = None) -> None:
    """Run the command line in this process and exit; a signal ends it at any moment with one line."""
    interruption.heed("featherweight: interrupted.")
    from featherweight.files import temporary_files_in_one_folder

    with temporary_files_in_one_folder():
        from featherweight.cli import main as run

        try:
            run(arguments)
        except SystemExit as stop:
            raise SystemExit(interruption.over(stop.code)) from None


if __name__ == "__main__":
    main()
