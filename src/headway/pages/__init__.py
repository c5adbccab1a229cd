"""Web pages that stand alone: the frame (document.py), charts as SVG (charts.py), and the style and script they share."""
