"""With blocks: contexts without gradients, and context managers that the file itself defines."""

from __future__ import annotations

import ast

from featherweight.doctor.flow.binding import Binding
from featherweight.doctor.flow.functions import Managed
from featherweight.doctor.flow.values import Constant, Function, Instance, Library, Unknown, Value, known

NO_GRAD = ("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad")


class Contexts(Binding):
    """Executes with blocks."""

    def context(self, node: ast.With | ast.AsyncWith) -> bool:
        """Execute a with block between the entry and the exit of its context managers."""
        depth, managers = len(self.trace.grad), []
        for item in node.items:
            manager = known(self.evaluate(item.context_expr))
            grad = self.grad_of(item.context_expr, manager)
            if grad is not None:
                self.trace.grad.append(grad)
            entered = self.entry_of(manager)
            managers.append(manager)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, entered if not isinstance(entered, Constant) else Unknown())
        ended = self.execute_all(node.body)
        for manager in reversed(managers):
            self.leave_context(manager)
        del self.trace.grad[depth:]
        return ended

    def entry_of(self, manager: Value) -> Value:
        """Return what a with block binds: the value that is yielded, the result of __enter__, or the manager."""
        if isinstance(manager, Managed):
            return manager.yielded
        if isinstance(manager, Instance) and manager.cls and (method := manager.cls.method("__enter__")):
            return self.call_method(manager, method)
        return manager

    def leave_context(self, manager: Value) -> None:
        """Execute what follows the yield of a context manager's function, or __exit__."""
        if isinstance(manager, Managed):
            self.run(manager.definition, manager.scope, after_yield(manager.definition.body))
        elif isinstance(manager, Instance) and manager.cls and (method := manager.cls.method("__exit__")):
            self.call_method(manager, method)

    def call_method(self, owner: Instance, method: ast.FunctionDef | ast.AsyncFunctionDef) -> Value:
        """Follow a method without further arguments."""
        assert owner.cls is not None
        return self.inline(Function(definition=method, scope=owner.cls.scope, owner=owner), [], {})

    def grad_of(self, node: ast.expr, value: Value) -> bool | None:
        """Return False for a context without gradients, True for one with, None for others."""
        if not isinstance(node, ast.Call):
            return False if isinstance(value, Library) and value.name in NO_GRAD else None
        function = self.evaluate(node.func)
        name = function.name if isinstance(function, Library) else ""
        if name in NO_GRAD or name.endswith((".no_grad", ".inference_mode")):
            off = node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value is False
            return bool(off)
        if name == "torch.enable_grad":
            return True
        if name == "torch.set_grad_enabled" and node.args:
            flag = self.evaluate(node.args[0])
            return bool(flag.value) if isinstance(flag, Constant) else True
        return None


def after_yield(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements of a body that are executed after its first yield."""
    for index, statement in enumerate(body):
        if not any(isinstance(one, ast.Yield) for one in ast.walk(statement)):
            continue
        inner = after_yield(getattr(statement, "body", []))
        if isinstance(statement, ast.Try):
            inner += [*statement.orelse, *statement.finalbody]
        return inner + body[index + 1 :]
    return []
