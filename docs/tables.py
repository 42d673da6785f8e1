"""Write the tables that are made from the registry, and the snapshot of public names: `make tables`."""

import re
from pathlib import Path

import funcgd as fg
from funcgd import plots
from funcgd.optimizers.registry import CHAPTERS, Row

ROOT = Path(__file__).parents[1]
NAMES = ROOT / "tests" / "public_names.txt"
PAGES = (ROOT / "README.md", ROOT / "docs" / "optimizers.md")
SPACES = {"fg": fg, "fg.tree": fg.tree, "fg.stop": fg.stop, "fg.plots": plots, "fg.problems": fg.problems}


def optimizer_table() -> str:
    """The optimizers, chapter by chapter: name, year, paper, what they promise, needs, known rate."""
    lines = ["| name | year | paper | | needs |", "|---|---|---|---|---|"]
    for chapter, rows in CHAPTERS.items():
        lines.append(f"| **{chapter}** | | | | |")
        lines += [_line(row) for row in sorted(rows, key=lambda row: (row.year, row.name))]
    return "\n".join(lines)


def _line(row: Row) -> str:
    paper = f"[{row.paper}]({row.link})" if row.link else row.paper
    needs = ", ".join(f"`{need.replace(' or ', '` or `')}`" for need in row.needs)
    promise = row.promise.replace("`", "").split(":", 1)[-1].strip().rstrip(".").replace("|", "\\|")
    rate = f"; on a quadratic ‖θ − θ*‖ shrinks by {row.rate}" if row.rate else ""
    return f"| `fg.{row.name}` | {row.year} | {paper} | {promise}{rate} | {needs} |"


def public_names() -> str:
    """Every public name, one on a line."""
    found = []
    for space, module in SPACES.items():
        found += [f"{space}.{name}" for name, x in vars(module).items() if _belongs(name, x, module)]
    return "\n".join(sorted(set(found))) + "\n"


def _belongs(name: str, x: object, module: object) -> bool:
    home = getattr(x, "__module__", "")
    chosen = getattr(module, "__all__", None)
    return (chosen is None or name in chosen) and not name.startswith("_") and str(home).startswith("funcgd")


def fill(page: str, table: str) -> str:
    """`page` with the text between its two marks replaced by `table`."""
    begin, end = "<!-- optimizers: begin -->", "<!-- optimizers: end -->"
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{table}\n{end}", page, flags=re.DOTALL)


def main() -> None:
    for path in PAGES:
        path.write_text(fill(path.read_text(), optimizer_table()))
    NAMES.write_text(public_names())


if __name__ == "__main__":
    main()
