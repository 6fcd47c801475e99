"""Pages of docs/reference that are generated from what presil prints and from the schemas."""
import json
import subprocess


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


PAGES = {"operators.md": operators, "json.md": json_outputs}
