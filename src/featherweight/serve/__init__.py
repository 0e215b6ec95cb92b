"""A drawing page and an HTTP API for one bundle. Uses FastAPI and onnxruntime, not torch.

A request passes these files in order:

- protocol.py: HTTP on one connection
- guards.py: checks of host, size and time
- app.py: routes
- questions.py: parsing of the body
- desk.py: queue in front of the workers
- worker.py: worker process
- answers.py: from a picture to JSON
- explain.py: important regions and activations
"""
