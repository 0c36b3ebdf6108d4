"""Models: the catalogue, pulling and verifying files, and making the default generator small.

    catalogue.py  sources.py    what there is and where it comes from
    pull.py  installed.py       bringing it here; what is here
    prune.py  check.py          vocabulary pruning, and the proof that nothing changed
    pairs/                      the model that compares questions, from a 4-bit file
    resolve.py                  what the settings mean by an encoder, a generator and the rest
    gguf_file.py  files.py      the formats and the disk

Nothing here runs while kefu serves: a start resolves its models first.
"""

from kefu.inference.models.catalogue import Catalogue, Model, ModelFile, load_catalogue
from kefu.inference.models.installed import (
    InstalledModel,
    find_installed,
    get_installed,
    verify_installed,
)
from kefu.inference.models.progress import SILENT, Progress, Silent
from kefu.inference.models.pull import ensure
from kefu.inference.models.resolve import (
    LocalGguf,
    RemoteServer,
    RemoteServers,
    required_models,
    resolve_encoder,
    resolve_generator,
)

__all__ = [
    "SILENT",
    "Catalogue",
    "InstalledModel",
    "LocalGguf",
    "Model",
    "ModelFile",
    "Progress",
    "RemoteServer",
    "RemoteServers",
    "Silent",
    "ensure",
    "find_installed",
    "get_installed",
    "load_catalogue",
    "required_models",
    "resolve_encoder",
    "resolve_generator",
    "verify_installed",
]
