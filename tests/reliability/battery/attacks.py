"""Requests that no honest client sends: each function draws one from a generator of numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from battery.bombs import bomb
from battery.served import as_json, request

JSON_TYPE = "Content-Type: application/json"
PLACES = (
    "etc/passwd", "proc/self/environ", "secret.txt", "bundle/card.json", "card.json", "model.onnx", "run/recipe.toml",
    "tiny.py", "static/index.html", "app.py", "__init__.py",
)
UPWARDS = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "%252e%252e%252f", "..\\", "..%5c", "..%c0%af", "....//", "..;/",
           "%00../", ".%2e/", "..%00/", "..%ef%bc%8f")
BEGINNINGS = ("/", "/static/", "/docs/", "/docs/../", "//", "/page.js/", "/./", "/predict/", "/model/", "",
              "/openapi.json/", "file:///", "http://localhost/", "/static%2f", "\\")


@dataclass(frozen=True)
class Attack:
    """What is sent, and what may come back."""

    what: str
    raw: bytes
    answered: bool = True       # False: the request has no end, and the client goes away instead of waiting
    success: bool = False       # True: a 200 is no fault
    cut: int = 0                # bytes of a part, sent one part after the other; 0: all at once


def path(draw: random.Random) -> Attack:
    """A path that leads out of the pages."""
    beginning = draw.choice(BEGINNINGS)
    place = draw.choice(PLACES)
    where = draw.choice((draw.choice(UPWARDS) * draw.randint(1, 8), "", quote("/", safe=""), "%2f" * 3))
    ending = draw.choice(("", "", "", "%00", "%00.html", "?", "#", "/", "/.", "%20", "::$DATA", "~", "%0d%0aX: y"))
    asked = (beginning + where + place + ending) or "/"
    method = draw.choice(("GET", "GET", "GET", "POST", "HEAD", "PUT", "OPTIONS"))
    return Attack(f"{method} {asked}", request(method=method, path=asked))


def framing(draw: random.Random) -> Attack:
    """A body whose length is a lie, or chunks that are none."""
    n, host = draw.randint(1, 5000), "POST /predict HTTP/1.1\r\nHost: localhost\r\n"
    chunked = host + "Transfer-Encoding: chunked\r\n\r\n"
    foreign = chunked.replace("localhost", "evil.example")
    sizes = ("zz", "-1", "1" * 30, "0x5", "", " 5", "5 ", "+5", "5;" + "e" * 20_000, "ffffffffffffffff", "5\n")
    size = draw.choice(sizes)
    large = b"186a0\r\n" + bytes(100_000) + b"\r\n"
    found = {
        "length too large": Attack("", request(bytes(n), length=str(n + 1)), answered=False),
        "length too small": Attack("", request(bytes(n), length=str(n // 2))),
        "length negative": Attack("", request(bytes(n), length=f"-{n}")),
        "length with a sign": Attack("", request(bytes(n), length=f"+{n}")),
        "length no number": Attack("", request(bytes(n), length=draw.choice(("x", "", "1e3", "0x10", "²", "5, 6")))),
        "length of many digits": Attack("", request(bytes(n), length="9" * draw.randint(15, 5000))),
        "two lengths": Attack("", request(bytes(n), f"Content-Length: {n + 1}")),
        "length and chunks": Attack("", request(b"0\r\n\r\n", "Transfer-Encoding: chunked")),
        "two transfer encodings": Attack("", request(b"", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked")),
        "transfer encoding unknown": Attack("", request(b"", "Transfer-Encoding: xchunked")),
        "chunk size wrong": Attack(size[:30], f"{chunked}{size}\r\nhello\r\n0\r\n\r\n".encode(), answered=False),
        "chunk longer than it says": Attack("", f"{chunked}5\r\nhello world\r\n0\r\n\r\n".encode()),
        "chunk of a foreign host wrong": Attack("", f"{foreign}5\r\nhello\r\n".encode() + b"zz\r\n\r\n", cut=120),
        "chunks over the limit": Attack("", chunked.encode() + large * 51, answered=False),
        "chunks over the limit, then wrong": Attack("", chunked.encode() + large * 51 + b"zz\r\n\r\n", answered=False),
        "chunks of one byte": Attack("", chunked.encode() + b"1\r\nx\r\n" * 150_000 + b"0\r\n\r\n"),
        "chunks with a trailer": Attack("", f"{chunked}1\r\nx\r\n0\r\n".encode() + b"A: b\r\n" * n + b"\r\n"),
        "a length over the limit": Attack("", request(b"x", length=str(draw.randint(5_000_001, 10**15)))),
        "body that never comes": Attack("", request(b"", length=str(n)), answered=False),
        "continue is expected": Attack("", request(bytes(n), "Expect: 100-continue")),
        "smuggled": Attack("", request(request(method="GET", path="/model"), length="0"), success=True),
    }
    name = draw.choice(list(found))
    return named(name, found[name])


def head(draw: random.Random) -> Attack:
    """A head that is too much, or another protocol's."""
    n = draw.randint(10, 3000)
    hello = bytes.fromhex("16030100f8010000f40303") + draw.randbytes(240)
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13")
    found = {
        "many headers": Attack("", request(b"", *(f"X-{k}: {k}" for k in range(n + 2000)))),
        "one long header": Attack("", request(b"", "X: " + "y" * (n + 70_000))),
        "headers under the limit": Attack("", request(b"x", *("A: b" for _ in range(min(n, 1500))))),
        "request line of a megabyte": Attack("", request(method="GET", path="/" + "a" * 1_000_000)),
        "method of thousands": Attack("", request(method="A" * (n + 1000))),
        "method unknown": Attack("", request(method=draw.choice(("BREW", "TRACE", "get", "PATCH", "DELETE")))),
        "connect": Attack("", request(method="CONNECT", path="example.org:443")),
        "query of thousands": Attack("", request(b"x", path="/predict?" + "explain=1&" * min(n, 1200))),
        "query of bad escapes": Attack("", request(b"x", path="/predict?number=%ff%fe&%=%&explain=%zz")),
        "empty lines": Attack("", b"\r\n" * n + request(method="GET", path="/health"), success=True),
        "no host": Attack("", b"GET / HTTP/1.1\r\n\r\n"),
        "old protocol": Attack("", b"GET /model\r\n\r\n"),
        "HTTP/1.0": Attack("", b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n", success=True),
        "HTTP/2": Attack("", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
        "HTTP/9.9": Attack("", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", success=True),
        "TLS": Attack("", hello),
        "noise": Attack("", draw.randbytes(n), answered=False),
        "websocket": Attack("", request(b"", *upgrade, method="GET", path="/"), success=True),
        "upgrade to h2c": Attack("", request(b"", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                             "HTTP2-Settings: AAMAAABkAAQAAP__", method="GET", path="/"), success=True),
        "folded header": Attack("", request(b"x", "X: a\r\n b"), success=True),
        "header without a name": Attack("", request(b"x", ": a")),
        "space before the colon": Attack("", request(b"x", "Host : evil.example")),
        "bare carriage return": Attack("", request(b"x", "X: a\rY: b")),
        "NUL in a header": Attack("", request(b"x", "X: a\0b")),
        "high bytes in a header": Attack("", request(b"x", "Content-Type: \xff\xfe\xfd")),
        "pipelined": Attack("", request(method="GET", path="/health") * min(n, 500), success=True),
        "pipelined and then wrong": Attack("", request(method="GET", path="/health") + b"\xff" * 50, success=True),
        "a head that does not end": Attack("", request(b"")[:-2] + b"X: y", answered=False),
        "a byte at a time": Attack("", request(b"no picture"), cut=1),
    }
    name = draw.choice(list(found))
    return named(name, found[name])


def host(draw: random.Random) -> Attack:
    """A page elsewhere: its name points here, or its script sends here."""
    foreign = ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "evil.example:8000", "[::2]", "",
               "localhost@evil.example", "evil.example#localhost", "0.0.0.0", "127.1", "x" * 8000, "localhost\t.x")
    origins = ("http://evil.example", "https://localhost.evil.example", "null", "http://127.0.0.1.evil.example:8000",
               "file://", "chrome-extension://abc", "", "http://localhost@evil.example", "http://evil.example:localhost")
    if draw.random() < 0.5:
        name = draw.choice(foreign)
        return Attack(f"host {name[:60]!r}", request(method="GET", path=draw.choice(("/", "/model", "/no")), host=name))
    origin = draw.choice(origins)
    kind = draw.choice(("POST", "OPTIONS", "GET"))
    path, body = ("/model", b"") if kind == "GET" else ("/predict", b"x")
    return Attack(f"origin {origin!r} {kind}", request(body, f"Origin: {origin}", method=kind, path=path))


def form(draw: random.Random) -> Attack:
    """A multipart form that is none."""
    n = draw.randint(1, 3000)
    part = b'--bb\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n'
    end = b"\r\n--bb--\r\n"
    plain = part + b"\r\nx" + end
    charset = draw.choice(("undefined", "idna", "punycode", "rot13", "utf-16", "utf-7", "x" * 100, "unicode_escape"))
    nested = part + b"Content-Type: multipart/mixed; boundary=cc\r\n\r\n" + b"--cc\r\n\r\nx\r\n--cc--" + end
    found = {
        "boundary missing": (plain, ""),
        "boundary empty": (plain, "; boundary="),
        "boundary of thousands": (plain, "; boundary=" + "b" * (n + 1000)),
        "boundary of another": (plain, "; boundary=cc"),
        "boundary of high bytes": (plain, "; boundary=\xff\xfe"),
        "type of semicolons": (plain, ";" * n),
        "charset": (plain[:-8] + b'--bb\r\nContent-Disposition: form-data; name="number"\r\n\r\n\xff\xfe1' + end,
                    f"; boundary=bb; charset={charset}"),
        "nested": (nested, "; boundary=bb"),
        "thousands of parts": (b'--bb\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * n + b"--bb--\r\n",
                               "; boundary=bb"),
        "thousands of files": (part * n + end, "; boundary=bb"),
        "huge name": (part.replace(b"picture", b"p" * 100 * n) + b"\r\nx" + end, "; boundary=bb"),
        "huge header": (part + b"X: " + b"y" * 1000 * n + b"\r\n\r\nx" + end, "; boundary=bb"),
        "many headers": (part + b"X: y\r\n" * n + b"\r\nx" + end, "; boundary=bb"),
        "no end": (part + b"\r\n" + bytes(n), "; boundary=bb"),
        "no name": (b"--bb\r\nContent-Disposition: form-data\r\n\r\nx" + end, "; boundary=bb"),
        "no header": (b"--bb\r\n\r\nx" + end, "; boundary=bb"),
        "number of thousands": (plain[:-8] + b'--bb\r\nContent-Disposition: form-data; name="number"\r\n\r\n' + b"9" * n
                                + end, "; boundary=bb"),
        "file name of a path": (part.replace(b'"a"', b'"../../secret.txt"') + b"\r\nx" + end, "; boundary=bb"),
        "noise": (draw.randbytes(n), "; boundary=bb"),
        "line ends": (b"\r\n" * n + b"\r" * n + b"--bb", "; boundary=bb"),
    }
    name = draw.choice(list(found))
    body, kind = found[name]
    detail = f" {charset[:20]}" if name == "charset" else ""
    return Attack(name + detail, request(body, f"Content-Type: multipart/form-data{kind}"))


def json(draw: random.Random) -> Attack:
    """JSON that is none, or has what is not allowed."""
    n, pixels = draw.randint(1, 200_000), [0] * 784
    inside = draw.choice(("NaN", "Infinity", "-Infinity", "1e999", "-0.1", "256", "true", "null", '"1"', "[]",
                          "1" * 3000, "1" * 6000, "0x10", "1_0", '"' + "x" * 9000 + '"'))
    key = draw.choice(("path", "pixels\\u0000", "\\ud800", "__proto__", "x" * 5000, "number"))
    number = draw.choice(("-1", "10", "1000000000", "1e9", '"x"', "1.5", "true", "[]", "{}", "1" * 4000, "NaN"))
    found = {
        "a value": (f'{{"pixels":[{inside}]}}'.encode(), f"[{inside[:20]}]"),
        "a key": (f'{{"pixels":[0],"{key}":0}}'.encode(), key[:20]),
        "a number": (f'{{"pixels":{pixels},"number":{number}}}'.encode(), number[:20]),
        "deep": (draw.choice((b"[", b'{"pixels":', b'{"a":['  )) * 100_000, ""),
        "many keys": (b"{" + b",".join(b'"%d":0' % k for k in range(n)) + b"}", f"{n}"),
        "many pixels": (as_json({"pixels": [0] * (785 + n)}), f"{n}"),
        "many bad pixels": (b'{"pixels":[' + b'"",' * (5 * n) + b'""]}', f"{n}"),
        "keys twice": (f'{{"pixels":[1],"pixels":{pixels},"number":1,"number":2}}'.encode(), ""),
        "no object": (draw.choice((b"null", b"[]", b'"x"', b"0", b"{}", b"", b"nul", b"\xff", b"\xef\xbb\xbf{}")), ""),
        "wrong types": (as_json({"pixels": draw.choice(("x", 1, {"0": 0}, None, [[0]], [None]))}), ""),
        "UTF-16": ('{"pixels":[0]}'.encode("utf-16"), ""),
        "an end too much": (as_json({"pixels": pixels}) + b"}" * n, ""),
        "a long text": (b'{"pixels":"' + b"x" * 10 * n + b'"}', ""),
    }
    name = draw.choice(list(found))
    body, detail = found[name]
    return Attack(f"{name} {detail}".strip(), request(body, JSON_TYPE))


def picture(draw: random.Random) -> Attack:
    """A picture that is a bomb or none, asked about in any way."""
    name, body = bomb(draw)
    query = draw.choice(("", "", "?many=true", "?explain=true", "?many=true&explain=true", "?number=1e9", "?number=-1"))
    return Attack(name + query, request(body, path=f"/predict{query}"), success=True)


def named(name: str, attack: Attack) -> Attack:
    what = f"{name} {attack.what}".strip()
    return Attack(what, attack.raw, attack.answered, attack.success, attack.cut)


ATTACKS: dict[str, Callable[[random.Random], Attack]] = {
    "path": path, "framing": framing, "head": head, "host or origin": host, "form": form, "JSON": json,
    "picture": picture,
}
