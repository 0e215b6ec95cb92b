"""A worker process: reads requests from standard input and writes answers to standard output until the input ends.

The worker also ends if the server is killed.
Each message is one line of JSON, whose key `bytes` is the length of the body, followed by the body.
"""

from __future__ import annotations

import array
import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight import interruption
from featherweight.garbage import collect_rarely
from featherweight.outside import say

if TYPE_CHECKING:
    from featherweight.serve.answers import Answerer, PictureRequest


def main() -> None:
    """Run the worker. Command line: python -m featherweight.serve.worker BUNDLE"""
    interruption.end_with_parent(os.getppid())      # before the imports, which take seconds
    collect_rarely()
    from featherweight.inference.bundle import Bundle
    from featherweight.serve.answers import Answerer

    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr     # a print() of any library must not mix with the answers
    answerer = Answerer(Bundle.open(Path(sys.argv[1])))
    while line := questions.readline():
        head = json.loads(line)
        status, body = respond(answerer, unpack(head, questions.read(head["bytes"])))
        answers.write(json.dumps({"status": status, "bytes": len(body)}).encode() + b"\n" + body)
        answers.flush()


def respond(answerer: Answerer, question: PictureRequest) -> tuple[int, bytes]:
    """Return the HTTP status and the body of the answer.

    200 and the JSON, 422 and the message about the picture, or 500 and an empty body after logging the error.
    """
    from featherweight.errors import FeatherweightError, PictureError

    try:
        return 200, answerer.respond(question)
    except PictureError as fault:
        return 422, str(fault).encode()
    except FeatherweightError as fault:     # a fault of the network, such as an output of NaN
        say(str(fault), error=True)
        return 500, b""
    except Exception:
        traceback.print_exc()
        return 500, b""


def pack(question: PictureRequest) -> bytes:
    """Return a request as a message: one line of JSON and the body."""
    given = question.picture
    body = given if isinstance(given, bytes) else array.array("d", given).tobytes()
    head = {"bytes": len(body), "numbers": body is not given, "number": question.number}
    head |= {"explain": question.explain, "many": question.many}
    return json.dumps(head).encode() + b"\n" + body


def unpack(head: dict[str, Any], body: bytes) -> PictureRequest:
    """Return the request from a message of `pack`: its parsed line and its body."""
    from featherweight.serve.answers import PictureRequest

    picture = list(array.array("d", body)) if head["numbers"] else body
    return PictureRequest(picture, head["number"], head["explain"], head["many"])


if __name__ == "__main__":
    main()
