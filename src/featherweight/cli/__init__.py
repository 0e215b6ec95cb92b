"""The command line: parse, call, print. Heavy imports live inside the commands."""

from __future__ import annotations

import logging
import sys
from contextvars import copy_context
from typing import cast

import typer

from featherweight import __version__
from featherweight.cli import byhand, data, look, see, serve, ship, training, use
from featherweight.cli.examples import example
from featherweight.cli.output import fail, plain_warnings
from featherweight.cli.trusting import ask_for_trust
from featherweight.errors import FeatherweightError, TrainingInterrupted, Untrusted
from featherweight.files import refusal
from featherweight.outside import say
from featherweight.wording import command_line

UsageError = cast(type[Exception], typer.BadParameter.__mro__[1])   # click's, wherever this typer keeps it

app = typer.Typer(
    name="featherweight",
    help="The workbench for small image classifiers: design under a budget, see every layer, train fast and honestly.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for module in (look, training, use, ship, serve, see, byhand):
    for command in module.COMMANDS:
        app.command(epilog=example(command.__name__))(command)
app.add_typer(data.app, name="data")


def version(value: bool) -> None:
    """Print the version and stop."""
    if value:
        say(f"featherweight {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Print the version."),
) -> None:
    """The workbench for small image classifiers: design under a budget, see every layer, train fast and honestly."""
    if context.invoked_subcommand is None:
        say(*context.get_help().split("\n"))


def usage(fault: Exception) -> str:
    """What was wrong with the command line, and whose help says what is right."""
    context = getattr(fault, "ctx", None)
    message = getattr(fault, "format_message", fault.__str__)().replace("\n", " ")
    for error in getattr(fault.__cause__, "errors", list)():     # pydantic's, which typer's message does not quote
        message = message.replace("Invalid value for", f"Invalid value {error['input']!r} for", 1)
    return f"{message} See: {context.command_path if context else 'featherweight'} --help"


def call(arguments: list[str] | None) -> object:
    """Parse and call; once more after a person has agreed to run a network's own program. Options last for one call."""
    try:
        with plain_warnings():
            return copy_context().run(app, arguments, prog_name="featherweight", standalone_mode=False)
    except Untrusted as fault:
        if not ask_for_trust(fault):
            raise
    return call(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a goal missed under --strict, 2 bad input or usage."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)     # a home that cannot be written is no news
    try:
        with command_line():
            code = call(arguments)
        if code == 130:     # typer's word for Ctrl-C
            raise KeyboardInterrupt
    except FeatherweightError as fault:
        fail(*str(fault).split("\n"))
        code = 2
    except TrainingInterrupted as stop:
        fail(str(stop))
        code = 128 + stop.signal_number
    except UsageError as fault:
        fail(usage(fault))
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted.")
        code = 130
    except BrokenPipeError:     # the reader of our output, such as head, has seen enough
        sys.stderr.close()
        code = 0
    except OSError as fault:    # the file system refused: no right to write, no room left
        fail(refusal(fault))
        code = 2
    sys.exit(code if isinstance(code, int) else 0)
