from __future__ import annotations

from nicegold_ops.telemetry.counts import Counts, Histograms, LabelGuard


def test_a_cell_is_there_before_anything_was_counted():
    counts = Counts(LabelGuard())

    counts.cell("gold", "duplicate")

    assert [(("gold", "duplicate"), 0.0)] == counts.samples()


def test_a_cell_and_add_count_the_same_child():
    counts = Counts(LabelGuard())
    cell = counts.cell("gold")

    cell[0] += 2
    counts.add("gold")

    assert [(("gold",), 3.0)] == counts.samples()


def test_a_label_that_takes_new_values_for_ever_is_cut_off_and_counted():
    guard = LabelGuard(limit=3)
    counts = Counts(guard)

    for number in range(10):
        counts.add(f"order-{number}")
    counts.cell("order-99")[0] += 5
    counts.add("order-0")

    assert [(("order-0",), 2.0), (("order-1",), 1.0), (("order-2",), 1.0)] == counts.samples()
    assert [12] == guard.overflow


def test_a_histogram_counts_what_is_at_most_each_bound_and_adds_up():
    histograms = Histograms(LabelGuard(), (1.0, 2.0))

    for value in (0.5, 1.0, 1.5, 9.0):
        histograms.observe(value, "venue")

    assert [(("venue",), [("1.0", 2), ("2.0", 3), ("+Inf", 4)], 12.0)] == histograms.buckets()


def test_a_histogram_is_there_before_anything_was_observed():
    histograms = Histograms(LabelGuard(), (1.0,))

    histograms.child("venue")

    assert [(("venue",), [("1.0", 0), ("+Inf", 0)], 0.0)] == histograms.buckets()


def test_a_histogram_has_at_most_so_many_children():
    guard = LabelGuard(limit=1)
    histograms = Histograms(guard, (1.0,))

    histograms.observe(1.0, "venue")
    histograms.observe(1.0, "other")

    assert [("venue",)] == [labels for labels, _, _ in histograms.buckets()]
    assert [1] == guard.overflow
