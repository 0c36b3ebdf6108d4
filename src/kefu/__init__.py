"""kefu (客服): a customer-service desk that runs on your own computer."""

__version__ = "0.1.0"
