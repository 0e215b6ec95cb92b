"""A process that answers: questions on its standard input, answers on its standard output, until the input ends.

It ends with the server, however that goes. Each message is a line of JSON that says how many bytes follow, and these.
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
from featherweight.outside import say

if TYPE_CHECKING:
    from featherweight.serve.answers import Answerer, Question


def main() -> None:
    """python -m featherweight.serve.worker BUNDLE"""
    interruption.end_with_parent(os.getppid())      # before the imports, which take seconds
    from featherweight.inference.bundle import Bundle
    from featherweight.serve.answers import Answerer

    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr     # whatever prints must not speak between the answers
    answerer = Answerer(Bundle.open(Path(sys.argv[1])))
    while line := questions.readline():
        head = json.loads(line)
        status, body = answer(answerer, unpack(head, questions.read(head["bytes"])))
        answers.write(json.dumps({"status": status, "bytes": len(body)}).encode() + b"\n" + body)
        answers.flush()


def answer(answerer: Answerer, question: Question) -> tuple[int, bytes]:
    """200 and the answer, 422 and what is wrong with the picture, or 500 and nothing: the log has it."""
    from featherweight.errors import FeatherweightError, PictureError

    try:
        return 200, answerer.answer(question)
    except PictureError as fault:
        return 422, str(fault).encode()
    except FeatherweightError as fault:     # the network's, such as an answer of NaN
        say(str(fault), error=True)
        return 500, b""
    except Exception:
        traceback.print_exc()
        return 500, b""


def pack(question: Question) -> bytes:
    """A question as a message."""
    given = question.picture
    body = given if isinstance(given, bytes) else array.array("d", given).tobytes()
    head = {"bytes": len(body), "numbers": body is not given, "number": question.number}
    head |= {"explain": question.explain, "many": question.many}
    return json.dumps(head).encode() + b"\n" + body


def unpack(head: dict[str, Any], body: bytes) -> Question:
    """The question that pack was given."""
    from featherweight.serve.answers import Question

    picture = list(array.array("d", body)) if head["numbers"] else body
    return Question(picture, head["number"], head["explain"], head["many"])


if __name__ == "__main__":
    main()
