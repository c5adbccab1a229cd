"""Trained models behind HTTP: one process speaks with the clients, others compute."""
