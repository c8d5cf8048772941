"""One turn of everything on a whole system, run on each supported Python (marker `every_python`).

`whole` starts the system with every switch on, `filling` gives each operation and each loop
something to do, `asking` goes over the OpenAPI document.
"""
