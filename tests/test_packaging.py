"""What is shipped: every module imports, and a wheel installed elsewhere is complete."""

import importlib
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

import jaxgan

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("jaxgan", "experiments")


def shipped_files() -> list[pathlib.Path]:
    """Files of the packages, relative to the root, without what Python caches."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*"))
    return [
        path.relative_to(ROOT)
        for path in sorted(found)
        if path.is_file() and "__pycache__" not in path.parts
    ]


def in_wheel(path: pathlib.Path) -> str:
    """Where the wheel has the file: experiments lie in jaxgan, as a user may have their own."""
    name = path.as_posix()
    return f"jaxgan/{name}" if path.parts[0] == "experiments" else name


def module_names() -> list[str]:
    sources = [path for path in shipped_files() if path.suffix == ".py"]
    names = [".".join(path.with_suffix("").parts) for path in sources]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", module_names())
def test_every_module_imports(name):
    importlib.import_module(name)


def test_every_folder_of_modules_is_a_package():
    folders = {path.parent for path in shipped_files() if path.suffix == ".py"}
    assert {folder for folder in folders if not (ROOT / folder / "__init__.py").exists()} == set()


def test_importing_jaxgan_alone_imports_no_jax():
    subprocess.run(
        [sys.executable, "-c", "import sys, jaxgan; sys.exit('jax' in sys.modules)"],
        cwd=ROOT,
        check=True,
    )


def test_the_changelog_opens_with_the_version():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == jaxgan.__version__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The wheel of the working tree, built without asking an index."""
    pytest.importorskip(
        "hatchling", reason="building the wheel needs hatchling: pip install .[test]"
    )
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel --no-index --no-deps --no-build-isolation --wheel-dir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


def pip(command: str, *paths: pathlib.Path) -> None:
    program = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*program, *command.split(), *map(str, paths)], check=True)


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert {in_wheel(path) for path in shipped_files()} - packed == set()
    assert "jaxgan/py.typed" in packed


def test_the_wheel_carries_the_version_and_the_license(wheel):
    assert wheel.name.startswith(f"jaxgan-{jaxgan.__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        licenses = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
        assert archive.read(licenses[0]) == (ROOT / "LICENSE").read_bytes()


LOAD_ELSEWHERE = """
import pathlib
import jaxgan
from jaxgan import data
from jaxgan.runs import experiments

print(pathlib.Path(jaxgan.__file__).parent.parent)
print(pathlib.Path(experiments.named("dcgan").file).parent.parent.parent)
print(len(data.load("fashion").train))
"""


def test_an_installed_wheel_finds_its_data_from_any_folder(wheel, tmp_path):
    site, elsewhere = tmp_path / "site packages", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip("install --no-index --no-deps --target", site, wheel)
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD_ELSEWHERE],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.splitlines() == [str(site), str(site), "10000"]
