"""The command line: parse the arguments, call the library, print the result.

Heavy imports stay inside the commands, so that `featherweight --help` is fast.
"""

from __future__ import annotations

import logging
import sys
from contextvars import copy_context
from typing import cast

import typer

from featherweight import __version__, interruption
from featherweight.cli import byhand, checkup, data, look, new, search, see, serve, ship, training, use
from featherweight.cli.examples import example
from featherweight.cli.help import PlainCommand, PlainGroup
from featherweight.cli.output import fail, plain_warnings
from featherweight.cli.trusting import ask_for_trust
from featherweight.errors import FeatherweightError, TrainingInterrupted, Untrusted
from featherweight.files import refusal
from featherweight.outside import say
from featherweight.wording import command_line

UsageError = cast(type[Exception], typer.BadParameter.__mro__[1])   # UsageError of click, or of typer's copy

app = typer.Typer(
    name="featherweight",
    help="The workbench for small image classifiers: design under a budget, see every layer, train fast and honestly.",
    cls=PlainGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (look, new, checkup, training, search, use, ship, serve, see, byhand):
    for command in module.COMMANDS:
        app.command(cls=PlainCommand, epilog=example(command.__name__))(command)
app.add_typer(data.app, name="data")


def version(value: bool) -> None:
    """Print the version and exit."""
    if value:
        say(f"featherweight {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """The workbench for small image classifiers: design under a budget, see every layer, train fast and honestly."""
    if context.invoked_subcommand is None:
        say(*context.get_help().split("\n"))


def usage(fault: Exception) -> str:
    """Return the message for a usage error: the fault, and the command whose --help explains the options."""
    context = getattr(fault, "ctx", None)
    message = getattr(fault, "format_message", fault.__str__)().replace("\n", " ")
    for error in getattr(fault.__cause__, "errors", list)():     # pydantic errors; typer omits the value
        message = message.replace("Invalid value for", f"Invalid value {error['input']!r} for", 1)
    return f"{message} See: {context.command_path if context else 'featherweight'} --help"


def call(arguments: list[str] | None) -> object:
    """Parse the arguments and call the command. Return its exit code or None.

    If a run contains untrusted network code, ask the user and call the command again after a yes.
    Context variables that options set, such as --trust, apply to one call only.
    """
    try:
        with plain_warnings():
            return copy_context().run(app, arguments, prog_name="featherweight", standalone_mode=False)
    except Untrusted as fault:
        if not ask_for_trust(fault):
            raise
    return call(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Codes: 0 done, 1 a check or goal failed, 2 bad input or usage, 130 after Ctrl-C, 128 + N after signal N.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)     # hides a warning about a read-only home
    try:
        with command_line():
            code = call(arguments)
        if code == 130:     # typer's exit code for Ctrl-C
            raise KeyboardInterrupt
    except FeatherweightError as fault:
        fail(*str(fault).split("\n"))
        code = 2
    except TrainingInterrupted as stop:
        interruption.told()     # on a busy machine the process may be ended before it has left by itself
        fail(str(stop))
        code = 128 + stop.signal_number
    except UsageError as fault:
        fail(usage(fault))
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted.")
        code = 130
    except BrokenPipeError:     # the reader of our output, such as head, closed the pipe
        sys.stderr.close()
        code = 0
    except OSError as fault:    # the file system refused: no permission, or the disk is full
        fail(refusal(fault))
        code = 2
    sys.exit(code if isinstance(code, int) else 0)
