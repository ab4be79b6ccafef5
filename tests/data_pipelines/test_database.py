"""DuckDB reads Parquet files below any folder."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipelines.database import open_database, read_parquet
from tests.factories import AWKWARD_FOLDERS


@pytest.mark.parametrize("name", AWKWARD_FOLDERS)
def test_read_parquet_in_any_folder_reads_its_files_only(tmp_path, name):
    folder, decoy = tmp_path / name, tmp_path / "kxl"
    for path, value in ((folder, 1), (decoy, 2)):
        path.mkdir()
        pq.write_table(pa.table({"value": [value]}), path / "rows-0.parquet")
    with open_database(folder, memory_mb=64) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT * FROM range(1000)")
        for file in ("rows-0.parquet", "rows-*.parquet"):
            relation = connection.sql(f"SELECT * FROM {read_parquet(folder / file)}")
            assert relation.columns == ["value"]
            assert relation.fetchall() == [(1,)]
