"""The layout of Parquet files: their footer and the sizes of their pages."""
