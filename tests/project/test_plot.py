"""The plot in the docs is the one that the recorded results give."""

import json
import xml.etree.ElementTree as ET

import plot


def test_the_plot_in_the_docs_is_up_to_date():
    made = plot.svg(json.loads(plot.RESULTS.read_text("utf-8")))
    assert plot.TARGET.read_text("utf-8") == made, "run: python bench/plot.py"


def test_the_plot_has_a_line_for_each_series_and_every_point():
    rows = json.loads(plot.RESULTS.read_text("utf-8"))
    root = ET.fromstring(plot.svg(rows))
    series = [line for about in plot.PLOTS for line in about["lines"]]
    points = sum(1 for key, *_ in series for row in rows if row[key] is not None)
    assert len(root.findall("{*}circle")) == points
    assert {rows[0]["files"], rows[-1]["files"]} == set(plot.FILES)
