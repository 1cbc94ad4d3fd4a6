"""The supervisor: starts every process of Tollgate, restarts what dies, stops them all in order. Nothing here imports Django."""
