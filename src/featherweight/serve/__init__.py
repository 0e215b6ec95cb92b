"""A page to draw on and an API for one shipped network: FastAPI and onnxruntime, without torch.

request -> protocol.py (HTTP) -> guards.py (host, size, time) -> app.py (routes) -> questions.py (what is asked)
        -> desk.py (queue) -> worker.py (a process) -> answers.py (picture to JSON) -> explain.py
"""
