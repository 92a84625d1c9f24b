"""The parameter reference of the book and the demo profile, written from the typed model."""

from __future__ import annotations

import json

from alsnb import parameters
from alsnb.parameters import Parameters, section_of, unit_of
from alsnb.project import project_root

#: Profiles of ``params/`` that the reference shows, the defaults first.
PROFILES = ("demo", "paper", "bids")


def reference() -> str:
    """Write the parameter reference of the book.

    Returns
    -------
    str
        Markdown: a table for each section with meaning, unit, allowed values and the value
        in each profile.
    """
    folder = project_root() / "params"
    given = {name: parameters.load_profile(name, folder) for name in PROFILES}
    valid = {name: parameters.validate(values, name) for name, values in given.items()}
    lines = [
        "# Parameters",
        "",
        "One flat set of names serves the profiles in `params/`, `alsnb run --set name=value`,",
        "the parameter cell of every notebook and `papermill -p name value`. An unknown name or a",
        "value of the wrong type stops a run before it starts and names the nearest valid one.",
        "",
        "A parameter that isn't given has the value under *demo*. The profiles `paper` (the study",
        "at the paper's size) and `bids` (scans of one's own) change those whose value stands in",
        "their column; · means the same as in the demo.",
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
                "| Name | Meaning | Unit | Values | demo | paper | bids |",
                "|---|---|---|---|---|---|---|",
            ]
        default = getattr(valid["demo"], name)
        shown = [_shown(default)]
        for profile in PROFILES[1:]:
            value = getattr(valid[profile], name)
            shown.append("·" if value == default else _shown(value))
        about = f"{field.description} | {unit_of(name)} | {_values(name)}"
        lines.append(f"| `{name}` | {about} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    """Write a value as a profile does; members of a list may stand on lines of their own."""
    if isinstance(value, list):
        return ", ".join(f"`{json.dumps(one, ensure_ascii=False)}`" for one in value) or "`[]`"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


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
    if "anyOf" in schema:  # names of the paper, or a plugin's
        named = ", ".join(f"`{v}`" for v in schema["anyOf"][0]["enum"])
        return f"{named}, or one of `plugins`"
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
    low_text = f" {opening} {_number(low)}" if low is not None else ""
    high_text = f" {closing} {_number(high)}" if high is not None else ""
    return kind + low_text + high_text


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
