"""From rows to published versions."""

import os

# polars reads ahead by as many row groups and chunks as it likes, so memory grew with the file. It looks when it is imported.
os.environ.setdefault("POLARS_ROW_GROUP_PREFETCH_SIZE", "1")
os.environ.setdefault("POLARS_CSV_CHUNK_PREFETCH_LIMIT", "2")
# Decoding whole row groups in every thread took a quarter more memory for a long Parquet file, and no less time.
os.environ.setdefault("POLARS_PARQUET_DECODE_TARGET_VALUES_PER_THREAD", "500000")
# Chunks of 32 MB are fresh memory each time, which the kernel clears for milliseconds without letting a prediction in.
os.environ.setdefault("POLARS_CSV_CHUNK_SIZE", str(1 << 20))
