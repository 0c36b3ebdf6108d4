"""How large a document may be, and what reading one may cost.

A handbook of 1,000 pages has about a million characters and takes a few seconds. Whatever passes
these limits is a mistake or an attack.
"""

from __future__ import annotations

MIB = 1024 * 1024

MAX_DOCUMENT_BYTES = 32 * MIB
MAX_PAGES = 2_000
MAX_CHARACTERS = 5_000_000
MAX_CHUNKS = 20_000

# Office files are zip archives. Real sheets compress 20 to 100 times, bombs 1,000 times.
MAX_ARCHIVE_PARTS = 5_000
MAX_UNPACKED_BYTES = 256 * MIB
MAX_RATIO = 300
RATIO_COUNTS_FROM_BYTES = 8 * MIB

# HTML nested deeper is generated to break parsers; the deepest pages people write have about 100.
MAX_NESTING = 1_000

PARSER_MEMORY_BYTES = 1024 * MIB
PARSER_CPU_SECONDS = 60
PARSER_SECONDS = 120.0
PARSER_OUTPUT_BYTES = 256 * MIB
