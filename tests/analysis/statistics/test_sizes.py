"""The table of sizes shows each form of a model beside compressors, by the names of metrics."""

from lmexp.analysis.page import run_page
from lmexp.analysis.records import read_run
from lmexp.analysis.statistics.sizes import size_rows
from lmexp.analysis.summary import summary

METRICS = {
    "size/stored_bytes": 12_000.0,
    "size/coded_bytes/stored": 10_500.0,
    "size/coded_bytes/int8": 2_500.0,
    "size/test/data_bits_per_byte/stored": 2.0,
    "size/test/data_bits_per_byte/int8": 2.0123456,
    "size/test/bytes": 20_000.0,
    "size/test/two_part_bits_per_byte": 3.0123456,
    "size/test/two_part_bits_per_byte/stored": 6.2,
    "size/test/two_part_bits_per_byte/int8": 3.0123456,
    "size/test/gzip_bits_per_byte": 2.5,
    "size/test/zstd_dictionary_bits_per_byte": 1.5,
    "size/test/zstd_dictionary_two_part_bits_per_byte": 1.75,
}


def test_each_form_has_a_row_and_a_compressor_one_figure_for_both_parts():
    assert size_rows(METRICS) == [
        ("size, and the text with it", "", "bytes", "bits per byte", "two-part"),
        ("size/test", "model as stored", "10,500", "2.0000", "6.2000"),
        ("size/test", "model rounded to int8", "2,500", "2.0123", "3.0123"),
        ("size/test", "gzip -9", "", "2.5000", "2.5000"),
        ("size/test", "zstd -19 with a dictionary", "", "1.5000", "1.7500"),
    ]
    assert size_rows({"corpus/test/bytes": 1.0}) == []


def test_what_is_a_bound_is_printed_as_one_and_what_has_no_code_has_none():
    bound = size_rows({**METRICS, "size/test/is_bound": 1})
    assert bound[1][3:] == ("<= 2.0000", "<= 6.2000")
    assert bound[3][3:] == ("2.5000", "2.5000")
    without = {key: value for key, value in METRICS.items() if "stored" not in key.rpartition("/")[2]}
    none = size_rows({**without, "size/stored_bytes": 1.0, "size/coded_bytes/stored": 9.0})
    assert none[1] == ("size/test", "model as stored", "9", "", "")


def test_the_table_and_the_page_show_it(made):
    run = made.run(stages={"size": {}}, metrics=METRICS)
    assert "model rounded to int8" in summary(run)
    assert "size/coded_bytes" not in summary(run), "the table says so already"
    page = run_page(read_run(run))
    assert "What the model and the text take, when both have to be told" in page
    assert "the model, told with the text" in page
