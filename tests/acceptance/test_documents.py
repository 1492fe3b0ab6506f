"""The code blocks of README and docs run, and print what they say."""

from pathlib import Path

import pytest

from tests.documents import BLOCK, Project

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "_build" not in path.parts
    and any(language in {"python", "console"} for language, _ in BLOCK.findall(path.read_text()))
]


#: These set up everything that follows the site, so that no check has anything to say.
WHOLE = ("README.md", "existing-project.md", "follow/index.md")


@pytest.mark.acceptance
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_run_as_written(path: Path, tmp_path: Path) -> None:
    project = Project(tmp_path, quiet=not str(path).endswith(WHOLE))
    project.start()
    try:
        complaints = project.play(path.read_text())
    finally:
        project.stop()
    assert not complaints, "\n\n".join(complaints)
