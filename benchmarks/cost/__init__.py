"""What a slider costs: time, memory and parameters beside the plain network, in one run.

``python -m benchmarks.cost`` prints a table and writes it as JSON and Markdown.
"""
