#!/usr/bin/env python3
"""Every table of a pipeline opens in pandas and in pyarrow, with the types that its record promises.

    python tests/peers/pandas_open.py --pipeline pipelines/quickstart.toml

For each Parquet output of each stage: both libraries read as many rows as the record says; a column of
texts is a text column in pandas, one of whole numbers or fractions is numeric, and one of lists holds
lists; no column is read as something that pandas does not know. Ends with 1 otherwise.
"""

import argparse
import sys

import pandas
import pyarrow
import pyarrow.parquet

from dag_files import Results


def faults(column, arrow):
    """What is wrong with a column of pandas, given its Arrow type."""
    types, kind = pandas.api.types, pyarrow.types
    if kind.is_dictionary(arrow):
        arrow = arrow.value_type
    if kind.is_string(arrow) or kind.is_large_string(arrow):
        present = column.dropna()
        ok = types.is_string_dtype(column.dtype) or all(isinstance(value, str) for value in present)
    elif kind.is_boolean(arrow):
        ok = types.is_bool_dtype(column.dtype) or column.isna().any()
    elif kind.is_integer(arrow):
        # pandas turns whole numbers with gaps into fractions; without gaps they stay whole.
        ok = types.is_integer_dtype(column.dtype) or (column.isna().any() and types.is_float_dtype(column.dtype))
    elif kind.is_floating(arrow):
        ok = types.is_float_dtype(column.dtype)
    elif kind.is_list(arrow) or kind.is_large_list(arrow):
        ok = all(hasattr(value, "__len__") and not isinstance(value, str) for value in column.dropna())
    elif kind.is_struct(arrow):
        ok = all(isinstance(value, dict) for value in column.dropna())
    else:
        return f"nobody thought of the type {arrow}"
    return None if ok else f"{arrow} became {column.dtype}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default="pipelines/quickstart.toml")
    parser.add_argument("--dag", default="target/release/dag")
    parser.add_argument("--set", action="append", default=[], help="as given to `dag run`")
    arguments = parser.parse_args()
    results = Results(arguments.dag, arguments.pipeline, arguments.set)
    tables = wrong = 0
    for stage in results.text["stage"]:
        for output, described in results.outputs(stage).items():
            if described["artifact"] != "table":
                continue
            name = f"{stage}.{output}"
            place = results.place(name)
            tables += 1
            arrow = pyarrow.parquet.read_table(place)
            frame = pandas.read_parquet(place)
            told = [f"{column}: {frame[column].dtype}" for column in frame.columns]
            print(f"{name}: {len(frame):,} rows; {', '.join(told)}")
            found = [
                f"{field.name}: {fault}"
                for field in arrow.schema
                if (fault := faults(frame[field.name], field.type))
            ]
            if not len(frame) == arrow.num_rows == described["rows"]:
                found.append(f"{len(frame)} rows in pandas, {arrow.num_rows} in pyarrow, {described['rows']} recorded")
            if not arrow.to_pandas().equals(frame):
                found.append("pandas and pyarrow read different values")
            wrong += len(found)
            for fault in found:
                print(f"  WRONG {fault}")
    print(f"{tables} tables, {wrong} faults; pandas {pandas.__version__}, pyarrow {pyarrow.__version__}")
    sys.exit(1 if wrong or not tables else 0)


if __name__ == "__main__":
    main()
