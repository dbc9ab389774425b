"""The tables of the zoo, one file each; `benchmarks.zoo.table.Table` says what a file defines."""
