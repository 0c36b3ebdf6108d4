"""The sentence encoder on a Triton server: KServe v2, over HTTP or gRPC.

encoder.py                 the `SentenceEncoder` that asks the server
endpoint.py  http.py  grpc.py   the two ways to speak to it
repository.py  model.py    what the server runs, and how it comes into its model repository
"""
