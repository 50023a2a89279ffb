"""First-order mutants of a function: the same source with one small change each."""

import ast
import copy

COMPARISONS = {
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
}
ARITHMETIC = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Div, ast.Mult],
    ast.Mod: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.MatMult: [ast.Add],
}
MOST = 200


def mutants(source):
    """Return (description, source) of each mutant, at most 200."""
    tree = ast.parse(source)
    found = []
    for place, node in enumerate(ast.walk(tree)):
        for description, change in changes(node):
            changed = copy.deepcopy(tree)
            change(list(ast.walk(changed))[place])
            text = ast.unparse(ast.fix_missing_locations(changed))
            if text != ast.unparse(tree):
                found.append((f"line {getattr(node, 'lineno', 0)}: {description}", text))
    return found[:MOST]


def changes(node):
    """Descriptions and functions that change a node in place."""
    if isinstance(node, ast.Compare):
        for new in COMPARISONS.get(type(node.ops[0]), []):
            yield f"comparison to {new.__name__}", lambda n, new=new: n.ops.__setitem__(0, new())
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        for new in ARITHMETIC.get(type(node.op), []):
            yield f"{type(node.op).__name__} to {new.__name__}", lambda n, new=new: setattr(n, "op", new())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not, ast.Invert)):
        yield "sign removed", lambda n: become(n, n.operand)
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for step in (1, -1):
            yield f"{node.value} to {node.value + step}", lambda n, step=step: setattr(n, "value", n.value + step)
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield "not", lambda n: setattr(n, "value", not n.value)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not ast.unparse(node.func).startswith("np."):
            yield "method removed", lambda n: become(n, n.func.value)
        elif node.args and ast.unparse(node.func) != "range":
            yield "call removed", lambda n: become(n, n.args[0])
        for number in range(len(node.keywords)):
            yield "keyword removed", lambda n, number=number: n.keywords.pop(number)


def become(node, other):
    """Turn a node into another one."""
    node.__class__ = other.__class__
    fields = dict(other.__dict__)
    node.__dict__.clear()
    node.__dict__.update(fields)
