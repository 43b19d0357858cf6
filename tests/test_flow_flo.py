"""Laws of `.flo` files."""

import numpy as np
import pytest

from stresnet.errors import DatasetError, UsageError
from stresnet.flow import read_flo, write_flo

FLOW = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)


def test_what_is_written_is_read(tmp_path):
    write_flo(tmp_path / "a.flo", FLOW)
    read = read_flo(tmp_path / "a.flo")
    assert read.dtype == np.float32 and read.flags.c_contiguous
    np.testing.assert_array_equal(read, FLOW)
    assert [path.name for path in tmp_path.iterdir()] == ["a.flo"]


def test_the_bytes_are_middleburys(tmp_path):
    write_flo(str(tmp_path / "a.flo"), FLOW)
    content = (tmp_path / "a.flo").read_bytes()
    assert np.frombuffer(content, "<f4", 1) == np.float32(202021.25)
    assert np.frombuffer(content, "<i4", 2, 4).tolist() == [5, 3]
    np.testing.assert_array_equal(np.frombuffer(content, "<f4", 2, 12), FLOW[:, 0, 0])
    np.testing.assert_array_equal(np.frombuffer(content, "<f4", 2, 20), FLOW[:, 0, 1])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.7e9, -1e10])
def test_unknown_flow_is_nan_in_both_components(tmp_path, value):
    flow = FLOW.copy()
    flow[1, 2, 3] = value
    write_flo(tmp_path / "a.flo", flow)
    read = read_flo(tmp_path / "a.flo")
    assert np.isnan(read[:, 2, 3]).all()
    assert np.isnan(read).sum() == 2
    stored = np.frombuffer((tmp_path / "a.flo").read_bytes(), "<f4", offset=12)
    assert np.isfinite(stored).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-1], "bytes, not the"),
        (lambda content: content + b"\0", "bytes, not the"),
        (lambda content: b"RIFF" + content[4:], "not a .flo file"),
        (lambda content: content[:7], "not a .flo file"),
        (lambda content: b"", "not a .flo file"),
        (lambda content: content[:4] + b"\xff" * 8 + content[12:], "not a .flo file"),
    ],
    ids=["short", "long", "another format", "header cut", "empty", "negative size"],
)
def test_a_damaged_file_is_refused(tmp_path, change, message):
    write_flo(tmp_path / "a.flo", FLOW)
    (tmp_path / "b.flo").write_bytes(change((tmp_path / "a.flo").read_bytes()))
    with pytest.raises(DatasetError, match=message):
        read_flo(tmp_path / "b.flo")


def test_a_missing_file_and_a_wrong_shape_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="No such file"):
        read_flo(tmp_path / "a.flo")
    for shape in ((3, 2, 2), (2, 2), (2, 0, 2)):
        with pytest.raises(UsageError, match="not \\(2, H, W\\)"):
            write_flo(tmp_path / "a.flo", np.zeros(shape, np.float32))
