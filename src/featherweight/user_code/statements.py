"""Find which statements of a module a name needs. Nothing is executed here."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
EVALUATED_AT_ONCE = ("listcomp", "setcomp", "dictcomp", "genexpr")


@dataclass(frozen=True)
class Statement:
    """One statement of a module, with the module's names that it binds, changes and uses."""

    node: ast.stmt
    place: str                      # the file, with the cell for a notebook
    binds: frozenset[str]
    changes: frozenset[str]         # objects that it changes in place: config["depth"] = 3, Net.forward = f
    keeps: frozenset[str]           # of binds, those that may keep or build on their earlier value: n += 1, if a: n = 1
    uses: frozenset[str]            # while it is executed
    uses_later: frozenset[str]      # inside its functions, when they are called

    @property
    def star(self) -> bool:
        """True for `from module import *`."""
        return isinstance(self.node, ast.ImportFrom) and self.node.names[0].name == "*"

    def calls_at(self, index: int) -> tuple[int, ...]:
        """Return the place where it may call its own functions: its own, unless it only defines one or a class."""
        return () if isinstance(self.node, DEFINITIONS) and not self.node.decorator_list else (index,)

    @property
    def has_text(self) -> bool:
        """False for an import that was taken apart, and for a decorated definition, whose text begins too late."""
        return not isinstance(self.node, ast.Import | ast.ImportFrom) and not getattr(self.node, "decorator_list", [])

    @property
    def line(self) -> str:
        """The file's name and the line, as in net.py:8."""
        return f"{self.place.rpartition('/')[2]}:{self.node.lineno}"


def statements_of(nodes: Iterable[ast.stmt], place: str) -> Iterator[Statement]:
    """Yield the statements of a module, imports one name at a time, without `if __name__ == "__main__"`."""
    for node in nodes:
        if not is_main_guard(node):
            for part in one_name_each(node):
                yield analyse(part, place)


def is_main_guard(node: ast.stmt) -> bool:
    """True for an `if` that asks for __name__."""
    return isinstance(node, ast.If) and any(
        isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test)
    )


def one_name_each(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield an import of several names as imports of one: where one is missing, the others are still there."""
    if isinstance(node, ast.Import):
        yield from (ast.copy_location(ast.Import([alias]), node) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
        yield from (ast.copy_location(ast.ImportFrom(node.module, [alias], node.level), node) for alias in node.names)
    else:
        yield node


def analyse(node: ast.stmt, place: str) -> Statement:
    """Return the statement with its names."""
    text = ast.unparse(WithoutAnnotations().visit(ast.parse(ast.unparse(node))))
    table = symtable.symtable(text, place, "exec")
    binds = {one.get_name() for one in table.get_symbols() if one.is_assigned() or one.is_imported()}
    uses = {one.get_name() for one in table.get_symbols() if one.is_referenced()}
    later: set[str] = set()
    for child in table.get_children():
        collect(child, uses, later, at_once=True)
    binds -= {"*"}
    return Statement(node, place, frozenset(binds), frozenset(changed_by(node)),
                     frozenset(binds - surely_bound(node)), frozenset(uses), frozenset(later))


def surely_bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement always binds anew: not those of n += 1, if a: n = 1 or import package.part."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Import() | ast.ImportFrom():
            return {alias.asname or alias.name for alias in node.names}
        case ast.Assign():
            return {part.id for target in node.targets for part in ast.walk(target) if is_stored(part)}
        case ast.AnnAssign():
            return {node.target.id} if isinstance(node.target, ast.Name) else set()
    return set()


def is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    """True for a name that is assigned to."""
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def collect(table: symtable.SymbolTable, uses: set[str], later: set[str], *, at_once: bool) -> None:
    """Add the module's names that a class body or a function uses, at once or later."""
    at_once = at_once and (table.get_type() == "class" or table.get_name() in EVALUATED_AT_ONCE)
    found = uses if at_once else later
    in_class = table.get_type() == "class"      # whose body reads the module's depth in depth = depth
    found |= {one.get_name() for one in table.get_symbols()
              if one.is_referenced() and (one.is_global() or (in_class and one.is_assigned()))}
    for child in table.get_children():
        collect(child, uses, later, at_once=at_once)


class WithoutAnnotations(ast.NodeTransformer):
    """Removes annotations, which are not evaluated when a file of the user's is loaded."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.Pass()
        return ast.Assign([node.target], self.visit(node.value), lineno=node.lineno)


def changed_by(node: ast.stmt) -> set[str]:
    """Return the names whose objects a statement changes in place: by index, attribute or a method alone on a line."""
    if isinstance(node, DEFINITIONS):
        return set()
    found: set[str | None] = set()
    for part in outside_functions(node):
        match part:
            case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
                found.add(base_name(part))
            case ast.Expr(value=ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[ast.Name(id=name), *_])):
                found.add(name)
            case ast.Expr(value=ast.Call(func=function)):
                found.add(base_name(function))
    return {name for name in found if name}


def path_texts(node: ast.stmt) -> list[str]:
    """Return the texts in sys.path.append("../src") and the like, also joined: their folders are to be searched."""
    found = []
    for part in outside_functions(node):
        if isinstance(part, ast.Call) and re.fullmatch(r"(sys\.)?path\.(append|insert|extend)", ast.unparse(part.func)):
            values = [leaf.value for leaf in ast.walk(part) if isinstance(leaf, ast.Constant)]
            texts = [value for value in values if isinstance(value, str) and not value.startswith(("/", "~"))]
            found += [*texts, "/".join(texts)]
    return found


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it, without the bodies of functions."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FUNCTIONS):
            yield from outside_functions(child)


def base_name(node: ast.expr) -> str | None:
    """Return `a` for a.b.c and a[0].b, None for what does not begin with a name or is a name alone."""
    inner = node
    while isinstance(inner, ast.Subscript | ast.Attribute):
        inner = inner.value
    return inner.id if isinstance(inner, ast.Name) and inner is not node else None


def needed(statements: Sequence[Statement], wanted: Collection[str]) -> list[int]:
    """Return the numbers of the statements that must be executed, in order, so that the wanted names are right.

    A name that is bound several times has its last value; a statement that is executed before sees the value that it
    had there, as do the functions that it calls. Star imports are asked for the names that nothing binds.
    """
    end = len(statements)
    found: set[int] = set()
    waiting = [(name, end) for name in wanted]
    seen = set(waiting)
    while waiting:
        name, place = waiting.pop()
        for index in makers(statements, name, place):
            found.add(index)
            one = statements[index]
            earlier = {kept for kept in one.keeps if any(kept in other.binds for other in statements[:index])}
            more = {(used, index) for used in one.uses | one.changes | earlier}
            more |= {(used, called) for used in one.uses_later for called in (place, end, *one.calls_at(index))}
            waiting += more - seen
            seen |= more
    return sorted(found)


def makers(statements: Sequence[Statement], name: str, before: int) -> list[int]:
    """Return the statements that give a name its value at a place: the last that binds it, and changes since then."""
    binding = [k for k, one in enumerate(statements) if name in one.binds]
    if not binding:
        unknown = not hasattr(builtins, name)
        return [k for k, one in enumerate(statements) if one.star] if unknown else []
    last = max((k for k in binding if k < before), default=binding[-1])     # bound below: a notebook run out of order
    is_import = isinstance(statements[last].node, ast.Import | ast.ImportFrom)
    # torch.manual_seed(1) changes no network; config.update(...) and Net.forward = f may
    changing = [] if is_import else [k for k, one in enumerate(statements) if name in one.changes and last < k < before]
    return [last, *changing]


def unbound(statements: Sequence[Statement], indices: Iterable[int], wanted: Iterable[str]) -> list[str]:
    """Return the names, wanted or used by these statements, that nothing binds: a star import has to give them."""
    used = {name for k in indices for name in statements[k].uses | statements[k].uses_later} | set(wanted)
    bound = {name for one in statements for name in one.binds} | set(dir(builtins))
    return sorted(used - bound)
