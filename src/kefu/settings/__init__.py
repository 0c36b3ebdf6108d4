"""All settings, and the only code that reads the environment and `kefu.toml`.

Precedence: command-line flags > environment `KEFU_*` > `kefu.toml` > the defaults. Nested settings
are written `KEFU_SERVER__PORT=9000` in the environment and as a table in the file:

    [server]
    port = 9000

    settings.py  loading.py     all sections together; the sources, and what is said when one is bad
    section.py                  what every section is

Every other file holds the sections of the folder or module of that name (`inference/`, `turn/`,
`telemetry.py`), and `server.py` those of `http/`. `docs/settings.md` lists every setting; a test
fails when one is missing there.
"""

from kefu.settings.answers import AnswerSettings
from kefu.settings.inference import EncoderSettings, GeneratorSettings, UpstreamSettings
from kefu.settings.intent import IntentSettings
from kefu.settings.knowledge import KnowledgeSettings
from kefu.settings.loading import load_settings
from kefu.settings.moderation import CategorySettings, ModerationSettings
from kefu.settings.review import ReviewSettings
from kefu.settings.section import Section
from kefu.settings.server import ServerSettings
from kefu.settings.settings import Settings, default_data_dir
from kefu.settings.telemetry import LogSettings, TracesSettings
from kefu.settings.turn import ConversationSettings, RepliesSettings

__all__ = [
    "AnswerSettings",
    "CategorySettings",
    "ConversationSettings",
    "EncoderSettings",
    "GeneratorSettings",
    "IntentSettings",
    "KnowledgeSettings",
    "LogSettings",
    "ModerationSettings",
    "RepliesSettings",
    "ReviewSettings",
    "Section",
    "ServerSettings",
    "Settings",
    "TracesSettings",
    "UpstreamSettings",
    "default_data_dir",
    "load_settings",
]
