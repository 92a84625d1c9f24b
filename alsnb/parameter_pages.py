"""The parameter reference of the book and the demo profile, written from the typed model."""

from __future__ import annotations

import json

from alsnb.parameters import Parameters, section_of, unit_of


def reference() -> str:
    """Write the parameter reference of the book.

    Returns
    -------
    str
        Markdown: a table for each section with meaning, unit and demo value.
    """
    lines = [
        "# Parameters",
        "",
        "One flat set of names serves the profiles in `params/`, `alsnb run --set name=value`,",
        "the parameter cell of every notebook and `papermill -p name value`. The default is the",
        "demo profile's value. An unknown name or a value of the wrong type stops a run before",
        "it starts and names the nearest valid one.",
        "",
        "This page is generated from the typed model in `alsnb/parameters.py`",
        "(`alsnb parameters --write`); a test keeps it equal.",
    ]
    section = ""
    for name, field in Parameters.model_fields.items():
        if section_of(name) != section:
            section = section_of(name)
            lines += [
                "",
                f"## {section}",
                "",
                "| Name | Meaning | Values | Default |",
                "|---|---|---|---|",
            ]
        unit = unit_of(name)
        meaning = f"{field.description} ({unit})" if unit else field.description
        lines.append(f"| `{name}` | {meaning} | {_values(name)} | `{field.default!r}` |")
    return "\n".join(lines) + "\n"


def demo_profile() -> str:
    """Write the demo profile, every parameter with its meaning.

    Returns
    -------
    str
        YAML that :func:`alsnb.parameters.load_profile` reads back as the model's defaults.
    """
    lines = [
        "# The demo profile: the default of every parameter. Generated from the typed model",
        "# (`alsnb parameters --write`). A file of one's own needs only what differs.",
    ]
    section = ""
    for name, field in Parameters.model_fields.items():
        if section_of(name) != section:
            section = section_of(name)
            lines += ["", f"# {section}"]
        value = json.dumps(field.default, ensure_ascii=False)
        unit = f" ({unit_of(name)})" if unit_of(name) else ""
        lines.append(f"{name}: {value}  # {field.description}{unit}")
    return "\n".join(lines) + "\n"


def _values(name: str) -> str:
    schema = Parameters.model_json_schema()["properties"][name]
    schema = schema.get("items", schema) if schema.get("type") == "array" else schema
    if "enum" in schema:
        return ", ".join(f"`{v}`" for v in schema["enum"])
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    kinds = {"number": "number", "integer": "whole number", "boolean": "true or false"}
    kind = kinds.get(schema["type"], "text")
    if low is None and high is None:
        return kind
    opening = "above" if "exclusiveMinimum" in schema else "from"
    closing = "below" if "exclusiveMaximum" in schema else "to"
    low_text = f" {opening} {low:g}" if low is not None else ""
    high_text = f" {closing} {high:g}" if high is not None else ""
    return kind + low_text + high_text
