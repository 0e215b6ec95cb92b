"""Find the statements of a module that a name needs, without executing them."""

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
    """One statement of a module, with the module-level names that the statement binds, changes and uses."""

    node: ast.stmt
    place: str                      # the file, with the cell for a notebook
    binds: frozenset[str]
    changes: frozenset[str]         # names of objects changed in place: config["depth"] = 3, Net.forward = f
    keeps: frozenset[str]           # subset of binds that may depend on an earlier value: n += 1, if a: n = 1
    uses: frozenset[str]            # when the statement is executed
    uses_later: frozenset[str]      # when functions inside the statement are called

    @property
    def star(self) -> bool:
        """True for `from module import *`."""
        return isinstance(self.node, ast.ImportFrom) and self.node.names[0].name == "*"

    def calls_at(self, index: int) -> tuple[int, ...]:
        """Return (index,) if the statement may call its own functions. Empty for an undecorated definition."""
        return () if isinstance(self.node, DEFINITIONS) and not self.node.decorator_list else (index,)

    @property
    def has_text(self) -> bool:
        """True if ast.get_source_segment gives the statement's text.

        False for an import, which was split by name. False for a decorated definition: its segment lacks decorators.
        """
        return not isinstance(self.node, ast.Import | ast.ImportFrom) and not getattr(self.node, "decorator_list", [])

    @property
    def line(self) -> str:
        """File name and line number, such as "net.py:8"."""
        return f"{self.place.rpartition('/')[2]}:{self.node.lineno}"


def statements_of(nodes: Iterable[ast.stmt], place: str) -> Iterator[Statement]:
    """Yield the statements of a module. Imports are split by name, `if __name__ == "__main__"` is left out."""
    for node in nodes:
        if not is_main_guard(node):
            for part in one_name_each(node):
                yield analyse(part, place)


def is_main_guard(node: ast.stmt) -> bool:
    """True for an `if` whose condition uses __name__."""
    return isinstance(node, ast.If) and any(
        isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test)
    )


def one_name_each(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield an import of several names as imports of one name each, so that each can fail alone.

    Other statements are yielded unchanged.
    """
    if isinstance(node, ast.Import):
        yield from (ast.copy_location(ast.Import([alias]), node) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
        yield from (ast.copy_location(ast.ImportFrom(node.module, [alias], node.level), node) for alias in node.names)
    else:
        yield node


def analyse(node: ast.stmt, place: str) -> Statement:
    """Return the Statement of a node: find the names that the node binds, changes and uses."""
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
    """Return the names that a statement always binds to a new value.

    Not included: the names in n += 1, in if a: n = 1 and in import package.part.
    """
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
    """True for a name that is the target of an assignment."""
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def collect(table: symtable.SymbolTable, uses: set[str], later: set[str], *, at_once: bool) -> None:
    """Add the module-level names that a class body or function uses to `uses` (at once) or `later`.

    at_once: the body runs when the statement is executed, as class bodies and comprehensions do.
    """
    at_once = at_once and (table.get_type() == "class" or table.get_name() in EVALUATED_AT_ONCE)
    found = uses if at_once else later
    in_class = table.get_type() == "class"      # in a class body, depth = depth reads the module's depth
    found |= {one.get_name() for one in table.get_symbols()
              if one.is_referenced() and (one.is_global() or (in_class and one.is_assigned()))}
    for child in table.get_children():
        collect(child, uses, later, at_once=at_once)


class WithoutAnnotations(ast.NodeTransformer):
    """A transformer that removes annotations, which are not evaluated when a user file is loaded."""

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
    """Return the names whose objects a statement changes in place.

    Examples: a[0] = 1, a.b = 1, setattr(a, ...), and a method call alone on a line such as a.update(...).
    """
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
    """Return the relative paths that a statement adds to sys.path, as in sys.path.append("../src").

    Several strings in one call are also returned joined by "/": they may be arguments of os.path.join.
    """
    found = []
    for part in outside_functions(node):
        if isinstance(part, ast.Call) and re.fullmatch(r"(sys\.)?path\.(append|insert|extend)", ast.unparse(part.func)):
            values = [leaf.value for leaf in ast.walk(part) if isinstance(leaf, ast.Constant)]
            texts = [value for value in values if isinstance(value, str) and not value.startswith(("/", "~"))]
            found += [*texts, "/".join(texts)]
    return found


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and its descendants, except functions and their bodies."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FUNCTIONS):
            yield from outside_functions(child)


def base_name(node: ast.expr) -> str | None:
    """Return the name at the start of a chain: `a` for a.b.c and a[0].b. None for a name alone or other nodes."""
    inner = node
    while isinstance(inner, ast.Subscript | ast.Attribute):
        inner = inner.value
    return inner.id if isinstance(inner, ast.Name) and inner is not node else None


def needed(statements: Sequence[Statement], wanted: Collection[str]) -> list[int]:
    """Return the indices, in order, of the statements that must be executed to compute the wanted names.

    A wanted name gets its last value in the module. A statement sees the values that names have before it, and so do
    the functions that the statement calls. Names without a binding are expected from star imports.
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
    """Return the indices of the statements that give `name` its value before index `before`.

    These are the last statement that binds the name, and later ones that change its object in place.
    """
    binding = [k for k, one in enumerate(statements) if name in one.binds]
    if not binding:
        unknown = not hasattr(builtins, name)
        return [k for k, one in enumerate(statements) if one.star] if unknown else []
    # the default is for a notebook whose cells were run out of order: the name is bound below its use
    last = max((k for k in binding if k < before), default=binding[-1])
    is_import = isinstance(statements[last].node, ast.Import | ast.ImportFrom)
    # torch.manual_seed(1) changes no network; config.update(...) and Net.forward = f may
    changing = [] if is_import else [k for k, one in enumerate(statements) if name in one.changes and last < k < before]
    return [last, *changing]


def unbound(statements: Sequence[Statement], indices: Iterable[int], wanted: Iterable[str]) -> list[str]:
    """Return the names, wanted or used by the statements at `indices`, that no statement binds.

    A star import has to provide them.
    """
    used = {name for k in indices for name in statements[k].uses | statements[k].uses_later} | set(wanted)
    bound = {name for one in statements for name in one.binds} | set(dir(builtins))
    return sorted(used - bound)
