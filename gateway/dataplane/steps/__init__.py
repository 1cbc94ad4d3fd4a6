"""The steps of the pipeline, one file each; order.py lists them."""
