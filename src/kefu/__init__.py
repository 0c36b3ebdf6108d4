"""kefu (客服): a customer-service desk that runs on your own computer."""

import os

__version__ = "0.1.0"

# ONNX Runtime from 1.29 on tells Microsoft of every process and every model it loads, and names the
# computer, unless this is set before it is imported. Calling `disable_telemetry_events` is too late
# for the first of it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
