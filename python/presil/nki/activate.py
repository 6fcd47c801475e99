"""import presil.nki.activate: from then on `import nki` finds presil.nki, and `import neuronxcc.nki` presil.nki.legacy, in
this process."""
import sys
import types

from presil import nki
from presil.nki import collectives, isa, language, legacy, typing

for _name, _module in (("nki", nki), ("nki.collectives", collectives), ("nki.isa", isa), ("nki.language", language),
                       ("nki.typing", typing)):
    sys.modules[_name] = _module

_older = types.ModuleType("neuronxcc", "Holds neuronxcc.nki, which is presil.nki.legacy.")
_older.nki = legacy  # type: ignore[attr-defined]
for _name, _module in (("", _older), (".nki", legacy), (".nki.isa", legacy.isa), (".nki.language", legacy.language),
                       (".nki.compiler", legacy.compiler), (".nki.typing", legacy.typing)):
    sys.modules["neuronxcc" + _name] = _module
