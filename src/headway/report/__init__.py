"""`headway report`: a run as a web page that stands alone; page.py puts its parts together."""
