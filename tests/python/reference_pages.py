"""Pages of docs/reference that are generated: from what presil prints, the schemas, the Python package and the C header."""
import ast
import dataclasses
import inspect
import json
import re
import subprocess
import tomllib
from pathlib import Path

import presil


def operators(presil, docs):
    rows = json.loads(subprocess.run([presil, "ops", "--json"], capture_output=True, check=True).stdout)
    lines = ["# ONNX operators", "",
             "What `presil ops` prints: the operators that models may use, and the opsets of models for which they are",
             "known. An operator that is not here is refused with the name of its node.", "",
             f"{len(rows)} operators.", "", "| operator | opsets |", "|---|---|"]
    return "\n".join(lines + [f"| {row['name']} | {row['min_opset']} to {row['max_opset']} |" for row in rows]) + "\n"


def json_outputs(presil, docs):
    lines = ["# JSON output", "",
             "Every `--json` prints one value. The schemas are part of the documentation and tested; `run` and `bench` print",
             "the same document, and it is `Result.document` in Python and `presil_result_json` in C."]
    for name in ("run", "validate", "chips", "operators", "instructions"):
        schema = json.loads((docs / f"schema/{name}.json").read_text())
        lines += ["", f"## {schema['title']}", ""]
        if "description" in schema:
            lines += [schema["description"], ""]
        lines += [f"Schema: [{name}.json](../schema/{name}.json)", "", "| field | type | meaning |", "|---|---|---|"]
        lines += [f"| `{field}` | {kind} | {meaning} |" for field, kind, meaning in fields(schema, schema, "")]
    return "\n".join(lines) + "\n"


def fields(schema, node, prefix):
    """(path, type, meaning) of every field, depth first."""
    if node.get("type") == "array":
        yield from fields(schema, node.get("items", {}), prefix + "[]")
    for name, child in node.get("properties", {}).items():
        path = f"{prefix}.{name}" if prefix else name
        child = resolved(schema, child)
        yield path, kind_of(schema, child), child.get("description", "")
        yield from fields(schema, child, path)
        if isinstance(child.get("additionalProperties"), dict):
            inner = resolved(schema, child["additionalProperties"])
            yield from fields(schema, inner, path + ".NAME")


def resolved(schema, node):
    if "$ref" not in node:
        return node
    return {**schema["$defs"][node["$ref"].split("/")[-1]], **{key: value for key, value in node.items() if key != "$ref"}}


def kind_of(schema, node):
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    kind = node.get("type", "")
    if kind == "array":
        return "list of " + kind_of(schema, resolved(schema, node.get("items", {})))
    return " or ".join(kind) if isinstance(kind, list) else kind


def python_package(_presil, _docs):
    lines = ["# The Python package", "", "What `import presil` gives. [Python](../python.md) shows how to use it.", ""]
    for name in ("run", "compile", "chips"):
        lines += function(f"presil.{name}", getattr(presil, name))
    for name in ("Program", "Result", "Layer", "Engine", "TensorType", "Chip", "Error"):
        lines += [f"## presil.{name}", "", text_of(getattr(presil, name)), ""]
        lines += members(getattr(presil, name))
    return "\n".join(lines).rstrip() + "\n"


def text_of(item):
    """A docstring; lines that are indented below the first become a list."""
    lines = (inspect.getdoc(item) or "").splitlines()
    found = []
    for line in lines:
        if line.startswith("    "):  # goes on with the option above
            found[-1] += " " + line.strip()
        else:
            name, colon, _ = line.partition(":")
            is_option = colon and name.isidentifier()
            found.append(f"- `{name}`{line[len(name):]}" if is_option else line)
    return "\n".join(found)


def function(name, value):
    signature = inspect.signature(value)
    arguments = [str(p.replace(annotation=p.empty)) if p.kind is not p.KEYWORD_ONLY else f"{p.name}={p.default!r}"
                 for p in signature.parameters.values() if p.name != "self"]
    return [f"### {name}({', '.join(arguments)})", "", text_of(value), ""]


def members(kind):
    """Fields, properties and methods, in the order of the source."""
    rows, methods = [], []
    fields = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    for field in fields or inspect.get_annotations(kind):
        rows.append(f"| `{field}` | {type_name(inspect.get_annotations(kind)[field])} | {field_notes(kind).get(field, '')} |")
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property) or hasattr(value, "attrname"):
            getter = value.fget if isinstance(value, property) else value.func
            note = (inspect.getdoc(getter) or "").replace("\n", " ")
            rows.append(f"| `{name}` | {type_name(inspect.signature(getter).return_annotation)} | {note} |")
        elif inspect.isfunction(value):
            methods += function(f"{kind.__name__}.{name}", value)
    table = ["| member | type | |", "|---|---|---|", *rows, ""] if rows else []
    return table + methods


def field_notes(kind):
    """The string below each field."""
    notes = {}
    sources = [ast.parse(path.read_text()) for path in sorted(Path(presil.__file__).parent.glob("*.py"))]
    (body,) = [item.body for tree in sources for item in tree.body
               if isinstance(item, ast.ClassDef) and item.name == kind.__name__]
    for field, below in zip(body, body[1:]):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            notes[field.target.id] = below.value.value
    return notes


def type_name(annotation):
    text = annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    for long in ("presil._program.", "presil._result.", "presil._arrays.", "collections.abc.", "typing."):
        text = text.replace(long, "")
    text = re.sub(r"numpy\.ndarray\[.*?dtype\[Any\]\]", "NDArray", text)
    return "`" + text.replace("|", "or") + "`"


def c_header(_presil, docs):
    header = (docs.parent / "include/presil/presil.h").read_text()
    return "# presil.h\n\nThe C interface. [C](../c.md) shows how to use it.\n\n```c\n" + header + "```\n"


def nki_status(presil_binary, _docs):
    """Every function that the public interface documents (nki_documented.toml), with its status here and its generation."""
    from presil import nki
    from presil.nki.collectives import NOT_YET

    rows = json.loads(subprocess.run([presil_binary, "ops", "--isa", "--json"], capture_output=True, check=True).stdout)
    generation = {row["name"]: row["first_generation"] for row in rows}
    documented = tomllib.loads((Path(__file__).parent / "nki_documented.toml").read_text())
    places = {"nki": nki, "nki.isa": nki.isa, "nki.language": nki.language, "nki.language.tile_size": nki.language._TileSize,
              "NkiTensor": nki._tensor.Tensor, "nki.collectives": None}
    lines = ["# NKI functions", "",
             "What the public NKI documentation names (aws-neuron-sdk, `nki/api`), and what becomes of it in presil: *there*, in part, or refused",
             "at the kernel's line with what would be needed. Generations: 2 is trn1 and inf2, 3 trn2, 4 trn3; instructions as in the",
             "[table](isa.md), functions of several instructions from generation 2 on unless an instruction in them is later."]
    for place, module in places.items():
        lines += ["", f"## {place}", "", "| name | status | from generation |", "|---|---|---|"]
        for name, note in sorted(documented[place].items()):
            there = module is not None and name in dir(module)
            assert there or note or name in NOT_YET, f"{place}.{name} is neither there nor explained"
            there = there and not note.startswith("refused: ")
            note = note.removeprefix("refused: ")
            status = ("there" if not note else f"in part: {note}") if there else f"refused: {note or NOT_YET[name]}"
            lines.append(f"| `{name}` | {status} | {generation.get(name, 2) if there else '-'} |")
    return "\n".join(lines) + "\n"


PAGES = {"operators.md": operators, "nki.md": nki_status, "json.md": json_outputs, "python.md": python_package, "c.md": c_header}
