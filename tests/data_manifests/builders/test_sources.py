"""Published tables as text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_manifests.builders.sources import read_source_table
from data_manifests.support.errors import DataError


def test_a_parquet_table_reads_like_its_csv(tmp_path):
    table = pd.DataFrame({"image_id": ["007", "né"], "width": [64.0, np.nan], "note": ["", None]})
    table.to_parquet(tmp_path / "t.parquet", index=False)
    table.to_csv(tmp_path / "t.csv", index=False)
    parquet = read_source_table(tmp_path / "t.parquet", ("image_id",))
    csv = read_source_table(tmp_path / "t.csv", ("image_id",))
    assert parquet.to_dict("list") == csv.to_dict("list")
    with pytest.raises(DataError, match=r"t\.parquet.*patient_id"):
        read_source_table(tmp_path / "t.parquet", ("patient_id",))
