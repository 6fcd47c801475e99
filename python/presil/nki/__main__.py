"""python -m presil.nki run SCRIPT.py [ARGUMENTS]: runs a script whose `import nki` means presil.nki."""
import runpy
import sys
from pathlib import Path

from presil._error import Error


def main() -> int:
    words = sys.argv[1:]
    if len(words) < 2 or words[0] != "run":
        print("usage: python -m presil.nki run SCRIPT.py [ARGUMENTS]", file=sys.stderr)
        return 2
    script = Path(words[1])
    if not script.is_file():
        print(f"presil: error: {script}: no such file", file=sys.stderr)
        return 2
    from presil.nki import activate  # noqa: F401
    sys.argv = words[1:]
    sys.path.insert(0, str(script.parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    except Error as error:
        print(f"presil: error: {error}", file=sys.stderr)
        return 1 if error.code == "failed" else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
