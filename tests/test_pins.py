"""What the kit pins and what a known good installation held are the same."""

import re
import tomllib

from tests.conftest import ROOT


def test_the_pins_agree_with_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    constraints = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    known = {name.lower().replace("_", "-"): version for name, version in constraints.items()}
    for requirement in pinned:
        match = re.match(r"([\w.-]+)(?:\[\w+\])?(?:==([\w.]+))?", requirement)
        assert match is not None
        name, version = match[1].lower().replace("_", "-"), match[2]
        assert name in known, f"{name} is not in constraints.txt"
        assert version in (None, known[name]), (
            f"{name}: {version} in pyproject.toml, {known[name]} in constraints.txt"
        )
