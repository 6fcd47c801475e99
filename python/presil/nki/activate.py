"""import presil.nki.activate: from then on `import nki` finds presil.nki, in this process."""
import sys

from presil import nki
from presil.nki import isa, language, typing

for _name, _module in (("nki", nki), ("nki.isa", isa), ("nki.language", language), ("nki.typing", typing)):
    sys.modules[_name] = _module
